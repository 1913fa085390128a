"""Drawings of strokes with a known roundness: rings, blobs and waves at 1, stars, splinters and zigzags at 0.

The two sketches in `drawings/` are `stroke_drawing(1.0, seed=1)` and `stroke_drawing(0.0, seed=1)`. The family that a
stylizer is trained on has others, of every roundness. `python -m iin_sketch.strokes` draws the two sketches again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["SKETCH_SIDE", "draw_shipped", "family", "rounded", "stroke_drawing"]

SKETCH_SIDE = 256
SHIPPED = {"round.png": 1.0, "angular.png": 0.0}
SHIPPED_SEED = 1
# Drawn large and reduced, since Pillow's polygons have hard edges.
OVERSAMPLING = 4
INK = 0.34
MOST_MARKS = 400
# Powers of the inverse of the plastic number (Roberts 2018, the R2 sequence).
EVEN = np.array([0.7548776662466927, 0.5698402909980532])


def stroke_drawing(roundness: float, seed: int, side: int = SKETCH_SIDE) -> np.ndarray:
    """Draw dark marks on white until a third of the ground is inked: uint8 (side, side).

    Args:
        roundness: 0 for straight edges and sharp corners, 1 for none of either.
        seed: decides place, size and kind of the marks; drawings of one seed have similar widths at any roundness.
        side: pixels; strokes are about side/24 wide and marks about side/5 large.
    """
    generator = np.random.default_rng(seed)
    large = OVERSAMPLING * side
    page, start = Image.new("L", (large, large), 255), generator.random(2)
    draw = ImageDraw.Draw(page)
    for number in range(MOST_MARKS):
        # An additive recurrence covers the page evenly; independent places would clump.
        _draw_mark(draw, roundness, generator, large, large * ((start + number * EVEN) % 1))
        if 1 - np.asarray(page)[::OVERSAMPLING, ::OVERSAMPLING].mean() / 255 > INK:
            break
    return np.asarray(page.resize((side, side), Image.Resampling.BOX))


def family(count: int, seed: int, side: int = SKETCH_SIDE) -> np.ndarray:
    """Draw `count` drawings of evenly spaced roundness from 0 to 1: uint8 (count, side, side)."""
    levels = np.linspace(0, 1, count)
    return np.stack([stroke_drawing(float(level), 1000 * seed + i, side) for i, level in enumerate(levels)])


def rounded(points: np.ndarray, roundness: float, closed: bool = True) -> np.ndarray:
    """Cut the corners of a polygon (P, 2) four times (Chaikin 1974); each cut takes a quarter of an edge at most.

    >>> rounded(np.eye(2), 0.0, closed=False).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    cut = 0.25 * roundness
    for _ in range(4 if cut else 0):
        ahead = np.roll(points, -1, axis=0)
        near, far = (1 - cut) * points + cut * ahead, cut * points + (1 - cut) * ahead
        both = np.stack((near, far), axis=1)
        if not closed:
            points = np.concatenate((points[:1], both[:-1].reshape(-1, 2), points[-1:]))
            continue
        points = both.reshape(-1, 2)
    return points


def _draw_mark(
    draw: ImageDraw.ImageDraw, roundness: float, generator: np.random.Generator, side: int, center: np.ndarray
) -> None:
    size, turn = side * generator.uniform(0.06, 0.12), generator.uniform(0, 2 * np.pi)
    kind, corners = generator.integers(4), int(generator.integers(3, 6))
    jitter = generator.uniform(-0.2, 0.2, 2 * corners)
    if kind == 3:
        _draw_wave(draw, roundness, size, side / 24, _rotation(turn), center)
        return
    # The more angular a star is, the deeper its inner corners lie; a round one is nearly a circle.
    depth = (0.5 if kind == 0 else 0.25) * (1 - roundness)
    radii = size * np.where(np.arange(2 * corners) % 2, 1 - depth, 1.0) * (1 + jitter * (1 - 0.6 * roundness))
    angles = turn + np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    outline = rounded(radii[:, None] * np.stack((np.cos(angles), np.sin(angles)), axis=1), roundness)
    if kind == 2:
        # A ring is one outline, around and back inside; its hole has the same shape, so it is as sharp as the rim.
        hole = outline * max(0.0, 1 - side / 20 / size)
        outline = np.concatenate((outline, outline[:1], hole[:1], hole[::-1]))
    draw.polygon([tuple(point) for point in outline + center], fill=0)


def _draw_wave(
    draw: ImageDraw.ImageDraw, roundness: float, size: float, width: float, rotation: np.ndarray, center: np.ndarray
) -> None:
    """Draw a wave (round, with round ends) or a zigzag (angular, with cut ends) of three periods."""
    along = np.linspace(-2 * size, 2 * size, 7)
    across = 0.6 * size * np.where(np.arange(7) % 2, 1.0, -1.0)
    middle = rounded(np.stack((along, across), axis=1), roundness, closed=False)
    offset = np.array([0.0, 0.7 * width])
    band = np.concatenate((middle - offset, (middle + offset)[::-1])) @ rotation + center
    if roundness < 0.5:
        draw.polygon([tuple(point) for point in band], fill=0)
        return
    path = [tuple(point) for point in middle @ rotation + center]
    draw.line(path, fill=0, width=round(width))
    # Discs at the joints, too, since Pillow's own joints leave slits.
    for x, y in path:
        draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=0)


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def draw_shipped(folder: Path) -> None:
    """Draw the two sketches of the concept `roundness` into `folder`."""
    for name, roundness in SHIPPED.items():
        Image.fromarray(stroke_drawing(roundness, SHIPPED_SEED)).save(folder / name, optimize=True)


if __name__ == "__main__":
    draw_shipped(Path(__file__).parent / "drawings")
