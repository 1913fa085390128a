"""Stylizers in files: one `.safetensors` with the encoder's weights inside, so that it works wherever it is copied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from iin_cli.errors import CheckpointError
from iin_cli.io import checkpoint
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


def open_stylizer(path: Path, device: torch.device | str) -> OpenStylizer:
    """Open a stylizer's file or run folder. CheckpointError when it is missing, foreign or damaged."""
    file = checkpoint.load(path.expanduser(), KIND)
    try:
        stylizer = Stylizer(**file.metadata["config"])
        stylizer.load_state_dict(file.tensors)
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{file.path} does not hold the stylizer its metadata describes: {error}") from error
    stylizer = stylizer.to(device).eval().requires_grad_(False)
    return OpenStylizer(stylizer, file.path, checkpoint.digest(file.path), file.metadata)
