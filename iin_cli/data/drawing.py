"""Draw shapes with corners of a known radius, antialiased, from exact distances to their outlines.

Every kind of shape has `folds` mirror axes, so one sector of its outline, at most two straight edges, determines all of
it: a point is folded into that sector by its angle. A corner of radius r is exact: the outline shrinks by r (each edge
moves inwards, each vertex along its mitre), and everything within r of the shrunken outline belongs to the shape.
Corners that point outwards are rounded, those that point inwards stay sharp.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["BACKGROUND", "KINDS", "Figures", "Kind", "as_rgb", "paint"]

# Neither black nor white, so that an autoencoder that draws nothing but background is easy to spot.
BACKGROUND = 52
BRIGHTNESS = 0.92
SUBPIXELS = 4
# Enough to keep numpy busy, and few enough to stay in the processor's cache.
PIXELS_TOGETHER = 1 << 16
TAU = 2 * np.pi


@dataclass(frozen=True)
class Kind:
    """A kind of shape of circumradius 1.

    Attributes:
        folds: number of its mirror axes.
        outline: three points of its outline, from the angle 0 to the angle π / folds.
        upright: rotation that sets it upright, in radians.
        softest: the corners' radius at roundness 1, where the kind can still be recognised.
    """

    name: str
    folds: int
    outline: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    upright: float
    softest: float

    @cached_property
    def vertices(self) -> np.ndarray:
        """The outline's points, float64 (3, 2)."""
        return np.array(self.outline)

    @cached_property
    def normals(self) -> np.ndarray:
        """Unit normals of the two edges, towards the inside, float64 (2, 2)."""
        edges = np.diff(self.vertices, axis=0)
        return np.stack([-edges[:, 1], edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1, keepdims=True)

    @cached_property
    def mitres(self) -> np.ndarray:
        """How far each vertex moves when both edges move inwards by 1, float64 (3, 2)."""
        first, second = self.normals
        axis = np.array([np.cos(np.pi / self.folds), np.sin(np.pi / self.folds)])
        start, end = np.array([1 / first[0], 0.0]), axis / (second @ axis)
        # Two halves of one straight edge have no corner between them: their common end stays in the middle.
        straight = np.allclose(first, second)
        return np.stack([start, (start + end) / 2 if straight else np.linalg.solve(self.normals, np.ones(2)), end])


def _star(name: str, tips: int, notch: float, upright: float, softest: float) -> Kind:
    """Return a star whose notches lie at radius `notch`; with notch = cos(π / tips) a regular polygon."""
    end = (notch * np.cos(np.pi / tips), notch * np.sin(np.pi / tips))
    return Kind(name, tips, ((1.0, 0.0), ((1 + end[0]) / 2, end[1] / 2), end), upright, softest)


# At roundness 1 a triangle, a square, a bar, a cross and a star can still be told apart by their whole outline.
KINDS = (
    _star("triangle", 3, 0.5, np.pi / 2, 0.26),
    _star("square", 4, np.cos(np.pi / 4), np.pi / 4, 0.42),
    Kind("bar", 2, ((0.92, 0.0), (0.92, 0.38), (0.0, 0.38)), 0.0, 0.36),
    Kind("cross", 4, ((0.94, 0.0), (0.94, 0.32), (0.32, 0.32)), 0.0, 0.3),
    _star("star", 5, 0.5, np.pi / 2, 0.17),
)


@dataclass(frozen=True)
class Figures:
    """What to draw: B shapes, each attribute an array (B,).

    Attributes:
        kinds: int64, indices into `KINDS`.
        radius: circumradius with sharp corners, as a fraction of the image's side.
        roundness: 0 for sharp corners to 1 for a radius of `Kind.softest` · `radius`.
        turn: degrees, counter-clockwise from upright.
        x, y: offset of the centre from the image's, right and down, as fractions of the side.
        colors: (B, 3) in [0, 255].
    """

    kinds: np.ndarray
    radius: np.ndarray
    roundness: np.ndarray
    turn: np.ndarray
    x: np.ndarray
    y: np.ndarray
    colors: np.ndarray


def paint(figures: Figures, size: int) -> np.ndarray:
    """Draw the figures on `BACKGROUND`: uint8 (B, size, size, 3).

    The covered fraction of a pixel is accurate to about 2/100: pixels that an outline may cross are subsampled.
    """
    images = np.empty((len(figures.kinds), size, size, 3), np.uint8)
    together = max(1, PIXELS_TOGETHER // size**2)
    for start in range(0, len(images), together):
        rows = slice(start, start + together)
        part = Figures(*(getattr(figures, name)[rows] for name in Figures.__dataclass_fields__))
        cover = _cover(_outlines(part, size), size).reshape(-1, size, size, 1)
        colors = part.colors.astype(np.float32)[:, None, None, :]
        images[rows] = np.rint(BACKGROUND + cover * (colors - BACKGROUND))
    return images


def as_rgb(hue: np.ndarray, saturation: np.ndarray) -> np.ndarray:
    """Return colours (B, 3) in [0, 255] of hues in [0, 1) and saturations in [0, 1], all of one HSV value."""
    place = (np.array([5.0, 3.0, 1.0]) + 6 * hue[:, None]) % 6
    fall = np.clip(np.minimum(place, 4 - place), 0, 1)
    return 255 * BRIGHTNESS * (1 - saturation[:, None] * fall)


@dataclass(frozen=True)
class _Outlines:
    """One sector of every outline after shrinking by `corner`, in pixels; all arrays float32 (B, …)."""

    folds: np.ndarray
    vertices: np.ndarray
    normals: np.ndarray
    corner: np.ndarray
    center: np.ndarray
    direction: np.ndarray

    def of(self, items: np.ndarray) -> _Outlines:
        return _Outlines(*(getattr(self, name)[items] for name in _Outlines.__dataclass_fields__))


def _outlines(figures: Figures, size: int) -> _Outlines:
    def of_kinds(values: list) -> np.ndarray:
        return np.array(values, np.float64)[figures.kinds]

    radius = figures.radius * size
    corner = figures.roundness * of_kinds([kind.softest for kind in KINDS]) * radius
    vertices = radius[:, None, None] * of_kinds([kind.vertices for kind in KINDS])
    vertices += corner[:, None, None] * of_kinds([kind.mitres for kind in KINDS])
    angle = np.radians(figures.turn) + of_kinds([kind.upright for kind in KINDS])
    parts = (
        of_kinds([kind.folds for kind in KINDS]),
        vertices,
        of_kinds([kind.normals for kind in KINDS]),
        corner,
        (np.stack([figures.x, figures.y], axis=1) + 0.5) * size,
        np.stack([np.cos(angle), np.sin(angle)], axis=1),
    )
    return _Outlines(*(part.astype(np.float32) for part in parts))


def _cover(outlines: _Outlines, size: int) -> np.ndarray:
    """Return the covered fraction of each pixel, float32 (B, size²)."""
    middle = np.arange(size, dtype=np.float32) + np.float32(0.5)
    columns, rows = np.tile(middle, size)[None], np.repeat(middle, size)[None]
    distance = _distance(outlines, columns, rows)
    cover = (distance < 0).astype(np.float32)
    # Half a pixel's diagonal is 0.71: no outline crosses a pixel whose middle is farther away.
    item, pixel = np.nonzero(np.abs(distance) < 0.75)
    shift = (np.arange(SUBPIXELS, dtype=np.float32) + np.float32(0.5)) / SUBPIXELS - np.float32(0.5)
    fine_columns = columns[0, pixel, None] + np.tile(shift, SUBPIXELS)
    fine_rows = rows[0, pixel, None] + np.repeat(shift, SUBPIXELS)
    fine = _distance(outlines.of(item), fine_columns, fine_rows)
    cover[item, pixel] = np.clip(0.5 - SUBPIXELS * fine, 0, 1).mean(axis=1)
    return cover


def _distance(outlines: _Outlines, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return signed distances in pixels, negative inside, of points (B or 1, P) to the outlines: float32 (B, P)."""
    right, up = columns - outlines.center[:, :1], outlines.center[:, 1:] - rows
    # The nearest point of a mirror-symmetric outline lies in the sector of the point itself, so folding is exact.
    period = np.float32(TAU) / outlines.folds[:, None]
    angle = np.arctan2(up, right) - np.arctan2(outlines.direction[:, 1:], outlines.direction[:, :1])
    angle -= period * np.rint(angle / period)
    length = np.hypot(right, up)
    across, along = length * np.abs(np.sin(angle)), length * np.cos(angle)
    first, middle, last = (outlines.vertices[:, place, :, None] for place in range(3))
    nearest = np.minimum(_squared(along, across, first, middle), _squared(along, across, middle, last))
    below = across * middle[:, 0] < along * middle[:, 1]
    near, far = (outlines.normals[:, place, :, None] for place in range(2))
    depth = np.where(
        below,
        near[:, 0] * (along - middle[:, 0]) + near[:, 1] * (across - middle[:, 1]),
        far[:, 0] * (along - middle[:, 0]) + far[:, 1] * (across - middle[:, 1]),
    )
    return np.where(depth > 0, -1, 1) * np.sqrt(nearest) - outlines.corner[:, None]


def _squared(along: np.ndarray, across: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return squared distances of points (B, P) to segments whose ends are (B, 2, 1)."""
    edge = end - start
    along, across = along - start[:, 0], across - start[:, 1]
    length = np.maximum(edge[:, 0] ** 2 + edge[:, 1] ** 2, np.float32(1e-12))
    part = np.clip((along * edge[:, 0] + across * edge[:, 1]) / length, 0, 1)
    return (along - part * edge[:, 0]) ** 2 + (across - part * edge[:, 1]) ** 2
