"""What commands that read a network start from: a translator, images of its data, and their latents z and z̃."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..distributed import choose_device
from ..metrics.bootstrap import FEW_ITEMS
from ..plugin_api import Dataset
from ..progress import Reporter, Silent
from .grouping import encode_items
from .inputs import choose_items, recorded_data, split_items
from .opening import OpenTranslator, open_data, open_translator
from .pieces import in_pieces

__all__ = ["Reading", "from_tilde", "open_reading", "read_items", "to_tilde"]


@dataclass(frozen=True)
class Reading:
    """Items of a dataset as a translator sees them.

    Attributes:
        items: their numbers in `dataset`, int64 (M,).
        z: latents (M, N), of a stochastic encoder the posterior's means; `z_tilde`: T(z); both on the CPU.
    """

    opened: OpenTranslator
    dataset: Dataset
    items: np.ndarray
    z: Tensor
    z_tilde: Tensor

    def __len__(self) -> int:
        return len(self.items)

    @property
    def images(self) -> np.ndarray:
        """The items' images, uint8 (M, S, S, 3), at the backbone's size."""
        backbone = self.opened.backbone
        return self.dataset.images(self.items, backbone.image_size, backbone.interpolation)


def open_reading(
    translator: Path,
    *,
    data: str | None,
    data_root: Path | None,
    split: str = "test",
    n: int | None = None,
    seed: int = 0,
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter,
) -> Reading:
    """Open a translator with its backbone and its data (else `data`), and encode items of a split once.

    Args:
        n: how many items, drawn by `seed`; None takes all, and where there are fewer, all of them.

    Warns where there are too few for an interval to be trusted. Raises UsageError, DataError, CheckpointError.
    """
    opened = open_translator(translator, choose_device(device), backbone)
    _ = opened.backbone
    dataset = open_data(data, recorded_data(opened), data_root, report)
    there = split_items(dataset, split)
    items = there if n is None or n >= len(there) else choose_items(dataset, split, n, seed)
    if len(items) < FEW_ITEMS:
        report.warn(f"{len(items)} images of {dataset.name} in {split}: intervals from so few are rough")
    return read_items(opened, dataset, items, report)


def read_items(opened: OpenTranslator, dataset: Dataset, items: np.ndarray, report: Reporter) -> Reading:
    """Encode items `items` (M,) of `dataset`, each once ever, and translate them."""
    found = encode_items(opened.open_backbone, dataset, items, device=opened.device, report=report)
    z = torch.from_numpy(np.array(found.mean))
    return Reading(opened, dataset, items, z, to_tilde(opened, z))


def to_tilde(opened: OpenTranslator, z: Tensor, report: Reporter | None = None) -> Tensor:
    """T of any number of rows, in pieces, on the CPU: z (..., N) -> z̃ (..., N)."""
    return _mapped(opened, z, lambda rows: opened.translator(rows)[0], report)


def from_tilde(opened: OpenTranslator, z_tilde: Tensor) -> Tensor:
    """T⁻¹ of any number of rows, in pieces, on the CPU: z̃ (..., N) -> z (..., N)."""
    return _mapped(opened, z_tilde, opened.translator.inverse)


def _mapped(
    opened: OpenTranslator, rows: Tensor, function: Callable[[Tensor], Tensor], report: Reporter | None = None
) -> Tensor:
    flat, pieces = rows.reshape(-1, rows.shape[-1]), []
    with (report or Silent()).task("translating", len(flat), "images") as task:
        for piece in in_pieces(len(flat), flat.__getitem__, function, opened.device):
            pieces.append(piece)
            task.advance(len(piece))
    return torch.cat(pieces).view_as(rows)
