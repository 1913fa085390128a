"""Translate a file of latents, of any network and from any framework: z → z̃, or back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...distributed import choose_device
from ...errors import DataError
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.opening import open_translator, versions
from ...io import checkpoint
from ...io.rundir import new_file
from ...latents.files import check_finite, read_iin_metadata, read_rest, read_rows, verified
from ...progress import Reporter, Silent
from ...results import Result, Table

__all__ = ["TranslateResult", "translate"]

OWN_NAMES = ("z", "z_tilde", "log_det")


@dataclass(frozen=True)
class TranslateResult(Result):
    """What was translated: `count` rows of `latent_dim` numbers; `tensors` are the names in the file `out`."""

    out: str
    direction: str
    count: int
    latent_dim: int
    factors: dict[str, int]
    seconds: float
    tensors: tuple[str, ...]

    def tables(self) -> list[Table]:
        """Return one table: the sizes of the factors."""
        return [("factors", [{"factor": name, "dimensions": size} for name, size in self.factors.items()])]


def translate(
    translator: Path,
    latents: Path,
    out: Path | None = None,
    *,
    inverse: bool = False,
    batch: int = 1000,
    device: str = "auto",
    report: Reporter | None = None,
) -> TranslateResult:
    """Read `z` (M, N) of a safetensors file and write `z_tilde` (M, N) and `log_det` (M,); with `inverse` back to `z`.

    No backbone is needed. All other tensors are passed through.

    Args:
        translator: checkpoint or run folder.
        latents: the file; float16, bfloat16 and float64 are read as float32.
        out: new file; None makes one in a numbered folder.
        inverse: read `z_tilde` and write `z`.
        batch: rows at a time; changes no result.

    Raises DataError for a missing tensor, another N, or numbers that are not finite, and names the first such row;
    CheckpointError for damaged files.
    """
    report, started = report or Silent(), time.monotonic()
    opened = open_translator(translator, choose_device(device), with_network=False, report=report)
    source, target = ("z_tilde", "z") if inverse else ("z", "z_tilde")
    rows = read_rows(verified(latents, report), source)
    if rows.shape[1] != opened.factors.dim:
        raise DataError(f"{latents}: {source} has N = {rows.shape[1]}, {opened.path} translates {opened.factors.dim}")
    metadata = read_iin_metadata(latents)
    _compare_backbones(latents, metadata, opened, report)
    known = {key: metadata[key] for key in ("backbone", "data", "split", "label_names") if key in metadata}
    path = opened.require_path()
    described = {
        **known,
        "kind": "latents",
        "translator": {"source": str(path.resolve()), "sha256": checkpoint.digest(path)},
        "factors": opened.factors.as_json(),
        "versions": versions(),
    }
    with new_file(out, f"translate-{latents.stem}", f"{target}.safetensors") as file:
        tensors = {**read_rest(latents, OWN_NAMES), **_translated(opened, rows, inverse, batch, report)}
        check_finite(tensors[target], f"{target} of {latents}")
        checkpoint.save(file, tensors, described)
    return TranslateResult(
        str(file),
        f"{source} to {target}",
        len(rows),
        rows.shape[1],
        opened.factors.dims,
        round(time.monotonic() - started, 3),
        tuple(sorted(tensors)),
    )


def _translated(opened: OpenTranslator, rows: Tensor, inverse: bool, batch: int, report: Reporter) -> dict[str, Tensor]:
    found, log_dets = [], []
    with report.task("translating", len(rows), "rows") as task:
        for part in rows.split(batch):
            if inverse:
                found.append(opened.inverse_transform(part))
            else:
                z_tilde, log_det = opened.transform_with_log_det(part)
                found.append(z_tilde)
                log_dets.append(log_det)
            task.advance(len(part))
    return {"z": torch.cat(found)} if inverse else {"z_tilde": torch.cat(found), "log_det": torch.cat(log_dets)}


def _compare_backbones(latents: Path, metadata: dict[str, Any], opened: OpenTranslator, report: Reporter) -> None:
    theirs, ours = metadata.get("backbone"), opened.metadata.get("backbone")
    if theirs and ours and theirs["sha256"] != ours["sha256"]:
        report.warn(
            f"{latents} was encoded by {theirs['source']}, {opened.path} was fitted to {ours['source']}: "
            "the factors mean nothing there"
        )
