"""Stylizers in files: one `.safetensors` with the encoder's weights inside, so that it works wherever it is copied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from iin_cli.errors import CheckpointError
from iin_cli.io import checkpoint
from iin_cli.io.schema import Described, Positive, checked
from iin_cli.io.shapes import require_fit
from iin_cli.progress import Reporter
from iin_cli.training.saving import save_product

from .networks import Stylizer

__all__ = ["PRODUCT", "OpenStylizer", "open_stylizer", "save_stylizer"]

KIND = "stylizer"
PRODUCT = f"{KIND}.safetensors"


@dataclass(frozen=True)
class OpenStylizer:
    """A stylizer ready to draw: in evaluation mode, frozen, on its device; with the sha256 of its file."""

    stylizer: Stylizer
    path: Path
    sha256: str
    metadata: dict[str, Any]


def save_stylizer(path: Path, stylizer: Stylizer, metadata: Mapping[str, Any]) -> None:
    """Write weights, configuration and `metadata` (encoder, style, data, training, versions), whole or not at all."""
    full = {"kind": KIND, "name": "sanet", "config": stylizer.config, **metadata}
    save_product(path, stylizer.state_dict(), full)


def open_stylizer(path: Path, device: torch.device | str, report: Reporter | None = None) -> OpenStylizer:
    """Open a stylizer's file or run folder. CheckpointError when it is missing, foreign or damaged."""
    file = checkpoint.locate(path.expanduser(), KIND)
    described = checked(checkpoint.describe(file, KIND, _Metadata), _Metadata, file)
    size = described.config
    try:
        # Shapes are compared before anything takes memory.
        with torch.device("meta"):
            planned = Stylizer(size.width, size.decoder_width, size.side)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{file} does not hold the stylizer its metadata describes: {error}") from error
    require_fit(file, planned, KIND)
    found = checkpoint.load(file, KIND, report, _Metadata)
    stylizer = Stylizer(size.width, size.decoder_width, size.side)
    stylizer.load_state_dict(found.tensors)
    for name, weight in stylizer.state_dict().items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise CheckpointError(f"{file} holds weights that are not finite ({name}): train it again")
    stylizer = stylizer.to(device).eval().requires_grad_(False)
    return OpenStylizer(stylizer, file, checkpoint.digest(file), found.metadata)


class _Size(msgspec.Struct, forbid_unknown_fields=True):
    width: Positive
    decoder_width: Positive
    side: Positive


class _Encoder(msgspec.Struct):
    source: str


class _Metadata(Described, kw_only=True):
    """What a stylizer's file holds."""

    config: _Size
    encoder: _Encoder
