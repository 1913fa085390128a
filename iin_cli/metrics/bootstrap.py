"""Bootstrap intervals of measured figures: percentiles over resamples of whole items (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from ..errors import DataError

__all__ = ["FEW_ITEMS", "Interval", "Resampling", "bootstrap", "mean_interval"]

RESAMPLES = 1000
LEVEL = 0.95
# Below this many items an interval is wide, and percentile intervals are still somewhat too narrow: a message says so.
FEW_ITEMS = 50
# Resampled values that are held at once: 8 MiB.
NUMBERS_AT_ONCE = 2**20


@dataclass(frozen=True)
class Resampling:
    """Numbers of random draws for the interval and the null of a figure.

    Attributes:
        resamples: resamples of the items, for an interval; costly figures take fewer, and a forest has at most as many
            trees.
        shuffles: draws without structure, for a null; costly figures take fewer.
        seed: seed of all draws.
    """

    resamples: int = RESAMPLES
    shuffles: int = 200
    seed: int = 0


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; `items` is the number of independent items it rests on."""

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
        statistic: item numbers int64 (items,), with repetitions -> the figure. Dependent values (the points of one
            image's walk, its swaps) belong to one item; as separate items they would make the interval too narrow.

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
    return _percentiles(value, again, items)


def mean_interval(values: np.ndarray, resampling: Resampling) -> Interval:
    """Return the mean of `values` (M,) or (M, …), one row per item, with its interval.

    >>> mean_interval(np.ones((3, 2)), Resampling())
    Interval(value=1.0, low=1.0, high=1.0, items=3)
    """
    rows = np.asarray(values, np.float64)
    rows = rows.mean(tuple(range(1, rows.ndim)))
    items, generator = len(rows), np.random.default_rng(resampling.seed)
    if items < 1:
        raise DataError("an interval needs at least one item")
    # The draws of `bootstrap`, many resamples at once.
    at_once = max(1, NUMBERS_AT_ONCE // items)
    parts = [min(at_once, resampling.resamples - start) for start in range(0, resampling.resamples, at_once)]
    again = np.concatenate([rows[generator.integers(0, items, (part, items))].mean(1) for part in parts])
    return _percentiles(float(rows.mean()), again, items)


def _percentiles(value: float, resampled: np.ndarray, items: int) -> Interval:
    """Return `value` with the interval of the resampled values that are finite; DataError where none is."""
    finite = resampled[np.isfinite(resampled)]
    if not len(finite) or not np.isfinite(value):
        raise DataError("a measured figure is not finite")
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(finite, (tail, 1 - tail))
    return Interval(value, float(low), float(high), items)
