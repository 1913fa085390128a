"""The real images that explanations are compared with: training images of a dataset, encoded, with their labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
from torch import Tensor

from ...errors import DataError, one_of
from ...figures.explanations import Neighbour
from ...interpretation.encoding import encode_items, is_encoded
from ...interpretation.network import Network
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.reading import ChosenData, Reading
from ...metrics.neighbours import nearest_rows
from ...plugin_api import Dataset

__all__ = ["Library", "LibraryChoice", "Near", "Space"]

Space = Literal["z-tilde", "z"]
# Images searched where their latents must be computed first, which takes a network minutes already.
UNCACHED = 5000
# Numbers read of cached latents, 512 MiB: all of them, except in the very largest datasets.
MOST_NUMBERS = 2**27
# Two readings of one image, by file or by dataset, differ by rounding; two images differ by more.
SAME = 1e-3


@dataclass(frozen=True)
class Near:
    """A real image near an edit: what it is called, its number in the data, its label, and how far it is."""

    image: str
    item: int
    label: str | None
    distance: float


@dataclass(frozen=True)
class Library:
    """Real images to compare with.

    Attributes:
        items: their numbers in `dataset`, int64 (M,).
        z: latents (M, N).
        rows: the rows between which distances are measured, (M, N): z or z̃, as `space` says.
        searchable: images from which these were drawn, by `seed`.
        k: how many of the nearest are reported.
    """

    opened: OpenTranslator
    dataset: Dataset
    items: np.ndarray
    z: Tensor
    rows: Tensor
    space: Space
    searchable: int
    k: int = 5
    seed: int = 0

    @classmethod
    def of(cls, reading: Reading, k: int = 5, space: Space = "z-tilde") -> Self:
        """Compare with the items of `reading`, whose latents are in memory."""
        rows = reading.z if space == "z" else reading.z_tilde
        return cls(reading.opened, reading.dataset, reading.items, reading.z, rows, space, len(reading), k)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def network(self) -> Network:
        """The network that sees the images."""
        return self.opened.require_network()

    def nearest(self, z: Tensor, z_tilde: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        """Find the images nearest to latents z (Q, N), whose T(z) is z̃: numbers and distances, both (Q, k).

        Those that `skip` (M,) names do not count. Raises DataError where no other image is left.
        """
        return nearest_rows(z if self.space == "z" else z_tilde, self.rows, self.k, skip)

    def same_as(self, z: Tensor) -> Tensor:
        """Say which images are the one whose latent is `z` (1, N), bool (M,)."""
        return (self.z - z).norm(dim=1) <= SAME * z.norm()

    def describe(self, numbers: Tensor, distances: Tensor) -> list[tuple[Near, ...]]:
        """Name the nearest images of each query, numbers and distances (Q, k)."""
        return [
            tuple(
                Near(self.dataset.path(int(self.items[number])), int(self.items[number]), self._label(number), distance)
                for number, distance in zip(row.tolist(), far.tolist(), strict=True)
            )
            for row, far in zip(numbers, distances, strict=True)
        ]

    def label_shares(self, numbers: Tensor) -> dict[str, float]:
        """Return which fraction of the images (Q, k) has each label; empty without class labels."""
        labels = [self._label(number) for number in numbers.flatten().tolist()]
        counts = Counter(label for label in labels if label is not None)
        return {label: count / len(labels) for label, count in counts.most_common()}

    def pictures(self, numbers: Tensor) -> list[Neighbour]:
        """Return the images (k,) as a figure shows them."""
        backbone = self.network.backbone
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


@dataclass(frozen=True)
class LibraryChoice:
    """Which real images are compared with.

    Attributes:
        k: how many of the nearest are reported.
        space: `z-tilde`, whose factors are N(0, 1) and so on one scale, or `z`; Euclidean distance in both.
        most: images at most, drawn by the data's seed. None: all where their latents are cached, else 5,000.

    Raises UsageError for another space.
    """

    k: int = 5
    space: Space = "z-tilde"
    most: int | None = None

    def __post_init__(self) -> None:
        one_of("--space", self.space, get_args(Space))

    def open(self, data: ChosenData) -> Library:
        """Encode training images of the data (any images where it has none), or find those that a fit has cached.

        Raises DataError where there is no image.
        """
        opened, dataset, report, seed = data.opened, data.dataset, data.report, data.choice.seed
        everything = np.asarray(dataset.splits["train"])
        everything = everything if len(everything) else np.arange(len(dataset.sources))
        if not len(everything):
            raise DataError(f"{dataset.name} has no image to compare with")
        there = is_encoded(data.network, dataset, everything)
        bound = MOST_NUMBERS // opened.factors.dim if there else UNCACHED
        most = bound if self.most is None else self.most
        kept = np.sort(np.random.default_rng(seed).permutation(len(everything))[:most])
        if self.most is None and len(kept) < len(everything):
            why = "" if there else ", since their latents are not cached"
            report.note(
                f"{len(kept):,} of {len(everything):,} training images of {Path(dataset.name).name} are searched, "
                f"drawn by seed {seed}{why}; --search says how many"
            )
        items = everything[kept]
        z, _ = encode_items(data.network, dataset, items, report=report).moments()
        rows = z if self.space == "z" else opened.transform(z, report)
        return Library(opened, dataset, items, z, rows, self.space, len(everything), self.k, seed)
