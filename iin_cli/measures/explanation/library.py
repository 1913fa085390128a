"""The real images that explanations are compared with: a dataset's training images, encoded, with their labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...figures.explanations import Neighbour
from ...interpretation.encoding import encode_items, is_encoded
from ...interpretation.open_translator import OpenTranslator
from ...plugin_api import Dataset
from ...progress import Reporter

__all__ = ["Library", "Space", "open_library"]

Space = Literal["z-tilde", "z"]
# Images that are searched where their latents must be made first, which takes a network minutes already.
UNCACHED = 5000
# Of cached latents the numbers that are read, 512 MiB: all, but of the very largest datasets.
MOST_NUMBERS = 2**27
# Two readings of one image, by file or by dataset, differ by rounding; two images differ by more.
SAME = 1e-3


@dataclass(frozen=True)
class Library:
    """Real images to compare with.

    Attributes:
        items: their numbers in `dataset`, int64 (M,).
        z: latents (M, N).
        rows: what distances are measured between, (M, N): z or z̃.
        searchable: images of which these were drawn.
    """

    opened: OpenTranslator
    dataset: Dataset
    items: np.ndarray
    z: Tensor
    rows: Tensor
    searchable: int

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
    opened: OpenTranslator, dataset: Dataset, space: Space, most: int | None, seed: int, report: Reporter
) -> Library:
    """Encode training images of `dataset` (any of it where it has none), or find what a fit has cached of all of them.

    Args:
        most: images at most, drawn by `seed`. None: all where their latents are cached, else 5,000.

    Raises DataError for no image.
    """
    everything = np.asarray(dataset.splits["train"])
    everything = everything if len(everything) else np.arange(len(dataset.sources))
    if not len(everything):
        raise DataError(f"{dataset.name} has no image to compare with")
    there = is_encoded(opened.network, dataset, everything)
    bound = MOST_NUMBERS // opened.factors.dim if there else UNCACHED
    kept = np.sort(np.random.default_rng(seed).permutation(len(everything))[: bound if most is None else most])
    if most is None and len(kept) < len(everything):
        why = "" if there else ", since their latents are not cached"
        report.note(
            f"{len(kept):,} of {len(everything):,} training images of {Path(dataset.name).name} are searched, "
            f"drawn by seed {seed}{why}; --search says how many"
        )
    items = everything[kept]
    found = encode_items(opened.network, dataset, everything if there else items, device=opened.device, report=report)
    z = torch.from_numpy(np.array(found.mean[kept] if there else found.mean))
    rows = z if space == "z" else opened.transform(z, report)
    return Library(opened, dataset, items, z, rows, len(everything))
