"""The number of dimensions of each factor (Eq 11), from how much of the latent's variance its pairs have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from ..errors import DataError, UsageError
from .factors import RESIDUAL

__all__ = ["ESTIMATORS", "Estimator", "allocate", "allocate_calibrated", "complete", "score"]

COLUMNS = 128
Estimator = Literal["variance", "correlation"]
ESTIMATORS: tuple[Estimator, ...] = ("variance", "correlation")


def score(z_a: Tensor, z_b: Tensor, relation: Literal["share", "differ"], estimator: Estimator = "variance") -> float:
    """Score s_F of a concept from its pairs z_a, z_b (P, N), in [0, 1] up to sampling noise.

    `variance` is Σ_i cov(z_a,i, z_b,i) / Σ_i var(z_i); `correlation` is the mean over components of their correlation,
    leaving out components without variance. For differ pairs, where what is *not* common counts, the score is one minus
    that.

    The printed Eq 11 sums the correlations and gives the residual s = N, so that its softmax saturates and every
    concept gets 0 dimensions; means with s = 1 for the residual keep its meaning.

    Raises DataError for fewer than two pairs or latents without any variance.
    """
    if len(z_a) < 2:
        raise DataError(f"{len(z_a)} pairs are too few to estimate dimensions: needs at least 2")
    # A few components at a time: float64 copies of wide latents would take several times their memory.
    columns = zip(torch.split(z_a, COLUMNS, 1), torch.split(z_b, COLUMNS, 1), strict=True)
    parts = [_moments(a, b) for a, b in columns]
    covariance, variance = (torch.cat(moment) for moment in zip(*parts, strict=True))
    alive = variance > 1e-12 * variance.max()
    if not alive.any() or variance.max() == 0:
        raise DataError("the latents do not vary: every item has the same z")
    if estimator == "variance":
        common = (covariance.sum() / variance.sum()).item()
    else:
        common = (covariance[alive] / variance[alive]).mean().item()
    return common if relation == "share" else 1 - common


def _moments(z_a: Tensor, z_b: Tensor) -> tuple[Tensor, Tensor]:
    """Return covariance and mean variance (n,) of each component of pairs z_a, z_b (P, n), in float64."""
    a, b = z_a.double(), z_b.double()
    center = (a.mean(0) + b.mean(0)) / 2
    a, b = a - center, b - center
    return (a * b).mean(0), (a.square().mean(0) + b.square().mean(0)) / 2


def allocate(scores: Mapping[str, float], dim: int) -> dict[str, int]:
    """Divide `dim` = N dimensions by softmax of the scores, the residual's being 1 (Eq 11).

    Each concept gets floor(softmax·N), at least 1; the rest goes to the residual. If nothing is left for it, the
    largest concepts get fewer.

    >>> allocate({"digit": 0.0, "color": 0.5}, 64)
    {'digit': 11, 'color': 19, 'residual': 34}
    """
    return _shared_out({name: math.exp(value) for name, value in scores.items()}, math.e, dim)


def allocate_calibrated(excess: Mapping[str, float], dim: int) -> dict[str, int]:
    """Divide `dim` = N dimensions so that a concept without signal gets only the one dimension that it must have.

    Eq 11 weights a factor by e^s: pure noise, s = 0, still has weight 1 beside the residual's e. Here that 1 is
    subtracted: N_F = floor(N · (e^x_F − 1) / (e − 1 + Σ_k (e^x_k − 1))), at least 1. The excess x is the score minus
    that of shuffled pairs, or 0 if that is negative. As in Eq 11 a concept with all of the variance gets as much as the
    residual.

    >>> allocate_calibrated({"noise": 0.0, "color": 0.5}, 64)
    {'noise': 1, 'color': 17, 'residual': 46}
    """
    weights = {name: math.expm1(max(value, 0.0)) for name, value in excess.items()}
    return _shared_out(weights, math.expm1(1), dim)


def _shared_out(weights: Mapping[str, float], residual: float, dim: int) -> dict[str, int]:
    if len(weights) >= dim:
        raise UsageError(f"{len(weights)} concepts and a residual do not fit into {dim} dimensions")
    total = residual + sum(weights.values())
    dims = {name: max(1, math.floor(weight / total * dim)) for name, weight in weights.items()}
    while sum(dims.values()) >= dim:
        dims[max(dims, key=lambda name: dims[name])] -= 1
    return complete(dims, dim)


def complete(dims: Mapping[str, int], dim: int) -> dict[str, int]:
    """Give the residual what the concepts' `dims` leave of `dim`; a given residual must fit exactly.

    Raises UsageError when they do not sum to `dim` or leave nothing for the residual.
    """
    concepts = {name: size for name, size in dims.items() if name != RESIDUAL}
    rest = dim - sum(concepts.values())
    shown = "+".join(str(size) for size in concepts.values())
    if rest < 1:
        raise UsageError(f"dimensions {shown} leave {rest} of {dim} for the residual, which needs at least 1")
    if dims.get(RESIDUAL, rest) != rest:
        raise UsageError(f"dimensions {shown}+{dims[RESIDUAL]} do not sum to the latent's {dim}")
    return {**concepts, RESIDUAL: rest}
