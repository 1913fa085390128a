"""Walks of a factor and of random subspaces of its size, from many images, measured block by block.

The walk of an image depends on the seed and the image alone. A block holds as many images as fit in a few dozen MiB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from torch import Tensor, zeros_like

from ...editing.random_subspaces import basis_of_control
from ...editing.walk_paths import walk_noise
from ...errors import DataError, UsageError
from ...interpretation.answers import Change
from ...interpretation.reading import Reading
from ...metrics.bootstrap import FEW_ITEMS
from ...metrics.response import negative_rate
from ...progress import Task
from ...translator.edit import OUWalk
from ...translator.factors import RESIDUAL, Factors

__all__ = ["Starts", "TakeAnswers", "WalkDesign", "Walker", "read_starts"]

# Numbers of a block's points; with what is computed from them a block takes some 100 MiB.
BLOCK_NUMBERS = 2**22
# Few enough that progress is shown often.
BLOCK_POINTS = 1024
# Points kept for a figure and for quantiles.
MOST_SAMPLES, MOST_SAMPLE_NUMBERS = 20_000, 2**23
# Of a walk, by default.
ANSWERED = 5
# In units of a feature's deviation. A fit adds noise of a fifth of it, so just below zero is no violation.
TOLERANCE = 0.05

# Receives the number of a block's first image and the answers at its points (B, points, …).
TakeAnswers = Callable[[int, Tensor], None]


@dataclass(frozen=True)
class WalkDesign:
    """How images walk, and beside how many controls.

    Attributes:
        walk: Eq 17; its factors are measured one at a time, all of the translator's where it names none.
        walks: walks from each image, at least 1.
        controls: random subspaces beside each factor, at least 1.
        seed: of walks, subspaces and intervals.
        answered: points of a walk that the network answers, evenly spread, the last among them. Neighbours on a walk
            are so alike that more images tell more than more points.

    Raises UsageError for a value outside its range.

    >>> WalkDesign(OUWalk(steps=20), walks=2).points
    10
    """

    walk: OUWalk = field(default_factory=OUWalk)
    walks: int = 1
    controls: int = 3
    seed: int = 0
    answered: int = ANSWERED

    def __post_init__(self) -> None:
        if min(self.walks, self.controls, self.answered) < 1:
            raise UsageError(f"walks and controls must be at least 1, got {self.walks} and {self.controls}")

    @property
    def points(self) -> int:
        """Measured points of an image; the starts are none."""
        return self.walks * len(self.chosen)

    @property
    def chosen(self) -> list[int]:
        """Numbers of a walk's measured points; 0 is the start."""
        last = self.walk.steps - 1
        count = min(self.answered, last)
        return [round(last * (number + 1) / count) for number in range(count)]


@dataclass(frozen=True)
class Starts:
    """What the network answers at the starts T⁻¹(z̃), and which of its features cannot be negative.

    Attributes:
        answer: log-probabilities (M, C), or decoded images (M, 3, S, S).
        never_negative: bool (N,), features that are nowhere negative in the images read.
        tolerance: (N,), how far below zero still counts as zero.
    """

    answer: Tensor
    never_negative: Tensor
    tolerance: Tensor


