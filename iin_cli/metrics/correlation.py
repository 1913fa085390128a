"""Correlation of the two members of pairs in a block of dimensions, beside that of shuffled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import DataError
from .bootstrap import Interval, Resampling, bootstrap

__all__ = ["PairCorrelation"]

# A resample of the greatest deviation takes as long as resampling every block.
GAP_RESAMPLES = 200


class PairCorrelation:
    """Mean over a block's dimensions of the correlation corr(a_i, b_i) over pairs; of z̃ it should be σ·m (Eqs 8–9).

    Each dimension is correlated on its own, since a pair likelihood with diagonal covariance promises no more. Rotating
    a block whose dimensions are uncorrelated and have equal pair correlations changes nothing.

    Args:
        a, b: the members of P independent pairs, (P, N).
        resampling: resamples of whole pairs for intervals, shuffles of pairs for the null.

    Raises DataError for fewer than three pairs.
    """

    def __init__(self, a: np.ndarray, b: np.ndarray, resampling: Resampling) -> None:
        if len(a) < 3:
            raise DataError(f"{len(a)} pairs are too few for a correlation: needs at least 3")
        self.resampling = resampling
        self.a, self.b = (np.asarray(side, np.float32) - np.mean(side, 0, np.float64) for side in (a, b))

    def block(self, where: slice) -> Interval:
        """Return the mean correlation of the dimensions `where`, resampling whole pairs."""
        moments = self._moments(where)
        return bootstrap(lambda chosen: self._mean(moments, chosen), len(self.a), self.resampling)

    def shuffled(self, where: slice) -> Interval:
        """Return the mean correlation of shuffled pairs: its mean over the shuffles and their middle 95 %."""
        generator = np.random.default_rng(self.resampling.seed)
        everything = np.arange(len(self.a))
        values = []
        for _ in range(self.resampling.shuffles):
            moments = self._moments(where, generator.permutation(len(self.b)))
            values.append(self._mean(moments, everything))
        low, high = np.quantile(values, (0.025, 0.975))
        return Interval(float(np.mean(values)), float(low), float(high), len(self.a))

    def gap(self, blocks: Sequence[slice], expected: Sequence[float]) -> Interval:
        """Return the greatest deviation of the blocks' correlations from those `expected`."""
        moments = [self._moments(where) for where in blocks]

        def greatest(chosen: np.ndarray) -> float:
            found = [self._mean(part, chosen) for part in moments]
            return float(np.abs(np.subtract(found, expected)).max())

        fewer = replace(self.resampling, resamples=min(GAP_RESAMPLES, self.resampling.resamples))
        return bootstrap(greatest, len(self.a), fewer)

    def _moments(self, where: slice, order: np.ndarray | None = None) -> np.ndarray:
        """Return a, b, a², b² and ab of every pair, from which correlations are computed, (5, P, n)."""
        a, b = self.a[:, where], self.b[:, where]
        if order is not None:
            b = b[order]
        return np.stack((a, b, a * a, b * b, a * b))

    @staticmethod
    def _mean(moments: np.ndarray, chosen: np.ndarray) -> float:
        # Counts instead of copies: a resample is a weighted mean of the pairs.
        weights = np.bincount(chosen, minlength=moments.shape[1]).astype(moments.dtype) / len(chosen)
        a, b, a_squared, b_squared, product = np.matmul(weights, moments).astype(np.float64)
        scale = np.sqrt(np.maximum(a_squared - a * a, 0) * np.maximum(b_squared - b * b, 0))
        alive = scale > 1e-12
        return float(((product - a * b)[alive] / scale[alive]).mean()) if alive.any() else float("nan")
