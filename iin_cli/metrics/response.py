"""Movement of a network's answer along walks, compared with walks of a random subspace of the same size (§4.2).

A walk of a large factor moves the answer more than a walk of a small one, whatever the concepts: only the comparison
with the control tells something about the concept. Figures are first averaged over the points of an image, and an image
is one item.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from .bootstrap import LEVEL, RESAMPLES, Interval

__all__ = [
    "CHANNELS",
    "FEWEST_ITEMS",
    "LESS",
    "MORE",
    "TOO_FEW",
    "UNDECIDED",
    "Comparison",
    "class_response",
    "compare",
    "image_response",
    "mean_intervals",
    "negative_rate",
    "pixel_change",
    "quantiles",
    "random_subspace",
]

MORE = "more than chance"
LESS = "less than chance"
UNDECIDED = "not distinguishable"
TOO_FEW = "too few images"
# With five items all on one side a sign test gives p = 0.06: no figure of so few can be told from chance.
FEWEST_ITEMS = 6
# Differences no larger than this are rounding.
ROUNDING = 1e-9
CHANNELS = ("whole", "red", "green", "blue")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Comparison:
    """A figure along a factor's walks, compared with the same along its control's.

    Attributes:
        difference: factor − control, paired by image; its interval covers which images and which subspaces were drawn.
        ratio: factor / control; None where the control does not move at all.
        controls: the figure of each random subspace.
    """

    factor: Interval
    control: Interval
    difference: Interval
    ratio: Interval | None
    controls: tuple[float, ...]

    @property
    def resolution(self) -> float:
        """The smallest difference that could have been seen: half the width of the interval of the difference."""
        return (self.difference.high - self.difference.low) / 2

    @property
    def verdict(self) -> str:
        """The interval of the difference, in words."""
        if self.difference.items < FEWEST_ITEMS:
            return TOO_FEW
        if self.difference.low > ROUNDING:
            return MORE
        return LESS if self.difference.high < -ROUNDING else UNDECIDED

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values; `value` is the factor's, as wherever JSON holds a figure."""
        return {
            "value": self.factor.value,
            "factor": self.factor.as_dict(),
            "control": self.control.as_dict(),
            "difference": self.difference.as_dict(),
            "ratio": self.ratio.as_dict() if self.ratio is not None else None,
            "controls": list(self.controls),
            "resolution": self.resolution,
            "verdict": self.verdict,
        }


