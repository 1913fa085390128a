"""Expected calibration error: is a classifier right as often as it is sure (Guo et al. 2017)?"""

from __future__ import annotations

import numpy as np

from .bootstrap import Interval, Resampling, bootstrap

__all__ = ["BINS", "calibration_error", "calibration_interval"]

BINS = 15


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return Σ_b (M_b / M) · |accuracy_b − mean confidence_b| over `BINS` equal bins of the confidence.

    Args:
        confidence: probability of the predicted class, in [0, 1], (M,).
        right: whether that class is the item's, bool (M,).

    >>> round(calibration_error(np.full(10, 0.95), np.arange(10) < 7), 2)
    0.25
    """
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gap = np.bincount(bins, weights=right.astype(np.float64) - confidence, minlength=BINS)
    return float(np.abs(gap).sum() / len(confidence))


def calibration_interval(confidence: np.ndarray, right: np.ndarray, resampling: Resampling) -> Interval:
    """Return `calibration_error` with its interval over items. DataError for no item."""
    return bootstrap(lambda chosen: calibration_error(confidence[chosen], right[chosen]), len(right), resampling)
