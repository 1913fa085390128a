"""Measure how sharply the contours of an image turn: the turning angle of its level lines, in steps of one length.

An image is blurred and cut at nine levels, and every level line is sampled anew in equal steps. Along a circle of
radius r each step of length h turns by h/r; along a polygon only steps around corners turn. Angular and round drawings
of similar size turn by similar angles in sum, so the share of turning that lies in sharp corners tells them apart best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from contourpy import LineType, contour_generator
from scipy.ndimage import gaussian_filter

__all__ = ["Turning", "turning", "turning_angles"]

# All lengths in parts of the image's side, so that the size at which an image is kept does not matter.
STEP = 1 / 64
BLUR = 1 / 128
# Shares of the pixels that are darker than each of the levels.
LEVELS = np.linspace(0.1, 0.9, 9)
# Level lines shorter than so many steps are specks.
SHORTEST = 8
# Turning of one step, in radians, from which it is a sharp corner.
SHARP = np.pi / 4
LIGHTNESS = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Turning:
    """How the contours of an image turn.

    Attributes:
        mean: mean absolute turning angle per step of 1/64 of the side, in radians.
        sharp: share of all turning that lies in steps of 45 degrees and more; both NaN without any contour.
    """

    mean: float
    sharp: float


def turning(image: np.ndarray) -> Turning:
    """Measure an image, (S, S) or (S, S, 3) in any unit."""
    grey = image.astype(np.float64) if image.ndim == 2 else image @ LIGHTNESS
    side = len(grey)
    grey = gaussian_filter(grey, BLUR * side)
    generator = contour_generator(z=grey, line_type=LineType.Separate)
    lines = [np.asarray(line) for level in np.unique(np.quantile(grey, LEVELS)) for line in generator.lines(level)]
    angles = np.concatenate([np.zeros(0), *(turning_angles(line, STEP * side) for line in lines)])
    if not angles.sum():
        return Turning(float("nan"), float("nan"))
    return Turning(float(angles.mean()), float(angles[angles >= SHARP].sum() / angles.sum()))


def turning_angles(line: np.ndarray, step: float) -> np.ndarray:
    """Return the absolute turning angle at every sample of a polyline (P, 2), sampled in equal steps of about `step`.

    A line whose ends meet is closed. One shorter than 8 steps has none.

    >>> np.degrees(turning_angles(np.array([[0.0, 0.0], [6.0, 0.0], [6.0, 6.0]]), 1.0)).round().tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 90.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    lengths = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))))
    if lengths[-1] < SHORTEST * step:
        return np.zeros(0)
    places = np.linspace(0, lengths[-1], round(lengths[-1] / step) + 1)
    edges = np.diff(np.stack([np.interp(places, lengths, line[:, axis]) for axis in (0, 1)], axis=1), axis=0)
    if np.allclose(line[0], line[-1]):
        edges = np.concatenate((edges, edges[:1]))
    turns = np.diff(np.arctan2(edges[:, 1], edges[:, 0]))
    return np.abs((turns + np.pi) % (2 * np.pi) - np.pi)