def compare(factor: np.ndarray, control: np.ndarray, seed: int = 0) -> list[Comparison]:
    """Compare K figures of M images: `factor` (M, K), none negative, with those of S subspaces, `control` (S, M, K).

    Images are resampled together with their controls, and the subspaces, too. Raises DataError for no image or a figure
    that is not finite.

    >>> found, = compare(np.full((8, 1), 0.9), np.full((3, 8, 1), 0.3))
    >>> round(found.difference.value, 2), round(found.ratio.value, 2), found.verdict
    (0.6, 3.0, 'more than chance')
    """
    _require_figures(factor)
    _require_figures(control)
    items = len(factor)
    weights = _weights(items, seed)
    moved = weights @ factor
    # Another seed, so that subspaces are drawn independently of images.
    chance = np.einsum("rs,srk->rk", _weights(len(control), seed + 1), weights @ control)
    value, by_chance = factor.mean(0), control.mean((0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios, ratio = moved / chance, value / by_chance
    parts = (
        _intervals(value, moved, items),
        _intervals(by_chance, chance, items),
        _intervals(value - by_chance, moved - chance, items),
        [found if np.isfinite(found.value) else None for found in _intervals(ratio, ratios, items)],
        [tuple(each) for each in control.mean(1).T.tolist()],
    )
    return [Comparison(*each) for each in zip(*parts, strict=True)]


def mean_intervals(values: np.ndarray, seed: int = 0) -> list[Interval]:
    """Return the mean of each column of `values` (M, K) with its interval: `mean_interval` for many at once."""
    _require_figures(values)
    return _intervals(values.mean(0), _weights(len(values), seed) @ values, len(values))


def class_response(start: Tensor, points: Tensor) -> dict[str, np.ndarray]:
    """Measure how a classifier's answer changes, from log-probabilities `start` (B, C) and `points` (B, P, C).

    Returns, averaged over the points of each image: `flip_rate` (B, 1), the fraction whose predicted class is not the
    start's; `kl` (B, 1), KL(start ‖ point) in nats; `log_probability` and `change` = |log p − log p of the start|, both
    (B, C).
    """
    start, points = start.double(), points.double()
    difference = points - start[:, None]
    flips = (points.argmax(2) != start.argmax(1)[:, None]).double()
    # Rounding may leave it a little below zero where nothing changed.
    kl = -(start.exp()[:, None] * difference).sum(2).clamp(max=0)
    found = {
        "flip_rate": flips.mean(1, keepdim=True),
        "kl": kl.mean(1, keepdim=True),
        "log_probability": points.mean(1),
        "change": difference.abs().mean(1),
    }
    return {name: values.numpy() for name, values in found.items()}


def image_response(start: Tensor, points: Tensor) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Measure how decoded images change: `start` (B, 3, S, S), `points` (B, P, 3, S, S), both in [-1, 1] (clipped).

    Returns, averaged over the points of each image, `absolute_change` and `squared_change` (B, 4) of a pixel, in units
    of full brightness: of the whole image, of red, of green, of blue; and the absolute change of each point (B, P, 4).
    """
    change = (points.clamp(-1, 1) - start.clamp(-1, 1)[:, None]) / 2
    absolute, squared = (_with_whole(each.double().mean((3, 4))) for each in (change.abs(), change.square()))
    return {"absolute_change": absolute.mean(1), "squared_change": squared.mean(1)}, absolute


def pixel_change(before: Tensor, after: Tensor) -> np.ndarray:
    """Return the mean |after − before| of images (B, C, S, S) in [-1, 1] (clipped), in units of full brightness: (B,).

    >>> pixel_change(torch.full((1, 3, 2, 2), -1.0), torch.ones(1, 3, 2, 2)).tolist()
    [1.0]
    """
    change = (after.clamp(-1, 1) - before.clamp(-1, 1)).abs() / 2
    return change.flatten(1).double().mean(1).numpy()


def negative_rate(z: Tensor, never_negative: Tensor, tolerance: Tensor) -> np.ndarray:
    """Return the fraction below zero of the features that never are: z (B, P, N) -> (B, 1).

    Args:
        never_negative: bool (N,), the features judged.
        tolerance: (N,), how far below zero still counts as zero.
    """
    judged = z[..., never_negative] < -tolerance[never_negative]
    return judged.double().mean((1, 2))[:, None].numpy()


def random_subspace(dim: int, size: int, seed: int) -> Tensor:
    """Return an orthonormal basis (size, dim) of a subspace of R^dim, all subspaces of that size equally likely."""
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(dim, size, generator=generator, dtype=torch.float64))
    return basis.T.float().contiguous()


def quantiles(samples: np.ndarray) -> list[dict[str, float]]:
    """Return quantiles of each column of `samples` (P, K), named after their level (`0.05`)."""
    levels = np.quantile(samples.astype(np.float64), QUANTILES, axis=0).T.tolist()
    return [{str(level): value for level, value in zip(QUANTILES, column, strict=True)} for column in levels]


def _weights(items: int, seed: int) -> np.ndarray:
    """Return how often each resample draws each item, as fractions (resamples, items); drawn as `bootstrap` draws."""
    generator = np.random.default_rng(seed)
    draws = (generator.integers(0, items, items) for _ in range(RESAMPLES))
    return np.stack([np.bincount(draw, minlength=items) for draw in draws]) / items


def _intervals(values: np.ndarray, resampled: np.ndarray, items: int) -> list[Interval]:
    """Return `values` (K,) with percentile intervals of `resampled` (R, K), skipping resamples that are not finite."""
    tail = (1 - LEVEL) / 2
    found = []
    for value, column in zip(values.tolist(), resampled.T, strict=True):
        finite = column[np.isfinite(column)]
        low, high = np.quantile(finite, (tail, 1 - tail)).tolist() if len(finite) else (value, value)
        found.append(Interval(value, low, high, items))
    return found


def _require_figures(values: np.ndarray) -> None:
    if not values.shape[-2]:
        raise DataError("an interval needs at least one item")
    if not np.isfinite(values).all():
        raise DataError("a measured figure is not finite")


def _with_whole(channels: Tensor) -> np.ndarray:
    """Put the mean of the channels (B, P, 3) before them: (B, P, 4)."""
    return torch.cat((channels.mean(2, keepdim=True), channels), dim=2).numpy()