@dataclass(frozen=True)
class Walker:
    """Walks from the items of `reading` as `design` says."""

    reading: Reading
    design: WalkDesign

    @cached_property
    def starts(self) -> Starts:
        """The answers at the starts, computed once."""
        return read_starts(self.reading)

    def measure(self, name: str, control: int | None, task: Task, take: TakeAnswers | None = None) -> Change:
        """Walk factor `name` of every image, or its random subspace number `control`, and measure the answers.

        Returns columns with one row per image, and some points of all walks, samples and difference (P, K). Raises
        DataError where a walk leaves the finite numbers.
        """
        basis = None
        if control is not None:
            basis = basis_of_control(self.reading.opened.factors, name, control, self.design.seed)
        parts = []
        for block, z in self._blocks(name, basis):
            answers = self._answers(z)
            parts.append(self._compare(name, block, z, answers))
            if take is not None:
                take(block.start, answers)
            task.advance(len(z) * self.design.points)
        return _joined(parts)

    def walk(self, block: slice, name: str, basis: Tensor | None) -> Tensor:
        """Walk in z̃, (B, points, N), the measured points alone."""
        reading, design = self.reading, self.design
        factors = reading.opened.factors
        start = reading.z_tilde[block].repeat_interleave(design.walks, 0)
        seeds = [design.seed + int(item) for item in reading.items[block]]
        kicks = walk_noise(seeds, design.walk.steps, factors.dim, design.walks)
        if basis is None:
            path = replace(design.walk, factors=name).path(start, factors, kicks)
        else:
            # In the subspace's own coordinates the walk is that of a factor: N(0, 1) is stationary there as well.
            inside, everything = start @ basis.T, Factors.of({RESIDUAL: len(basis)})
            within = replace(design.walk, factors=RESIDUAL).path(inside, everything, kicks[..., factors.slice(name)])
            path = start + (within - inside) @ basis
        return path[design.chosen].transpose(0, 1).reshape(-1, design.points, factors.dim)

    def _blocks(self, name: str, basis: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
        """Yield some images and their points z* (B, points, N), walk by walk."""
        reading = self.reading
        numbers = max(reading.z_tilde.shape[1], self.starts.answer[0].numel())
        count = max(1, min(BLOCK_NUMBERS // numbers, BLOCK_POINTS) // self.design.points)
        for first in range(0, len(reading), count):
            block = slice(first, min(first + count, len(reading)))
            yield block, reading.opened.inverse_of_many(self.walk(block, name, basis))

    def _answers(self, z: Tensor) -> Tensor:
        found = self.reading.network.answers(z.flatten(0, 1))
        return found.view(*z.shape[:2], *found.shape[1:])

    def _compare(self, name: str, block: slice, z: Tensor, answers: Tensor) -> Change:
        starts, points = self.starts, self.design.points
        found = self.reading.network.answer.compare(starts.answer[block], answers)
        if not all(np.isfinite(values).all() for values in found.columns.values()):
            raise DataError(f"a walk of {name} leaves the finite numbers: choose a smaller --walk-sigma")
        columns = dict(found.columns)
        if starts.never_negative.any():
            columns["violation_rate"] = negative_rate(z, starts.never_negative, starts.tolerance)
        kept = _kept(block.start * points, len(self.reading), found.samples.shape, points)
        return Change(columns, *(part.reshape(-1, part.shape[2])[kept] for part in (found.samples, found.difference)))


def read_starts(reading: Reading) -> Starts:
    """Compute the answer at every start, and find the features that are never negative.

    In a few images a feature may be positive by chance: they count only if every feature is.
    """
    answer = reading.network.answers(reading.opened.inverse_transform(reading.z_tilde))
    never = (reading.z >= 0).all(0)
    if len(reading) < FEW_ITEMS and not never.all():
        never = zeros_like(never)
    return Starts(answer, never, TOLERANCE * reading.z.std(0, correction=0))


def _joined(parts: Sequence[Change]) -> Change:
    columns = {key: np.concatenate([part.columns[key] for part in parts]) for key in parts[0].columns}
    samples, difference = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("samples", "difference")
    )
    return Change(columns, samples, difference)


def _kept(first: int, images: int, shape: tuple[int, ...], points: int) -> np.ndarray:
    """Choose a block's points for figures: every k-th of all, where k shares no divisor with a walk's length."""
    most = min(MOST_SAMPLES, max(1, MOST_SAMPLE_NUMBERS // shape[2]))
    apart = -(-images * points // most)
    while math.gcd(apart, points) > 1:
        apart += 1
    return np.arange(-first % apart, shape[0] * shape[1], apart)
