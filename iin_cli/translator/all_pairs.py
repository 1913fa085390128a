"""A concept's score over all of its pairs (Eq 11), computed exactly, also for resampled and for shuffled units."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ..errors import DataError
from .dims import Estimator
from .linear_algebra import eigh

__all__ = ["AllPairs", "whitened"]

# Directions to whiten, as a fraction of the rows; whitening more would make all rows equally far apart.
MOST_DIRECTIONS = 0.1


class AllPairs:
    """Score over all pairs of different rows of a group, each row equally likely; no pair has to be drawn.

    Rows come in units, which are resampled or shuffled whole: the renderings of one image, or a whole group. A unit of
    weight w counts w times in its group, but never makes a pair with its own copy, which shares everything with it.
    Let s_u be the sum of a unit's rows, q_u = Σ z² the sum of their squares and n_u their number. The products of a
    group's pairs then sum to

        (Σ_u w_u s_u)² − Σ_u w_u² s_u² + Σ_u w_u (s_u² − q_u),

    and the number of pairs is the same expression with n_u in place of both s_u and q_u.

    Args:
        z: (M, N) latents.
        groups: (M,) int64, the group of each row.
        units: (M,) int64, the unit of each row; a unit lies in one group.
        relation, estimator: as in `dims.score`, which tends to this score as more pairs are drawn.

    Raises DataError when no group has two rows.
    """

    def __init__(
        self,
        z: Tensor,
        groups: Tensor,
        units: Tensor,
        relation: Literal["share", "differ"],
        estimator: Estimator = "variance",
    ) -> None:
        self.relation, self.estimator = relation, estimator
        # Sums in float32 stay exact enough around a mean of zero.
        centred = z - z.mean(0)
        unit_of, group_of = _numbered(units), _numbered(groups)
        if not (torch.bincount(group_of) > 1).any():
            raise DataError("no group has two rows: there is no pair to score")
        self.units, self.groups = int(unit_of.max()) + 1, int(group_of.max()) + 1
        self.group_of = torch.empty(self.units, dtype=torch.int64).scatter_(0, unit_of, group_of)
        self.sums = torch.zeros(self.units, z.shape[1]).index_add_(0, unit_of, centred)
        self.squares_of_sums = self._squares(self.sums)
        own_squares = self._squares(centred)
        self.squares = torch.zeros(self.units, own_squares.shape[1], dtype=torch.float64)
        self.squares.index_add_(0, unit_of, own_squares)
        self.sizes = torch.bincount(unit_of, minlength=self.units).double()

    def __call__(self, weights: Tensor | None = None, group_of: Tensor | None = None) -> float:
        """Return the score; NaN where the weighted units make no pair or do not vary.

        Args:
            weights: (units,) how often each unit counts in its group; None: once.
            group_of: (units,) the group of each unit, 0 … groups − 1; None: its own.
        """
        w = torch.ones(self.units, dtype=torch.float64) if weights is None else weights.double()
        group_of = self.group_of if group_of is None else group_of
        sums = self._by_group(self.sums if weights is None else w.float()[:, None] * self.sums, group_of)
        squares = self._by_group(w[:, None] * self.squares, group_of)
        copies = self._by_group((w - w.square())[:, None] * self.squares_of_sums, group_of)
        rows = self._by_group(w * self.sizes, group_of)
        pairs = rows.square() + self._by_group((w - w.square()) * self.sizes.square() - w * self.sizes, group_of)
        paired = pairs > 0
        products = (self._squares(sums) + copies - squares)[paired]
        total = rows[paired].sum()
        mean_product = (products * (rows[paired] / pairs[paired])[:, None]).sum(0) / total
        center = self._squares((sums[paired].sum(0, dtype=torch.float64) / total)[None])[0]
        return self._score(mean_product - center, squares[paired].sum(0) / total - center)

    def dealt(self, generator: torch.Generator) -> float:
        """Return the score of unrelated rows: units are shuffled over the groups, each of which keeps its number."""
        return self(group_of=self.group_of[torch.randperm(self.units, generator=generator)])

    def _by_group(self, values: Tensor, group_of: Tensor) -> Tensor:
        """Sum values (units, …) over the units of each group."""
        return torch.zeros(self.groups, *values.shape[1:], dtype=values.dtype).index_add_(0, group_of, values)

    def _squares(self, values: Tensor) -> Tensor:
        """Square (B, N): component by component for the correlation, else summed over them to (B, 1)."""
        if self.estimator == "correlation":
            return values.double().square()
        return _dots(values)[:, None].double()

    def _score(self, covariance: Tensor, variance: Tensor) -> float:
        if not len(variance) or not variance.max() > 0:
            return torch.nan
        alive = variance > 1e-12 * variance.max()
        common = (covariance[alive] / variance[alive]).mean().item()
        return common if self.relation == "share" else 1 - common


def whitened(z: Tensor) -> Tensor:
    """Rotate and scale latents z (M, N), so that each of their leading directions has variance 1: (M, ≤ M / 10, ≤ N).

    A score of whitened latents counts every direction equally: a concept shows even in a direction of little variance,
    where a classifier leaves what it does not use.
    """
    centred = (z - z.mean(0)).double()
    wide = z.shape[1] > len(z)
    # Both have the same eigenvalues, and the smaller is faster.
    covariance = (centred @ centred.T if wide else centred.T @ centred) / len(z)
    values, vectors = eigh(covariance)
    alive = values > 1e-6 * values.max()
    alive[: -max(1, int(MOST_DIRECTIONS * len(z)))] = False
    vectors = vectors[:, alive]
    return (vectors * len(z) ** 0.5 if wide else centred @ (vectors / values[alive].sqrt())).float()


# Torch leaves these two untyped.


def _numbered(names: Tensor) -> Tensor:
    """Renumber int64 ids (M,) as 0 … distinct − 1, in their order."""
    return torch.unique(names, return_inverse=True)[1]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _dots(rows: Tensor) -> Tensor:
    """Sum the squares of each row of (B, N): (B,)."""
    return torch.linalg.vecdot(rows, rows)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
