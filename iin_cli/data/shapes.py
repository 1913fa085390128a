"""`shapes`: 12,000 drawn shapes of known corner roundness, colour, size, rotation and position; no download.

Each item is drawn on request, at the requested size, and can be drawn again with another value of one of its
parameters: ground truth for what a factor should hold and what it should not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import DataError, UsageError, nearest
from ..plugin_api import Dataset, Interpolation, Labels
from .arrays import digest
from .drawing import BACKGROUND, KINDS, Figures, as_rgb, paint

__all__ = ["RANGES", "ShapesDataset", "open_shapes"]

TRAIN_ITEMS, TEST_ITEMS = 10_000, 2_000
PARAMETER_SEED = 20_200_614
# Part of the fingerprint: increase it whenever the same parameters are drawn another way.
DRAWING = b"shapes, drawing 1"
# No shape reaches the image's edge, and no turn makes a shape look like another kind or like its own mirror image.
RANGES = {
    "roundness": (0.0, 1.0),
    "hue": (0.0, 1.0),
    "saturation": (0.35, 1.0),
    "size": (0.28, 0.4),
    "turn": (-30.0, 30.0),
    "x": (-0.07, 0.07),
    "y": (-0.07, 0.07),
}
COLUMNS = ("class", *RANGES)
CLASSES = (None, "class", "color", "corners")
COLORS = ("red", "yellow", "green", "cyan", "blue", "magenta")
CORNERS = ("sharp", "soft", "softer", "round")


class ShapesDataset(Dataset):
    """One shape per item, with independent and uniform parameters.

    Labels, float64 except for the first and the last two:
        class: the kind, one of `KINDS`; every kind can be recognised at every roundness.
        roundness: 0 for sharp corners to 1 (a radius of `Kind.softest` times the shape's).
        hue, saturation: the colour's, in [0, 1) (a circle: 0 and 1 are red) and [0.35, 1]; its HSV value is 0.92.
        size: circumradius as a fraction of the image's side.
        turn: degrees counter-clockwise from upright.
        x, y: offset of the centre from the image's, right and down, as fractions of the side.
        color: the nearest of six named hues; corners: the quarter that roundness lies in.

    Args:
        classes: the column that a classifier learns, `class`, `color` or `corners`. Another column than `class` is also
            labelled `class`, and the kind is labelled `kind`.
    """

    def __init__(self, classes: str = "class") -> None:
        values = _parameters(TRAIN_ITEMS + TEST_ITEMS)
        color = np.rint(values["hue"] * len(COLORS)).astype(np.int64) % len(COLORS)
        corners = np.minimum((values["roundness"] * len(CORNERS)).astype(np.int64), len(CORNERS) - 1)
        names = {"class": tuple(kind.name for kind in KINDS)}
        self.name = "shapes"
        self.labels = {
            **{column: Labels(values[column], names.get(column)) for column in COLUMNS},
            "color": Labels(color, COLORS),
            "corners": Labels(corners, CORNERS),
        }
        if classes != "class":
            self.name = f"shapes:{classes}"
            self.labels = {**self.labels, "class": self.labels[classes], "kind": self.labels["class"]}
        self._values = values
        self.sources = np.arange(len(color))
        self.splits = {"train": self.sources[:TRAIN_ITEMS], "test": self.sources[TRAIN_ITEMS:]}
        self.native_size = 64
        outlines = np.array([[*kind.vertices.ravel(), kind.folds, kind.upright, kind.softest] for kind in KINDS])
        table = [values[column] for column in COLUMNS]
        self.fingerprint = digest(DRAWING, classes.encode(), np.array([BACKGROUND, TRAIN_ITEMS]), outlines, *table)

    def images(self, indices: np.ndarray, size: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        """Draw items `indices` (B,) at side `size`: uint8 (B, size, size, 3); nothing is resized.

        Other machines draw the same, up to one grey level on an outline.
        """
        return self.drawn(indices, size, {})

    def drawn(self, indices: np.ndarray, size: int, changes: Mapping[str, np.ndarray]) -> np.ndarray:
        """Draw items `indices` (B,), with other values (B,) of the columns in `changes`: uint8 (B, size, size, 3).

        Raises DataError for a column that is not drawn.
        """
        indices = np.asarray(indices)
        for column in changes:
            _check_column(column)
        values = {column: np.asarray(changes.get(column, self._values[column][indices])) for column in COLUMNS}
        figures = Figures(
            kinds=values["class"],
            radius=values["size"],
            roundness=values["roundness"],
            turn=values["turn"],
            x=values["x"],
            y=values["y"],
            colors=as_rgb(values["hue"], values["saturation"]),
        )
        return paint(figures, size)

    def redraw(self, indices: np.ndarray, size: int, column: str, seed: int) -> np.ndarray:
        """Draw items `indices` (B,) with a fresh value of `column` and all else equal: uint8 (B, size, size, 3)."""
        return self.drawn(indices, size, {column: self.redrawn_values(indices, column, seed)})

    def redrawn_values(self, indices: np.ndarray, column: str, seed: int) -> np.ndarray:
        """Return the values (B,) of `column` that `redraw` gives items `indices` (B,).

        They depend on (seed, column, item) only. Raises DataError for a column that is not drawn.
        """
        _check_column(column)
        stream = np.random.Philox(np.random.SeedSequence([PARAMETER_SEED, seed, COLUMNS.index(column)]))
        return _scaled(column, np.random.Generator(stream).random(len(self.sources)))[np.asarray(indices)]

    def path(self, index: int) -> str:
        """Return the item with what it shows: `shapes[7] star`."""
        kind = self._values["class"][index]
        return f"{self.name}[{index}] {KINDS[kind].name}"


def open_shapes(data_root: Path | None = None, argument: str | None = None) -> ShapesDataset:
    """Open 10,000 + 2,000 drawn shapes; `shapes:corners` has the corners as its classes, `shapes:color` the colours.

    Raises UsageError for another argument.
    """
    if argument not in CLASSES:
        raise UsageError(f"dataset shapes:{argument}: {nearest(str(argument), CLASSES[1:])}")
    return ShapesDataset(argument or "class")


def _parameters(items: int) -> dict[str, np.ndarray]:
    """Return every column of the first `items` items; item i uses the words 8i … 8i+7 of one counter-based stream."""
    uniform = np.random.Generator(np.random.Philox(key=PARAMETER_SEED)).random((items, len(COLUMNS)))
    return {column: _scaled(column, uniform[:, place]) for place, column in enumerate(COLUMNS)}


def _scaled(column: str, uniform: np.ndarray) -> np.ndarray:
    if column == "class":
        return (uniform * len(KINDS)).astype(np.int64)
    low, high = RANGES[column]
    return low + (high - low) * uniform


def _check_column(column: str) -> None:
    if column not in COLUMNS:
        raise DataError(f"shapes cannot be drawn again with another {column!r}: {nearest(column, COLUMNS)}")
