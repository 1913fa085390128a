"""The real images that explanations are compared with: training images of a dataset, encoded, with their labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError, one_of
from ...interpretation.encoding import encode_items, is_encoded
from ...interpretation.network import Network
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.reading import ChosenData, Reading
from ...latents.cache import MappedRows
from ...metrics.neighbours import CentredRows, nearest_of_blocks
from ...plugin_api import Dataset
from .naming import Naming

__all__ = ["Found", "Library", "LibraryChoice", "Near", "Space"]

Space = Literal["network", "z", "z-tilde"]
# Images searched where their latents must be computed first, which takes a network minutes already.
UNCACHED = 5000
# Numbers read of cached latents, 512 MiB: all of them, except in the very largest datasets.
MOST_NUMBERS = 2**27
# Two readings of one image, by file or by dataset, differ by rounding; two images differ by more.
SAME = 1e-3
# Images nearest in z, for each query, among which the nearest are then searched in another space.
CANDIDATES = 128
# Queries at once, of which all candidates are in memory.
QUERIES = 32
# Numbers kept of the rows made ready to be searched, and of answers: 128 MiB each.
KEPT_NUMBERS = 2**25
# Images whose spread puts z and the answers on one scale.
SCALED_BY = 256
BLOCK_ROWS = 4096


@dataclass(frozen=True)
class Near:
    """A real image near an edit.

    Attributes:
        image: what it is called; `item`: its number in the data.
        label: by the data; `predicted`: what the network says of it.
        distance: in the space that was searched.
    """

    image: str
    item: int
    label: str | None
    distance: float
    predicted: str | None = None


@dataclass(frozen=True)
class Found:
    """The images nearest to Q queries.

    Attributes:
        numbers: their rows in the library, int64 (Q, k); `distances`: (Q, k).
        says: the class that the network gives each, int64 (Q, k); None where it names none.
        says_in_z: the same for the images nearest in plain z.
    """

    numbers: Tensor
    distances: Tensor
    says: Tensor | None = None
    says_in_z: Tensor | None = None

    def split(self, sizes: Sequence[int]) -> list[Found]:
        """Return the queries in parts of these sizes."""
        parts = zip(
            *(
                [None] * len(sizes) if each is None else each.split(list(sizes))
                for each in (self.numbers, self.distances, self.says, self.says_in_z)
            ),
            strict=True,
        )
        return [Found(*part) for part in parts]


@dataclass(frozen=True)
class Library:
    """Real images to compare with.

    Attributes:
        items: their numbers in `dataset`, int64 (M,).
        z: latents (M, N), in memory or mapped from the cache.
        space: where distances are measured: `network`, z and the network's answer in equal parts; `z`; or `z-tilde`.
        searchable: images from which these were drawn, by `seed`.
        k: how many of the nearest are reported.
    """

    opened: OpenTranslator
    dataset: Dataset
    items: np.ndarray
    z: np.ndarray | MappedRows
    space: Space = "network"
    searchable: int = 0
    k: int = 5
    seed: int = 0

    @classmethod
    def of(cls, reading: Reading, k: int = 5, space: Space = "network") -> Self:
        """Compare with the items of `reading`, whose latents are in memory."""
        return cls(reading.opened, reading.dataset, reading.items, reading.z.numpy(), space, len(reading), k)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def network(self) -> Network:
        """The network that sees the images."""
        return self.opened.require_network()

    @cached_property
    def naming(self) -> Naming:
        """What the images are called."""
        return Naming.of(self.dataset, self.opened.factors.names)

    def rows(self, numbers: np.ndarray | Tensor) -> Tensor:
        """Return the latents (B, N) of images `numbers` (B,)."""
        return torch.from_numpy(self.z[np.asarray(numbers)])

    def nearest(self, z: Tensor, itself: Tensor | None = None) -> Found:
        """Find the images nearest to latents z (Q, N), other than the one whose latent is `itself` (1, N).

        In another space than z only the images nearest in z to the same query are compared, so that neither T nor G
        sees all of them; a query's answer does not depend on the queries beside it.
        Raises DataError where no other image is left.
        """
        candidates = self._candidates(z, max(CANDIDATES, 4 * self.k))
        numbers, places = candidates.unique(return_inverse=True)
        rows, other = self.rows(numbers), torch.ones(len(numbers), dtype=torch.bool)
        if itself is not None:
            other = (rows - itself).norm(dim=1) > SAME * itself.norm()
        there = int(other[places].sum(1).amin())
        if not there:
            raise DataError(f"{self.dataset.name} has no other image to compare with")
        k, answers = min(self.k, there), self._known_answers(numbers, rows)
        in_z, far = _nearest_of(z, rows, places, other, k)
        own, distances = in_z, far
        if self.space != "z":
            own, distances = _nearest_of(*self._placed(z, rows, answers), places, other, k)
        if answers is None:
            return Found(numbers[own], distances)
        says = answers.argmax(1)
        return Found(numbers[own], distances, says[own], says[in_z])

    def describe(self, found: Found) -> list[tuple[Near, ...]]:
        """Name the nearest images of each query."""
        names = self.network.answer.names
        return [
            tuple(
                self._near(number, far, None if found.says is None else names[int(found.says[row, place])])
                for place, (number, far) in enumerate(zip(numbers, found.distances[row].tolist(), strict=True))
            )
            for row, numbers in enumerate(found.numbers.tolist())
        ]

    def label_shares(self, numbers: Tensor, factor: str) -> dict[str, float]:
        """Return which fraction of the images (Q, k) has each label that names `factor`; empty without labels."""
        return self.naming.shares(self.items[numbers.flatten().numpy()], factor)

    def pictures(self, numbers: Tensor) -> np.ndarray:
        """Return the images (k,) at the network's size, uint8 (k, S, S, 3)."""
        backbone = self.network.backbone
        return self.dataset.images(self.items[numbers.numpy()], backbone.image_size, backbone.interpolation)

    def _candidates(self, z: Tensor, wanted: int) -> Tensor:
        """Return the numbers of the images nearest in z to each query, ascending, (Q, wanted)."""
        if self._ready is not None:
            return self._ready.nearest(z, wanted).sort(1).values
        return nearest_of_blocks(z, self._blocks(), wanted).sort(1).values

    @cached_property
    def _ready(self) -> CentredRows | None:
        """All rows, where they are in memory and few."""
        if isinstance(self.z, MappedRows) or self.z.size > KEPT_NUMBERS:
            return None
        return CentredRows.of(self.z)

    def _known_answers(self, numbers: Tensor, rows: Tensor) -> Tensor | None:
        """Return what the network says of images `numbers`, whose latents are `rows`; each is asked once."""
        classes = len(self.network.answer.names)
        if not classes or len(self) * classes > KEPT_NUMBERS:
            return self._answers(rows)
        names = numbers.tolist()
        new = [place for place, number in enumerate(names) if number not in self._said]
        if new and (answers := self._answers(rows[new])) is not None:
            self._said.update(zip((names[place] for place in new), answers, strict=True))
        return torch.stack([self._said[number] for number in names])

    @cached_property
    def _said(self) -> dict[int, Tensor]:
        return {}

    def _blocks(self) -> Iterator[np.ndarray]:
        if isinstance(self.z, MappedRows):
            return self.z.blocks()
        return (self.z[start : start + BLOCK_ROWS] for start in range(0, len(self.z), BLOCK_ROWS))

    def _near(self, number: int, distance: float, predicted: str | None) -> Near:
        item = int(self.items[number])
        return Near(self.dataset.path(item), item, self.naming.name(item), distance, predicted)

    def _answers(self, z: Tensor) -> Tensor | None:
        """Return what the network says of latents (B, N), probabilities (B, C); None where it names no class."""
        return self.network.answers(z).exp() if self.network.answer.names else None

    def _placed(self, z: Tensor, rows: Tensor, answers: Tensor | None) -> tuple[Tensor, Tensor]:
        """Place queries z (Q, N) and `rows` (B, N) in the space that is searched."""
        if self.space == "z-tilde":
            return self.opened.transform(z), self.opened.transform(rows)
        asked = self._answers(z)
        if answers is None or asked is None:
            return z, rows
        of_z, of_answers = self._spreads
        return (
            torch.cat((z / of_z, asked.sqrt() / of_answers), 1),
            torch.cat((rows / of_z, answers.sqrt() / of_answers), 1),
        )

    @cached_property
    def _spreads(self) -> tuple[float, float]:
        """Root mean square distances from the mean, of z and of the roots of probabilities (Hellinger's distance)."""
        chosen = np.sort(np.random.default_rng(self.seed).permutation(len(self))[:SCALED_BY])
        rows = self.rows(chosen)
        answers = self._answers(rows)
        of = lambda values: max(float(values.double().var(0, correction=0).sum()) ** 0.5, 1e-6)  # noqa: E731
        return of(rows), 1.0 if answers is None else of(answers.sqrt())


