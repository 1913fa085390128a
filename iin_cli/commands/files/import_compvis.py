"""Turn a checkpoint of the authors' release into one of this program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...distributed import noise
from ...errors import CheckpointError, IinError, UsageError
from ...interpretation.opening import describe_backbone, open_network, versions
from ...io import checkpoint
from ...io.compvis import Published, read_compvis
from ...io.rundir import new_file
from ...registry import find
from ...results import Result, Table
from ...translator.dims import complete
from ...translator.factors import RESIDUAL, Factors
from ...translator.flow import Translator
from ...translator.round_trip import round_trip_error

__all__ = ["ImportResult", "import_compvis"]

# The correlation of pairs in the authors' code; the paper prints 0.9.
SIGMA = 0.975
PROBES = 256


@dataclass(frozen=True)
class ImportResult(Result):
    """What was written.

    Attributes:
        checkpoint: the new file.
        kind: `translator` or `backbone`.
        name: `translator`, `autoencoder` or `classifier`.
        latent_dim: N.
        factors: factor -> dimensions, in the order of z̃; empty for a backbone.
        round_trip_error: max |T⁻¹(T(z)) − z| over 256 draws of T's own distribution, in stds of each component; None
            for a backbone.
        sha256: of the new file.
    """

    checkpoint: Path
    kind: str
    name: str
    latent_dim: int
    factors: dict[str, int]
    round_trip_error: float | None
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {**super().as_dict(), "checkpoint": str(self.checkpoint)}

    def tables(self) -> list[Table]:
        """Return the sizes of a translator's factors; nothing for a backbone."""
        sizes = [{"factor": name, "dimensions": size} for name, size in self.factors.items()]
        return [("factors", sizes)] if sizes else []


def import_compvis(
    file: Path, out: Path | None = None, *, factors: Mapping[str, int] | None = None, backbone: Path | None = None
) -> ImportResult:
    """Read the published checkpoint `file` and write it as `out`.

    Args:
        file: a translator, an autoencoder or a classifier of the release.
        out: a new file; None makes one in a numbered folder under `runs/`.
        factors: name -> dimensions in the order of z̃, for a translator only. The residual is moved to the end.
        backbone: the (imported) checkpoint whose latents the translator reads, recorded beside it.

    Raises CheckpointError for a file that does not fit its published layout, and for factors or a backbone that do not
    fit the file; UsageError for a translator without factors.
    """
    published = read_compvis(file)
    if published.kind == "translator":
        tensors, metadata = _as_translator(file, published, factors, backbone)
    else:
        tensors, metadata = _as_backbone(file, published, factors, backbone)
    metadata |= {
        "data": None,
        "versions": versions(),
        "source": {"path": str(file), "sha256": checkpoint.digest(file)},
    }
    with new_file(out, f"import-compvis-{published.kind}", f"{metadata['kind']}.safetensors") as target:
        checkpoint.save(target, tensors, metadata)
    return ImportResult(
        checkpoint=target,
        kind=metadata["kind"],
        name=metadata["name"],
        latent_dim=published.latent_dim,
        factors={factor["name"]: factor["dim"] for factor in metadata["factors"]},
        round_trip_error=metadata["training"].get("round_trip_error"),
        sha256=checkpoint.digest(target),
    )


def _as_translator(
    file: Path, published: Published, dims: Mapping[str, int] | None, backbone: Path | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    factors, tensors = _named(file, published, dims)
    translator = Translator(**published.config)
    translator.load_state_dict(tensors)
    metadata = {
        "kind": "translator",
        "name": "translator",
        "config": translator.config,
        "factors": factors.as_json(),
        "backbone": _provenance(file, backbone, published.latent_dim),
        "training": {"preset": "compvis", "sigma": SIGMA, "round_trip_error": _round_trip_error(file, translator)},
    }
    return translator.state_dict(), metadata


def _named(file: Path, published: Published, dims: Mapping[str, int] | None) -> tuple[Factors, dict[str, Tensor]]:
    """Return the factors, and the tensors with the residual moved to the end of z̃."""
    dim = published.latent_dim
    if not dims:
        raise UsageError(
            f"{file} is a translator of N = {dim} dimensions and does not say what they mean: "
            f"add --factors with sizes that sum to {dim}, such as --factors {_example(dim)}"
        )
    try:
        sizes = complete(dims, dim)
    except UsageError as error:
        raise CheckpointError(f"--factors does not fit the translator in {file}: {error}") from None
    places = dict(zip(dims, torch.arange(dim)[: sum(dims.values())].split(list(dims.values())), strict=True))
    order = torch.cat([places[name] for name in sizes if name in places] + [torch.arange(sum(dims.values()), dim)])
    return Factors.of(sizes, SIGMA), published.tensors | _reordered(published, order)


def _example(dim: int) -> str:
    third = max(dim // 3, 1)
    return f"digit={third},color={third},{RESIDUAL}={dim - 2 * third}" if dim >= 3 else f"digit=1,{RESIDUAL}={dim - 1}"


def _reordered(published: Published, order: Tensor) -> dict[str, Tensor]:
    """Reorder the components of z̃: T's last layer is a permutation, which takes `order` in."""
    last = f"layers.{3 * published.config['blocks'] - 1}"
    shuffle = published.tensors[f"{last}.order"][order]
    return {f"{last}.order": shuffle, f"{last}.back": shuffle.argsort()}


def _as_backbone(
    file: Path, published: Published, dims: Mapping[str, int] | None, backbone: Path | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    for option, value in (("--factors", dims), ("--backbone", backbone)):
        if value:
            raise UsageError(f"{file} is a {published.kind}, and {option} is for translators: leave it out")
    try:
        factory: Any = find("backbones", published.kind).factory
        model = factory.from_config(published.config)
    except IinError as error:
        raise CheckpointError(f"the {published.kind} in {file} cannot be rebuilt: {error}") from error
    model.load_state_dict(published.tensors)
    metadata = {
        **describe_backbone(model),
        "factors": [],
        "backbone": None,
        "training": {"preset": "compvis"},
    }
    return model.state_dict(), metadata


def _provenance(file: Path, backbone: Path | None, dim: int) -> dict[str, str | None] | None:
    if backbone is None:
        return None
    found = open_network(str(backbone))
    if found.latent_dim != dim:
        raise CheckpointError(
            f"{found.source} has latents of {found.latent_dim} dimensions, the one in {file} reads {dim}"
        )
    return found.provenance


@torch.no_grad()
def _round_trip_error(file: Path, translator: Translator) -> float:
    z = translator.inverse(noise(range(PROBES), translator.dim))
    error = round_trip_error(translator, z)
    if not math.isfinite(error):
        raise CheckpointError(f"the translator in {file} maps draws from N(0, 1) to values that are not finite")
    return error
