"""Walks of a factor and of random subspaces of its size, from many images, measured block by block.

The walk of an image depends on the seed and the image alone. A block holds as many images as a few dozen MiB allow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ...editing.walk_paths import walk_noise
from ...errors import DataError
from ...interpretation.pieces import in_pieces
from ...interpretation.reading import Reading
from ...metrics.bootstrap import FEW_ITEMS
from ...metrics.response import class_response, image_response, negative_rate, random_subspace
from ...progress import Task
from ...translator import edit
from ...translator.factors import RESIDUAL, Factors

__all__ = ["Measured", "Starts", "WalkSettings", "basis_of_control", "measure_walks", "read_starts"]

# Numbers of a block's points; with what is made of them on the way a block takes some 100 MiB.
BLOCK_NUMBERS = 2**22
# And few enough that progress is heard of.
BLOCK_POINTS = 1024
# Points kept for a figure and for quantiles.
MOST_SAMPLES, MOST_SAMPLE_NUMBERS = 20_000, 2**23
# Of a feature's deviation. A fit adds noise of a fifth of that to features, so that just below zero is no violation.
TOLERANCE = 0.05

Each = Callable[[int, Tensor], None]


@dataclass(frozen=True)
class WalkSettings:
    """How images walk: `walks` of `steps` points each, the start included (Eq 17)."""

    steps: int = 20
    walks: int = 1
    gamma: float = 0.1
    sigma: float | None = None
    center_on_input: bool = False
    seed: int = 0

    @property
    def points(self) -> int:
        """Points of an image that are measured: all but the starts."""
        return self.walks * (self.steps - 1)


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


@dataclass
class Measured:
    """What the walks of one kind come to.

    Attributes:
        columns: name of a figure -> one row per image (M, K).
        samples: single points of many images: of a classifier log-probabilities (P, C), else absolute changes (P, 4).
        change: of a classifier the log-probabilities' change from the start (P, C), of the same points.
    """

    columns: dict[str, np.ndarray] = field(default_factory=dict)
    samples: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    change: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))


def read_starts(reading: Reading) -> Starts:
    """Compute the answer at every start. Few images say nothing of a feature unless they say it of all features."""
    opened = reading.opened
    z = opened.inverse_transform(reading.z_tilde)
    if opened.backbone.classes is not None:
        answer = opened.network.answers(z)
    else:
        answer = torch.cat(list(in_pieces(len(z), z.__getitem__, opened.backbone.decode, opened.device)))
    never = (reading.z >= 0).all(0)
    if len(reading) < FEW_ITEMS and not never.all():
        never = torch.zeros_like(never)
    return Starts(answer, never, TOLERANCE * reading.z.std(0, correction=0))


def basis_of_control(factors: Factors, name: str, number: int, seed: int) -> Tensor:
    """Return control `number` of factor `name`: a basis (N_k, N) that depends on nothing else but the seed."""
    where = factors.names.index(name)
    own_seed = int(np.random.SeedSequence((seed, where, number)).generate_state(1)[0])
    return random_subspace(factors.dim, factors.dims[name], own_seed)


def measure_walks(
    reading: Reading,
    starts: Starts,
    name: str,
    basis: Tensor | None,
    settings: WalkSettings,
    task: Task,
    each: Each | None = None,
) -> Measured:
    """Walk factor `name` of every image, or the subspace of `basis` instead, and measure the network's answers.

    Args:
        each: called with the number of a block's first image and a classifier's log-probabilities (B, points, C).

    Raises DataError where a walk leaves the finite numbers.
    """
    parts: list[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]] = []
    is_classifier = reading.opened.backbone.classes is not None
    for block, z in _blocks(reading, starts, name, basis, settings):
        if is_classifier:
            answer = reading.opened.network.answers(z.flatten(0, 1)).view(*z.shape[:2], -1)
            columns = class_response(starts.answer[block], answer)
            samples, change = answer.numpy(), (answer - starts.answer[block, None]).numpy()
        else:
            columns, samples = image_response(starts.answer[block], _decoded(reading, z))
            change = samples
        if not all(np.isfinite(values).all() for values in columns.values()):
            raise DataError(f"a walk of {name} leaves the finite numbers: choose a smaller --walk-sigma")
        if starts.never_negative.any():
            columns["violation_rate"] = negative_rate(z, starts.never_negative, starts.tolerance)
        if each is not None and is_classifier:
            each(block.start, answer)
        kept = _kept(block.start * settings.points, len(reading), samples.shape, settings.points)
        parts.append((columns, *(array.reshape(-1, array.shape[2])[kept] for array in (samples, change))))
        task.advance(len(z) * settings.points)
    columns, samples, change = zip(*parts, strict=True)
    joined = {key: np.concatenate([part[key] for part in columns]) for key in columns[0]}
    return Measured(joined, np.concatenate(samples), np.concatenate(change))


def _blocks(
    reading: Reading, starts: Starts, name: str, basis: Tensor | None, settings: WalkSettings
) -> Iterator[tuple[slice, Tensor]]:
    """Yield some images and their points z* (B, points, N), walk by walk."""
    numbers = max(reading.z_tilde.shape[1], starts.answer[0].numel())
    count = max(1, min(BLOCK_NUMBERS // numbers, BLOCK_POINTS) // settings.points)
    for first in range(0, len(reading), count):
        block = slice(first, min(first + count, len(reading)))
        walked = _walk(reading, block, name, basis, settings)
        yield block, reading.opened.inverse_transform(walked)


def _walk(reading: Reading, block: slice, name: str, basis: Tensor | None, settings: WalkSettings) -> Tensor:
    """Walk in z̃, (B, points, N); the start itself is left out."""
    factors = reading.opened.factors
    start = reading.z_tilde[block].repeat_interleave(settings.walks, 0)
    seeds = [settings.seed + int(item) for item in reading.items[block]]
    kicks = walk_noise(seeds, settings.steps, factors.dim, settings.walks)
    how = (settings.gamma, settings.sigma, settings.center_on_input)
    if basis is None:
        path = edit.OUWalk(start, factors, (name,), kicks, *how)
    else:
        # In coordinates of the subspace its walk is that of a factor; N(0, 1) is stationary there as well.
        inside = start @ basis.T
        everything = Factors.of({RESIDUAL: len(basis)})
        within = edit.OUWalk(inside, everything, (RESIDUAL,), kicks[..., factors.slice(name)], *how)
        path = start + (within - inside) @ basis
    return path[1:].transpose(0, 1).reshape(-1, settings.points, factors.dim)


def _decoded(reading: Reading, z: Tensor) -> Tensor:
    opened, flat = reading.opened, z.flatten(0, 1)
    images = torch.cat(list(in_pieces(len(flat), flat.__getitem__, opened.backbone.decode, opened.device)))
    return images.view(*z.shape[:2], *images.shape[1:])


def _kept(first: int, images: int, shape: tuple[int, ...], points: int) -> np.ndarray:
    """Choose a block's points for figures: every k-th of all, and k shares no factor with a walk's length."""
    most = min(MOST_SAMPLES, max(1, MOST_SAMPLE_NUMBERS // shape[2]))
    apart = -(-images * points // most)
    while math.gcd(apart, points) > 1:
        apart += 1
    return np.arange(-first % apart, shape[0] * shape[1], apart)
