"""The product structure in motion (Fig 13): images take one factor, then the other, from a partner.

Every drawn image i moves on the plane "1-D embedding of factor A × 1-D embedding of factor B". First it takes A from
its partner along z̃_A cos θ + z̃_A,partner sin θ, θ from 0 to 90°, then B likewise, until it lies where its partner was.
Unlike a straight line, whose middle is too near the origin, every point of this arc is N(0, 1) again. Positions are
those of the edited z̃, so that only the factor taken moves. What is drawn there is measured, not constructed: G's image
of T⁻¹(z̃), or the class that a classifier then predicts, as the dot's colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...figures.animation import save_animation
from ...figures.embeddings import Plane
from ...figures.moving_dots import Scene, draw_frame
from ...interpretation.answers import Classes
from ...interpretation.reading import Reading
from ...metrics.embedding import Projection
from ...progress import Reporter

__all__ = ["Film", "arc", "product_film"]

FRAMES_PER_FACTOR = 12
PICTURES, DOTS = 24, 100
MOVING_MS, RESTING_MS = 120, 1200


def arc(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Return `steps` points of the arc from `start` to `end`, both (B, D), ends included: (steps, B, D).

    Where the ends are independent draws from N(0, 1), every point is one as well.
    """
    angles = torch.linspace(0, math.pi / 2, steps).view(-1, 1, 1)
    points = angles.cos() * start + angles.sin() * end
    # The cosine of 90° is not quite 0 in float32.
    points[-1] = end
    return points


@dataclass(frozen=True)
class Film:
    """Frames uint8 (H, W, 3), drawn one after the other as they are taken, and how long each is shown."""

    frames: Iterator[np.ndarray]
    milliseconds: Sequence[int]

    def save(self, path: Path) -> None:
        """Write a looping animation; its format is the ending of `path`."""
        save_animation(path, self.frames, self.milliseconds)


def product_film(
    reading: Reading,
    plane: Plane,
    factors: tuple[str, str],
    projections: tuple[Projection, Projection],
    report: Reporter,
) -> Film:
    """Let images take one factor, then the other, from a partner.

    Args:
        plane: where all items lie, `plane.points` (M, 2).
        factors, projections: what its two axes are, and how other z̃ are placed on each.
    """
    network, predicts = reading.network, isinstance(reading.network.answer, Classes)
    count = min(len(reading), DOTS if predicts else PICTURES)
    walked, places, captions = _course(reading, plane, factors, projections, count)
    flat = reading.opened.inverse_transform(walked).flatten(0, 1)
    if predicts:
        predicted = network.answers(torch.cat((flat, reading.z)), report).argmax(1).numpy()
        scene = Scene.of_labels(plane, predicted[len(flat) :], predicted[: len(flat)].reshape(len(walked), count))
    else:
        pixels = network.draw(flat, report)
        scene = Scene.of_pictures(plane, pixels.reshape(len(walked), count, *pixels.shape[1:]))
    return Film(_drawn(scene, places, captions, report), _milliseconds(len(walked)))


def _course(
    reading: Reading,
    plane: Plane,
    factors: tuple[str, str],
    projections: tuple[Projection, Projection],
    count: int,
) -> tuple[Tensor, np.ndarray, list[str]]:
    """Return z̃ (frames, count, N), places (frames, count, 2) and what to write above each frame."""
    now = reading.z_tilde[:count].clone()
    partner = now.roll(-1, dims=0)
    at = plane.points[:count].copy()
    goal = np.roll(at, -1, axis=0)
    walked, places, captions = [], [], []
    for axis, (name, projection) in enumerate(zip(factors, projections, strict=True)):
        where = reading.opened.factors.slice(name)
        blocks = arc(now[:, where], partner[:, where], FRAMES_PER_FACTOR)
        for step, block in enumerate(blocks):
            now = now.clone()
            now[:, where] = block
            at = at.copy()
            # The ends are known; a map's own `place` of them is only near.
            if step == FRAMES_PER_FACTOR - 1:
                at[:, axis] = goal[:, axis]
            elif step:
                at[:, axis] = projection.place(block.numpy())[:, 0]
            walked.append(now)
            places.append(at)
            captions.append(f"each takes {name} from its partner: {step / (FRAMES_PER_FACTOR - 1):.0%}")
    return torch.stack(walked), np.stack(places), captions


def _drawn(scene: Scene, places: np.ndarray, captions: Sequence[str], report: Reporter) -> Iterator[np.ndarray]:
    with report.task("drawing", len(places), "frames") as task:
        for number, caption in enumerate(captions):
            yield draw_frame(scene, number, places[number], caption)
            task.advance()


def _milliseconds(frames: int) -> list[int]:
    rests = {0, FRAMES_PER_FACTOR - 1, frames - 1}
    return [RESTING_MS if number in rests else MOVING_MS for number in range(frames)]
