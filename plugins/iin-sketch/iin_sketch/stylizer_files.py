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

__all__ = ["PRODUCT", "OpenStylizer", "open_stylizer", "save_stylizer", "stopped_early", "training_state"]

KIND = "stylizer"
PRODUCT = f"{KIND}.safetensors"


@dataclass(frozen=True)
class OpenStylizer:
    """A stylizer ready to draw: in evaluation mode, frozen, on its device; with the sha256 of its file."""

    stylizer: Stylizer
    path: Path
    sha256: str
    metadata: dict[str, Any]

    @property
    def stopped_early(self) -> bool:
        """Whether a time limit ended its training before the last step."""
        return stopped_early(self.metadata.get("training") or {})

    @property
    def described(self) -> str:
        """How far it was trained, with which encoder, on which data, in one line."""
        data = self.metadata.get("data") or {}
        source = self.metadata["encoder"]["source"]
        encoder = {"default": "VGG-19", "random": "random filters"}.get(source, source)
        state = training_state(self.metadata.get("training") or {})
        return f"{state}, encoder {encoder}, data {data.get('name', 'unknown')}"


def training_state(training: Mapping[str, Any]) -> str:
    """Say how many of the planned steps were trained, and what ended training early.

    >>> training_state({"steps": 105, "planned_steps": 1000, "stopped": "time"})
    '105 of 1,000 steps (stopped early, by the time limit)'
    >>> training_state({"steps": 1000, "planned_steps": 1000, "stopped": "steps"})
    '1,000 of 1,000 steps'
    """
    steps, planned = training.get("steps"), training.get("planned_steps")
    if not isinstance(steps, int):
        return "an unknown number of steps"
    # Files of earlier versions do not say how many steps were planned.
    of = f" of {planned:,}" if isinstance(planned, int) else ""
    return f"{steps:,}{of} steps{' (stopped early, by the time limit)' if stopped_early(training) else ''}"


def stopped_early(training: Mapping[str, Any]) -> bool:
    """Say whether a time limit ended the training before its last step."""
    return training.get("stopped") == "time"


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
