"""Second moments of latents and of their pairs, exact over all pairs of a group; no pair is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..plugin_api import Relation
from .linear_algebra import eigh, largest_eigenvalues, ledoit_wolf, relative_eigenpairs

__all__ = ["MANY_ROWS", "Moments", "PairMoments", "PairedRows", "moments", "numbered", "spectral_edges"]

ROWS = 8192
STD_FLOOR = 1e-3
# From this many rows per dimension on, the covariance is known; what is left is for dead and for dependent features.
MANY_ROWS = 10
LEAST_SHRINKAGE, MOST_SHRINKAGE = 1e-4, 0.99
SHUFFLES = 20
# Up to this N, and this many numbers of rows, a matrix is multiplied out rather than only by vectors.
DENSE_DIM, DENSE_NUMBERS = 512, 2**25
# An eigenvalue of chance lies above its mean by more than this many standard deviations once in thousands.
DEVIATIONS = 5.0


@dataclass(frozen=True)
class PairedRows:
    """Rows of one concept: `z` (M, N), and `groups` (M,), of which two rows of equal number make a pair."""

    name: str
    relation: Relation
    z: Tensor
    groups: np.ndarray


@dataclass(frozen=True)
class PairMoments:
    """Covariance of the standardised rows of a concept, and of its pairs, both (N, N) in float64."""

    name: str
    relation: Relation
    variance: Tensor
    pairs: Tensor

    @property
    def explaining(self) -> Tensor:
        """What the concept explains of the variance, (N, N): pairs' covariance, or half of their differences'."""
        return self.pairs if self.relation == "share" else (self.variance - self.pairs) / 2

    def correlation(self, directions: Tensor) -> Tensor:
        """Return the correlation of pairs (d,) along `directions` (N, d)."""
        return _along(self.pairs, directions) / _along(self.variance, directions).clamp_min(1e-12)

    def along(self, directions: Tensor) -> Tensor:
        """Return the fraction of variance explained (d,) along `directions` (N, d)."""
        rho = self.correlation(directions)
        return rho if self.relation == "share" else (1 - rho) / 2

    def explained(self, directions: Tensor) -> Tensor:
        """Return the fractions explained (d,) of the subspace of `directions` (N, d), largest first, in any basis."""
        variance, pairs = directions.T @ self.variance @ directions, directions.T @ self.explaining @ directions
        return relative_eigenpairs(pairs, variance)[0]


@dataclass(frozen=True)
class Moments:
    """All second moments that the closed form needs, of latents standardised by `mean` and `std` (N,).

    Attributes:
        rows: of which `shrinkage` was estimated.
        shrinkage: Ledoit and Wolf's.
        covariance: (N, N), float64.
        fit, held_out: of every concept.
    """

    rows: int
    mean: Tensor
    std: Tensor
    shrinkage: float
    covariance: Tensor
    fit: list[PairMoments]
    held_out: list[PairMoments | None]

    @property
    def dim(self) -> int:
        """N."""
        return len(self.mean)

    def shrunk(self, shrinkage: float) -> Tensor:
        """Return (1 − a)·S + a·m·1, m the mean variance."""
        mean = self.covariance.diagonal().mean()
        return (1 - shrinkage) * self.covariance + shrinkage * mean * torch.eye(self.dim, dtype=torch.float64)

    def standardised(self, z: Tensor) -> Tensor:
        """Return (z − mean) / std in float32, (M, N)."""
        return ((z - self.mean.float()) / self.std.float()).float()


def moments(
    z: Tensor, pairs: Sequence[PairedRows], held_out: Sequence[PairedRows | None], independent: Tensor
) -> Moments:
    """Collect the moments of rows z (M, N) and of every concept's; DataError for latents that do not vary."""
    # Latents in any unit: their mean may be far larger than what varies.
    mean = z.mean(0, dtype=torch.float64)
    std = (z - mean.float()).double().std(0, correction=0)
    if not std.max() > 0:
        raise DataError("the latents do not vary: every item has the same z")
    # Relative to the typical feature, so that the unit of z does not matter.
    std = std.clamp_min(STD_FLOOR * float(std[std > 0].median()))
    known = Moments(len(independent), mean, std, 0.0, torch.empty(0), [], [])
    rows, shrinkage = known.standardised(independent), LEAST_SHRINKAGE
    if len(rows) < MANY_ROWS * z.shape[1]:
        alive = rows.std(0) > 0
        shrinkage = ledoit_wolf(rows[:, alive]) if alive.any() else 1.0
    return Moments(
        len(independent),
        mean,
        std,
        min(max(shrinkage, LEAST_SHRINKAGE), MOST_SHRINKAGE),
        _covariance(known.standardised(z)),
        [_pair_moments(known, rows) for rows in pairs],
        [None if rows is None else _pair_moments(known, rows) for rows in held_out] or [None] * len(pairs),
    )


