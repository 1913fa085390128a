"""Decode a file of latents: to images, or of a classifier to logits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...distributed import choose_device
from ...errors import DataError
from ...figures.grids import image_grid, save_png
from ...interpretation.network import Network
from ...interpretation.opening import open_network, versions
from ...interpretation.pieces import in_pieces, to_pixels
from ...io import checkpoint
from ...io.images import PngFolder
from ...io.rundir import write_json
from ...io.tables import write_table
from ...latents.files import read_rest, read_rows
from ...plugin_api import Backbone
from ...progress import Reporter, Silent

__all__ = ["DecodeResult", "decode"]

# A grid of more images is no longer looked at.
LARGEST_GRID = 1024


@dataclass(frozen=True)
class DecodeResult:
    """What was decoded: `count` rows to `holds` (images or logits), into the file or folder `out`."""

    out: str
    count: int
    holds: str
    backbone: str
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)


def decode(
    backbone: str,
    latents: Path,
    out: Path | None = None,
    *,
    weights: str = "default",
    layer: str | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> DecodeResult:
    """Read `z` (M, N) of a safetensors file and write what the backbone makes of it.

    Images go into a folder (row i as `00000i.png`), into one `.png` as a grid, or into `.safetensors` as `images` uint8
    (M, S, S, 3). Logits go into `.safetensors` as `logits` (M, classes), or into `.json` or `.csv` with the class
    predicted and the log-probabilities; into a folder as both. All other tensors are passed through to `.safetensors`.

    Args:
        backbone: checkpoint, run folder or registered name.
        latents: the file.
        out: new folder or new file; None makes a numbered folder.

    Raises DataError for a missing tensor, another N, or numbers that are not finite; CheckpointError for unfit files.
    """
    report, started = report or Silent(), time.monotonic()
    where = choose_device(device)
    opened = open_network(backbone, where, weights, layer)
    z = read_rows(latents, "z")
    model = opened.backbone
    if z.shape[1] != model.latent_dim:
        raise DataError(f"{latents}: z has N = {z.shape[1]}, {opened.source} decodes {model.latent_dim}")
    holds = "images" if model.classes is None else "logits"
    endings = (".png", ".safetensors") if model.classes is None else (".safetensors", ".json", ".csv")
    with open_output(out, f"decode-{latents.stem}", endings, holds) as (place, is_file):
        if out is None:
            report.note(f"run folder {place}")
        results = _decoded(model, z, where, report)
        if model.classes is not None:
            logits = torch.cat(list(results)).float()
            _write_logits(place, is_file, logits, model.classes, opened, latents)
        elif is_file:
            pixels = np.concatenate([to_pixels(images) for images in results])
            _write_images(place, pixels, opened, latents)
        else:
            _write_folder(place, results)
        result = DecodeResult(str(place), len(z), holds, opened.source, round(time.monotonic() - started, 3))
        if not is_file:
            write_json(place / "decode.json", result.as_dict())
    return result


def _decoded(model: Backbone, z: Tensor, device: torch.device, report: Reporter) -> Iterator[Tensor]:
    with report.task("decoding", len(z), "rows") as task:
        for piece in in_pieces(len(z), z.__getitem__, model.decode, device):
            yield piece
            task.advance(len(piece))


def _write_folder(folder: Path, results: Iterator[Tensor]) -> None:
    done = 0
    with PngFolder(folder) as sink:
        for images in results:
            sink.add(range(done, done + len(images)), to_pixels(images))
            done += len(images)


def _write_images(file: Path, pixels: np.ndarray, opened: Network, latents: Path) -> None:
    if file.suffix.lower() == ".png":
        save_png(file, _square(pixels))
        return
    rest = read_rest(latents, ("z", "z_tilde", "log_det", "log_variance", "images"))
    _save(file, {**rest, "images": torch.from_numpy(pixels)}, opened)


def _square(pixels: np.ndarray) -> np.ndarray:
    """Lay images (M, S, S, 3) out row by row, as square as their number allows."""
    if len(pixels) > LARGEST_GRID:
        raise DataError(
            f"{len(pixels)} images are too many for one grid of at most {LARGEST_GRID}: name a folder as --out"
        )
    columns = ceil(sqrt(len(pixels)))
    rows = ceil(len(pixels) / columns)
    cells = np.full((rows * columns, *pixels.shape[1:]), 255, np.uint8)
    cells[: len(pixels)] = pixels
    return image_grid(cells.reshape(rows, columns, *pixels.shape[1:]))


def _write_logits(
    place: Path, is_file: bool, logits: Tensor, classes: tuple[str, ...], opened: Network, latents: Path
) -> None:
    if not is_file or place.suffix.lower() == ".safetensors":
        rest = read_rest(latents, ("z", "z_tilde", "log_det", "log_variance", "logits"))
        _save(place if is_file else place / "logits.safetensors", {**rest, "logits": logits}, opened)
    if not is_file or place.suffix.lower() != ".safetensors":
        rows = [
            {"row": index, "predicted": classes[int(row.argmax())], "log_probability": by_class(row, classes)}
            for index, row in enumerate(logits.log_softmax(1))
        ]
        write_table(place if is_file else place / "predictions.csv", rows)


def _save(file: Path, tensors: dict[str, Tensor], opened: Network) -> None:
    checkpoint.save(file, tensors, {"kind": "decoded", "backbone": opened.provenance, "versions": versions()})
