"""The real images that explanations are compared with: a dataset's training images, encoded, with their labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..figures.explanations import Neighbour
from ..plugin_api import Dataset
from ..progress import Reporter
from .grouping import encode_items
from .opening import OpenTranslator
from .reading import to_tilde

__all__ = ["Library", "Space", "open_library"]

Space = Literal["z-tilde", "z"]
# Rows translated between two words of progress.
BLOCK = 512
# Two readings of one image, by file or by dataset, differ by rounding; two images differ by more.
SAME = 1e-3


@dataclass(frozen=True)
class Library:
    """Real images to compare with.

    Attributes:
        items: their numbers in `dataset`, int64 (M,).
        z: latents (M, N).
        rows: what distances are measured between, (M, N): z or z̃.
    """

    opened: OpenTranslator
    dataset: Dataset
    items: np.ndarray
    z: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.items)

    def same_as(self, z: Tensor) -> Tensor:
        """Say which images are the one whose latent is `z` (1, N), bool (M,)."""
        return (self.z - z).norm(dim=1) <= SAME * z.norm()

    def describe(self, numbers: Tensor, distances: Tensor) -> list[list[dict[str, Any]]]:
        """Name the nearest images (Q, k) of each query, with label and distance."""
        return [
            [
                {
                    "image": self.dataset.path(int(self.items[number])),
                    "item": int(self.items[number]),
                    "label": self._label(number),
                    "distance": distance,
                }
                for number, distance in zip(row.tolist(), far.tolist(), strict=True)
            ]
            for row, far in zip(numbers, distances, strict=True)
        ]

    def label_shares(self, numbers: Tensor) -> dict[str, float]:
        """Return which fraction of the images (Q, k) has each label; empty without class labels."""
        labels = [self._label(number) for number in numbers.flatten().tolist()]
        counts = Counter(label for label in labels if label is not None)
        return {label: count / len(labels) for label, count in counts.most_common()}

    def looks(self, numbers: Tensor) -> list[Neighbour]:
        """Return the images (k,) as a figure shows them."""
        backbone = self.opened.backbone
        pixels = self.dataset.images(self.items[numbers.numpy()], backbone.image_size, backbone.interpolation)
        return [
            Neighbour(image, self._label(number) or "") for image, number in zip(pixels, numbers.tolist(), strict=True)
        ]

    def _label(self, number: int) -> str | None:
        labels = self.dataset.labels.get("class")
        if labels is None:
            return None
        value = labels.values[self.items[number]]
        return labels.names[int(value)] if labels.names is not None else f"{value:g}"


def open_library(
    opened: OpenTranslator, dataset: Dataset, space: Space, most: int, seed: int, report: Reporter
) -> Library:
    """Encode the training images of `dataset` (all of it where it has none), and keep at most `most`, drawn by `seed`.

    All are encoded, since that is what a fit has done already: what it cached is used. Raises DataError for no image.
    """
    items = np.asarray(dataset.splits["train"])
    items = items if len(items) else np.arange(len(dataset.sources))
    if not len(items):
        raise DataError(f"{dataset.name} has no image to compare with")
    found = encode_items(opened.open_backbone, dataset, items, device=opened.device, report=report)
    kept = np.sort(np.random.default_rng(seed).permutation(len(items))[:most])
    z = torch.from_numpy(np.array(found.mean[kept]))
    return Library(opened, dataset, items[kept], z, z if space == "z" else to_tilde(opened, z, report))
