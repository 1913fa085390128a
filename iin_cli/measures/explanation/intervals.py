"""Intervals of means over few edits of bounded figures, which are never of width zero."""

from __future__ import annotations

import numpy as np

from ...metrics.bootstrap import Interval, Resampling, mean_interval

__all__ = ["bounded_mean"]


def bounded_mean(values: np.ndarray, least: float, most: float, resampling: Resampling) -> Interval:
    """Return the mean of `values` (M,), each in [`least`, `most`], with an interval that knows how few they are.

    Sixteen edits that all do the same do not show that every edit does. One value at either end of the range is added
    before resampling, as Agresti and Coull (1998) do for a proportion; the mean itself is that of the values alone.

    >>> found = bounded_mean(np.ones(16), 0.0, 1.0, Resampling())
    >>> found.value, 0.7 < found.low < 0.95, found.high
    (1.0, True, 1.0)
    """
    rows = np.asarray(values, np.float64)
    value = float(rows.mean())
    found = mean_interval(np.concatenate((rows, [least, most])), resampling)
    return Interval(value, min(found.low, value), max(found.high, value), len(rows))
