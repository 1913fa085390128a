"""Intervals of measured figures: percentiles of the bootstrap (Efron 1979), which draws whole items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from ..errors import DataError

__all__ = ["FEW_ITEMS", "Interval", "Resampling", "bootstrap", "mean_interval"]

RESAMPLES = 1000
LEVEL = 0.95
# Below this many items an interval is wide, and percentile intervals are somewhat too narrow: say so.
FEW_ITEMS = 50


@dataclass(frozen=True)
class Resampling:
    """How often everything random about a figure is drawn.

    Attributes:
        resamples: draws of the items, for an interval; costly figures take fewer, and a forest has no more trees.
        shuffles: draws of what has no structure, for a null; costly figures take fewer.
        seed: of all draws.
    """

    resamples: int = RESAMPLES
    shuffles: int = 200
    seed: int = 0


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; `items` is how many independent items it rests on."""

    value: float
    low: float
    high: float
    items: int

    def as_dict(self) -> dict[str, float]:
        """Return the interval as JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self:.3f}"

    def __format__(self, spec: str) -> str:
        """Write `value [low, high]`, each number as `spec` says.

        >>> f"{Interval(0.5, 0.25, 0.75, 9):.2f}"
        '0.50 [0.25, 0.75]'
        """
        value, low, high = (format(number, spec or ".3f") for number in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"


def bootstrap(statistic: Callable[[np.ndarray], float], items: int, resampling: Resampling) -> Interval:
    """Return `statistic` of all items and the interval of its values on resampled items.

    Args:
        statistic: item numbers int64 (items,), with repetitions -> the figure. What belongs together (the walk of one
            image, its swaps) is one item, so that an interval does not take it for many.

    Resamples whose figure is not finite are left out. Raises DataError for no item or no finite figure.

    >>> values = np.array([0.0, 1.0, 1.0, 0.0])
    >>> found = bootstrap(lambda chosen: values[chosen].mean(), 4, Resampling())
    >>> found.value, 0.0 <= found.low <= 0.5 <= found.high <= 1.0
    (0.5, True)
    """
    if items < 1:
        raise DataError("an interval needs at least one item")
    generator = np.random.default_rng(resampling.seed)
    value = float(statistic(np.arange(items)))
    again = np.array([statistic(generator.integers(0, items, items)) for _ in range(resampling.resamples)], np.float64)
    finite = again[np.isfinite(again)]
    if not len(finite) or not np.isfinite(value):
        raise DataError("a figure to be measured is not finite")
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(finite, (tail, 1 - tail))
    return Interval(value, float(low), float(high), items)


def mean_interval(values: np.ndarray, resampling: Resampling) -> Interval:
    """Return the mean of `values` (M,) or (M, …), one row per item, with its interval.

    >>> mean_interval(np.ones((3, 2)), Resampling())
    Interval(value=1.0, low=1.0, high=1.0, items=3)
    """
    rows = np.asarray(values, np.float64)
    rows = rows.mean(tuple(range(1, rows.ndim)))
    return bootstrap(lambda chosen: rows[chosen].mean(), len(rows), resampling)