def _pair_moments(known: Moments, rows: PairedRows) -> PairMoments:
    """Every row of a group makes a pair with each other row of it, and every row counts equally."""
    group_of, kept = numbered(rows.groups)
    x = known.standardised(rows.z[kept])
    # The concept's own mean: a rendering shifts all items that it is not made of.
    x = x - x.mean(0)
    sizes = torch.bincount(group_of).float()
    sums = torch.zeros(len(sizes), known.dim).index_add_(0, group_of, x)
    weight = (sizes - 1).rsqrt()
    # (Σ of a group)² has every row's own square in it, which is no pair's.
    of_groups = _covariance(sums * weight[:, None]) * (len(sums) / len(x))
    pairs = of_groups - _covariance(x * weight[group_of, None])
    return PairMoments(rows.name, rows.relation, _covariance(x), pairs)


def spectral_edges(rows: PairedRows, known: Moments, whiten: Tensor, count: int, seed: int) -> np.ndarray:
    """Return what the `count` best directions of an absent share concept would show: groups of equal sizes, shuffled.

    At most N − 1 numbers, largest first.
    """
    group_of, kept = numbered(rows.groups)
    x = known.standardised(rows.z[kept])
    w = ((x - x.mean(0)) @ whiten.float()).numpy()
    weight = 1 / (torch.bincount(group_of).numpy() - 1.0)
    generator = np.random.default_rng(seed)
    shuffled: list[np.ndarray] = []
    for _ in range(SHUFFLES):
        chance = _Chance(w, group_of.numpy()[generator.permutation(len(w))], weight)
        start = generator.standard_normal(known.dim)
        if known.dim <= DENSE_DIM and w.size <= DENSE_NUMBERS:
            # At most N − 1, as of a matrix that is only given by its products.
            values = chance.eigenvalues()[: min(count, known.dim - 1)]
        else:
            values = largest_eigenvalues(chance.times, start, count)
        shuffled.append(values)
    return np.mean(shuffled, axis=0) + DEVIATIONS * np.std(shuffled, axis=0)


class _Chance:
    """The pair covariance of whitened rows w (M, N) in random groups, whole or as a product with a vector."""

    def __init__(self, w: np.ndarray, groups: np.ndarray, weight: np.ndarray) -> None:
        self.w, self.groups, self.weight = w, groups, weight

    @cached_property
    def _ordered(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows in order of their groups, and the first of each."""
        order = np.argsort(self.groups, kind="stable")
        return order, np.searchsorted(self.groups[order], np.arange(len(self.weight)))

    def eigenvalues(self) -> np.ndarray:
        """Return all eigenvalues of C, largest first, which takes less time than products where N is small."""
        w, groups = torch.as_tensor(self.w), torch.as_tensor(self.groups)
        weight = torch.as_tensor(self.weight, dtype=torch.float32)
        sums = torch.zeros(len(weight), w.shape[1]).index_add_(0, groups, w) * weight.sqrt()[:, None]
        matrix = _covariance(sums) * (len(sums) / len(w)) - _covariance(w * weight[groups].sqrt()[:, None])
        return np.asarray(eigh(matrix)[0].flip(0))

    def times(self, vector: np.ndarray) -> np.ndarray:
        """Return C v (N,): each row gets what the other rows of its group have along v."""
        order, starts = self._ordered
        along = self.w @ vector.ravel().astype(np.float32)
        sums = np.add.reduceat(along[order], starts)
        return (self.weight[self.groups] * (sums[self.groups] - along)) @ self.w / len(self.w)


def numbered(groups: np.ndarray) -> tuple[Tensor, Tensor]:
    """Number the groups of two rows or more; return each kept row's group and the rows kept."""
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    kept = counts[inverse] > 1
    if not kept.any():
        raise DataError("no group has two rows: there is no pair to score")
    numbers: np.ndarray = np.unique(inverse[kept], return_inverse=True)[1]
    rows: np.ndarray = np.flatnonzero(kept)
    return torch.as_tensor(numbers), torch.as_tensor(rows)


def _covariance(x: Tensor) -> Tensor:
    """Return xᵀx / M (N, N) in float64, of centred rows x (M, N) in float32: sums of a few thousand rows at a time."""
    total = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for rows in torch.split(x, ROWS):
        total += rows.T @ rows
    return total / len(x)


def _along(matrix: Tensor, directions: Tensor) -> Tensor:
    return (directions * (matrix @ directions)).sum(0)
