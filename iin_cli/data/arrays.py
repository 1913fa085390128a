"""Images in memory as a dataset, plain (`ArrayDataset`) or each item in a colour of its own (`ColoredDataset`).

Pillow resizes everywhere, bicubic by default (its support widens when shrinking, so it is antialiased): one resampler
for arrays and files, and the same bytes on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from ..errors import DataError
from ..plugin_api import Dataset, Interpolation, Labels

__all__ = ["ArrayDataset", "ColoredDataset", "digest", "draw_colors", "resize", "stratified_split"]

COLOR_GROUP = 8
# Of the colours that items are drawn again in.
REDRAWN_SEED = 2021


class ArrayDataset(Dataset):
    """Images (M, S, S) or (M, S, S, 3) uint8 held in memory.

    `pad` black pixels on each side make the canvas that other sizes are resized from; `native_size` stays S.
    Every image is a source of its own.
    """

    def __init__(
        self,
        name: str,
        pixels: np.ndarray,
        labels: Mapping[str, Labels],
        splits: Mapping[str, np.ndarray],
        pad: int = 0,
    ) -> None:
        _check_labels(name, len(pixels), labels)
        self.name = name
        self.labels = labels
        self.splits = splits
        self.sources = np.arange(len(pixels))
        self.native_size = pixels.shape[1]
        self.fingerprint = digest(pixels, np.array([pad]), *_parts(labels, splits))
        self._pixels = pixels
        self._pad = pad

    def pixels(self, indices: np.ndarray, size: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        """Return items `indices` (B,) as stored, resized: uint8 (B, size, size) or (B, size, size, 3)."""
        pixels = self._pixels[indices]
        if self._pad:
            margin = [(0, 0), (self._pad, self._pad), (self._pad, self._pad), (0, 0)][: pixels.ndim]
            pixels = np.pad(pixels, margin)
        return resize(pixels, size, interpolation)

    def images(self, indices: np.ndarray, size: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        """Return items `indices` (B,) as uint8 (B, size, size, 3)."""
        pixels = self.pixels(indices, size, interpolation)
        return pixels if pixels.ndim == 4 else np.repeat(pixels[..., None], 3, axis=-1)


class ColoredDataset(Dataset):
    """Grey images, each item drawn in one colour: item i is image `sources[i]` of `base` times `colors[i]`.

    For x in [-1, 1] that is x · colour, as the authors define ColorMNIST: strokes (x = 1) take the colour, black
    (x = −1) its negative. Only the items asked for are ever coloured.

    Attributes:
        colors: (M, 3) float32 in [0, 1], the colour of every item; label `color` is its identity.
    """

    def __init__(
        self, name: str, base: ArrayDataset, sources: np.ndarray, rounds: Sequence[np.ndarray], seed: int
    ) -> None:
        """Draw colours for the items, in `rounds` as `draw_colors` takes them; an item's split is its source's."""
        color_ids, palette = draw_colors(rounds, seed)
        copied = {column: Labels(label.values[sources], label.names) for column, label in base.labels.items()}
        self.name = name
        self.labels = {**copied, "color": Labels(color_ids)}
        self.splits = {split: np.flatnonzero(np.isin(sources, chosen)) for split, chosen in base.splits.items()}
        self.sources = sources
        self.native_size = base.native_size
        colors = palette[color_ids].astype(np.float32)
        self.colors = self._colors = colors
        self.fingerprint = digest(b"x * colour", base.fingerprint.encode(), colors, *_parts(self.labels, self.splits))
        self._base = base

    def images(self, indices: np.ndarray, size: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        """Return items `indices` (B,) as uint8 (B, size, size, 3)."""
        indices = np.asarray(indices)
        return self._painted(indices, size, self._colors[indices], interpolation)

    def redraw(self, indices: np.ndarray, size: int, column: str, seed: int) -> np.ndarray:
        """Draw items `indices` (B,) in fresh colours, which depend on (seed, item) only: uint8 (B, size, size, 3).

        Raises DataError for any column but `color`.
        """
        if column != "color":
            raise DataError(f"{self.name} can be drawn again with another color, and no other {column!r}")
        indices = np.asarray(indices)
        stream = np.random.Philox(np.random.SeedSequence([REDRAWN_SEED, seed]))
        colors = np.random.Generator(stream).random((len(self.sources), 3)).astype(np.float32)
        return self._painted(indices, size, colors[indices], "bicubic")

    def _painted(self, indices: np.ndarray, size: int, colors: np.ndarray, interpolation: Interpolation) -> np.ndarray:
        """Paint items `indices` (B,) in `colors` (B, 3)."""
        grey = self._base.pixels(self.sources[indices], size, interpolation)
        # In uint8 terms 127.5 is x = 0, which no colour moves.
        colored = (grey[..., None] - np.float32(127.5)) * colors[:, None, None, :]
        colored += 127.5
        return np.rint(colored, out=colored).astype(np.uint8)


def resize(pixels: np.ndarray, size: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
    """Resize uint8 images (B, S, S) or (B, S, S, 3) to side `size`, antialiased; no copy when S = size."""
    if pixels.shape[1] == size:
        return pixels
    resized = np.empty((len(pixels), size, size, *pixels.shape[3:]), dtype=np.uint8)
    for row, image in zip(resized, pixels, strict=True):
        row[...] = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling[interpolation.upper()]))
    return resized


def draw_colors(rounds: Sequence[np.ndarray], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw iid colours U[0, 1]³, each shared by a group of 8 items, and return (color_ids (M,), palette (G, 3)).

    `rounds` partition the items 0..M-1. Inside a round of n items a random permutation deals the items to n // 8 new
    colours (8 items each, 9 where n is no multiple of 8). Every item's colour is therefore U[0, 1]³ and independent of
    what the item shows, and yet two items of one colour exist without rendering, or encoding, any item twice.
    No colour occurs in two rounds. The draw is a Philox stream of `seed`: the same on every machine.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    color_ids = np.full(sum(map(len, rounds)), -1, dtype=np.int64)
    palettes: list[np.ndarray] = []
    first = 0
    for items in rounds:
        count = max(1, len(items) // COLOR_GROUP)
        color_ids[items[generator.permutation(len(items))]] = first + np.arange(len(items)) % count
        palettes.append(generator.random((count, 3)))
        first += count
    return color_ids, np.concatenate(palettes)


def stratified_split(values: np.ndarray, test_fraction: float, seed: int) -> dict[str, np.ndarray]:
    """Split items with labels `values` (M,) so that each label gives the same fraction to the test split."""
    generator = np.random.Generator(np.random.Philox(seed))
    is_test = np.zeros(len(values), dtype=bool)
    for value in np.unique(values):
        members = generator.permutation(np.flatnonzero(values == value))
        is_test[members[: round(test_fraction * len(members))]] = True
    return {"train": np.flatnonzero(~is_test), "test": np.flatnonzero(is_test)}


def _check_labels(name: str, items: int, labels: Mapping[str, Labels]) -> None:
    """Raise DataError when a label column is not as long as the images, or a label has no name."""
    for column, label in labels.items():
        if len(label.values) != items:
            raise DataError(f"{name} has {items} images but {len(label.values)} labels in {column!r}: fetch it again")
        if label.names is not None and items and not 0 <= label.values.min() <= label.values.max() < len(label.names):
            raise DataError(f"{name} has a label outside 0-{len(label.names) - 1} in {column!r}: fetch it again")


def digest(*parts: np.ndarray | bytes) -> str:
    """Return the sha256 of arrays (shape, type and bytes) and byte strings, in order."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            sha.update(f"{part.shape}{part.dtype.str}".encode())
            sha.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
        else:
            sha.update(part)
    return sha.hexdigest()


def _parts(labels: Mapping[str, Labels], splits: Mapping[str, np.ndarray]) -> list[np.ndarray | bytes]:
    parts: list[np.ndarray | bytes] = []
    for column in sorted(labels):
        parts += [f"{column}:{labels[column].names}".encode(), labels[column].values]
    for split in sorted(splits):
        parts += [split.encode(), splits[split]]
    return parts