def _nearest_of(z: Tensor, rows: Tensor, places: Tensor, other: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Find, for each query (Q, D), the `k` nearest of its own candidates.

    Args:
        rows: all candidates (U, D).
        places: those of each query, (Q, P), in the order in which equally near ones are named.
        other: bool (U,), those that count.

    Returns their places in `rows` and distances (Q, k).
    """
    found, distances = [], []
    for some, own in zip(z.split(QUERIES), places.split(QUERIES), strict=True):
        far = (some[:, None] - rows[own]).norm(dim=2).masked_fill(~other[own], torch.inf)
        near = far.sort(dim=1, stable=True)
        found.append(own.gather(1, near.indices[:, :k]))
        distances.append(near.values[:, :k])
    return torch.cat(found), torch.cat(distances)


@dataclass(frozen=True)
class LibraryChoice:
    """Which real images are compared with.

    Attributes:
        k: how many of the nearest are reported.
        space: where distances are measured, all Euclidean: `network`, in z beside the network's own answers; `z`; or
            `z-tilde`, whose factors are N(0, 1).
        most: images at most, drawn by the data's seed. None: all where their latents are cached, else 5,000.

    Raises UsageError for another space.
    """

    k: int = 5
    space: Space = "network"
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
        if len(kept) == len(everything):
            z = encode_items(data.network, dataset, everything, report=report).mean
            return Library(opened, dataset, everything, z, self.space, len(everything), self.k, seed)
        items = everything[kept]
        z = np.asarray(encode_items(data.network, dataset, items, report=report).mean)
        return Library(opened, dataset, items, z, self.space, len(everything), self.k, seed)
