"""How near a block of z̃ is to N(0, I): its mean, its second moments, its energy distance (Székely & Rizzo 2005).

All three are invariant under rotations of the block, and 0 for N(0, I). No item is ever compared with itself, which
makes them unbiased even for few items of many dimensions; they may therefore be slightly negative. Each has a null: its
value for as many true normal samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..errors import DataError
from .bootstrap import Interval, Resampling, bootstrap

__all__ = ["MOST_ITEMS", "NormalFigure", "covariance_error", "distance_to_normal", "energy_coefficient", "mean_error"]

# The distances between all items are kept in memory.
MOST_ITEMS = 1000
# Every draw and every resample costs as much as the figure itself.
NULL_DRAWS, RESAMPLES = 20, 200
# Below this rate a Poisson's mass is summed term by term; above, it is smooth enough for a grid.
FEW_COUNTS = 200
Statistic = Callable[[np.ndarray], float]


class NormalFigure:
    """A figure of a block (M, d) as a function of its items' weights (M,), prepared once for all resamples.

    Args:
        prepare: block (M, d) float64 -> weights that sum to one -> figure.
    """

    def __init__(self, prepare: Callable[[np.ndarray], Statistic]) -> None:
        self.prepare = prepare

    def __call__(self, block: np.ndarray, resampling: Resampling) -> Interval:
        """Return the figure with its interval; raises DataError for fewer than three items."""
        if len(block) < 3:
            raise DataError(f"{len(block)} items are too few to compare with a normal distribution: needs at least 3")
        count, statistic = len(block), self.prepare(np.asarray(block, np.float64))
        fewer = replace(resampling, resamples=min(RESAMPLES, resampling.resamples))
        return bootstrap(lambda chosen: statistic(np.bincount(chosen, minlength=count) / count), count, fewer)

    def null(self, items: int, dim: int, resampling: Resampling) -> Interval:
        """Return the figure of `items` true samples of N(0, I): the mean and the range over some draws."""
        generator, even = np.random.default_rng(resampling.seed), np.full(items, 1 / items)
        draws = min(NULL_DRAWS, resampling.shuffles)
        values = [self.prepare(generator.standard_normal((items, dim)))(even) for _ in range(draws)]
        return Interval(float(np.mean(values)), float(np.min(values)), float(np.max(values)), items)


def _mean_error(rows: np.ndarray) -> Statistic:
    products = rows @ rows.T / rows.shape[1]
    return lambda weights: _between_items(products, weights)


def _covariance_error(rows: np.ndarray) -> Statistic:
    dim = rows.shape[1]
    products = rows @ rows.T
    squares = products**2 / dim
    lengths = np.diagonal(products) / dim
    # tr S² − 2 tr S + d; only the first term involves two items.
    return lambda weights: _between_items(squares, weights) - 2 * float(weights @ lengths) + 1


def _between_items(matrix: np.ndarray, weights: np.ndarray) -> float:
    """Return the weighted mean of a symmetric matrix (M, M) over couples of different items."""
    squared = weights * weights
    # An item and its own copy are no couple: counting them would bias resamples, and heavily so for few items.
    couples = 1 - squared.sum()
    if couples < 1e-9:
        return float("nan")
    return float((weights @ matrix @ weights - squared @ np.diagonal(matrix)) / couples)


def _energy_coefficient(rows: np.ndarray) -> Statistic:
    from scipy.spatial.distance import pdist, squareform

    distances, to_normal = squareform(pdist(rows)), distance_to_normal(np.linalg.norm(rows, axis=1), rows.shape[1])
    within_normal = np.sqrt(2) * _chi_mean(np.array(float(rows.shape[1])))

    def coefficient(weights: np.ndarray) -> float:
        across = weights @ to_normal
        within = _between_items(distances, weights)
        return float((2 * across - within - within_normal) / (2 * across))

    return coefficient


def distance_to_normal(norms: np.ndarray, dim: int) -> np.ndarray:
    """Return E‖x − Y‖, Y ~ N(0, I) in `dim` dimensions, of points x with these norms (M,).

    ‖x − Y‖ is a chi variable of dim + 2J degrees of freedom, J ~ Poisson(‖x‖²/2). Its closed form, a confluent
    hypergeometric function, overflows where ‖x‖² is some hundreds, so the Poisson sum is taken instead.

    >>> [round(float(value), 4) for value in distance_to_normal(np.array([0.0, 3.0]), 1)]
    [0.7979, 3.0008]
    """
    from scipy.special import gammaln

    rate = np.asarray(norms, np.float64)[:, None] ** 2 / 2
    steps = np.arange(2 * FEW_COUNTS + 1.0)[None]
    spread = rate + np.sqrt(np.maximum(rate, 1)) * np.linspace(-8, 8, steps.size)
    counts = np.where(rate < FEW_COUNTS, steps, spread)
    log_mass = counts * np.log(np.maximum(rate, 1e-300)) - rate - gammaln(counts + 1)
    mass = np.exp(log_mass)
    return (mass * _chi_mean(dim + 2 * counts)).sum(1) / mass.sum(1)


def _chi_mean(degrees: np.ndarray) -> np.ndarray:
    from scipy.special import gammaln

    return np.sqrt(2) * np.exp(gammaln((degrees + 1) / 2) - gammaln(degrees / 2))


# ‖mean‖² / d: the mean square of the dimensions' means.
mean_error = NormalFigure(_mean_error)
# ‖S − I‖² / d, Frobenius, S = E z̃z̃ᵀ: the mean square of the distance to 1 of its eigenvalues.
covariance_error = NormalFigure(_covariance_error)
# E²/(2 E‖x − Y‖), E² = 2 E‖x − Y‖ − E‖x − x'‖ − E‖Y − Y'‖, Y ~ N(0, I): 0 for that distribution only, at most 1.
energy_coefficient = NormalFigure(_energy_coefficient)
