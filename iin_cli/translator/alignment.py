"""What a fit rewards beside the likelihood: correlation of pairs within a factor, and differences that stay straight.

The likelihood (Eqs 4–9) gives up correlation of a shared factor where the density of z gains more: while the NLL falls,
the concept leaves its factor. The reward tr(S⁻¹C) makes that loss count.
Pairs that differ in a concept say in which direction it moves the closed form. The likelihood bends that direction at
will; `straightness` rewards a factor that still tells it linearly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .factors import RESIDUAL, Factors
from .linear_algebra import quotient, trace_of_quotient

__all__ = [
    "Alignment",
    "alignments",
    "explained",
    "pair_correlation",
    "reward",
    "straight",
    "straightness",
]

RIDGE = 1e-3


@dataclass(frozen=True)
class Alignment:
    """A factor's dimensions, and what is wanted of their pairs: +1 for correlated, −1 for uncorrelated."""

    name: str
    dims: slice
    sign: int

    @property
    def size(self) -> int:
        """How many dimensions the factor has."""
        return self.dims.stop - self.dims.start


def alignments(factors: Factors, mask: Sequence[int], absent: Sequence[str] = ()) -> tuple[Alignment, ...]:
    """Return what the pairs of `mask` (K+1,) say of factors: share pairs which are alike, differ pairs which are not.

    A pair that shares the residual is one that differs in something. Concepts in `absent` are left out: what is not
    there could only be overfitted. What is not known (−1) says nothing.

    >>> [(a.name, a.sign) for a in alignments(Factors.of({"digit": 2, "residual": 4}), (1, 0))]
    [('digit', 1)]
    """
    if mask[-1] < 0:
        return ()
    differs = bool(mask[-1])
    return tuple(
        Alignment(name, factors.slice(name), -1 if differs else 1)
        for name, shared in zip(factors.names, mask, strict=True)
        if name != RESIDUAL and name not in absent and shared >= 0 and bool(shared) != differs
    )


def pair_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return tr(S⁻¹C), the sum of the correlations of pairs a, b (P, d), in any basis and scale; in [−d, d].

    >>> a = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    >>> round(pair_correlation(a, a).item(), 1), round(pair_correlation(a, -a).item(), 1)
    (3.0, -3.0)
    """
    return _correlation(_moments(a, b, len(a)), a.shape[1])


def straightness(difference: Tensor, begin: Tensor) -> Tensor:
    """Return how much the differences of pairs, (P, d), linearly tell of what they were at first, `begin` (P, d).

    The sum of the squared canonical correlations, in any basis and scale of either; in [0, d].

    >>> begin = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> round(straightness(2 * begin.flip(1), begin).item(), 1), round(straightness(begin.abs(), begin).item(), 1)
    (2.0, 0.0)
    """
    return _straightness(_joint_moments(difference, begin, len(begin)), begin.shape[1])


def explained(a: Tensor, b: Tensor, wanted: Sequence[Alignment]) -> float:
    """Return Σ ±tr(S⁻¹C) over the factors `wanted`, of z̃ pairs a, b (P, N): the higher, the better."""
    return sum(each.sign * float(pair_correlation(a[:, each.dims], b[:, each.dims])) for each in wanted)


def straight(a: Tensor, b: Tensor, begin: Tensor, wanted: Sequence[Alignment]) -> float:
    """Return Σ straightness over the factors that differ, of z̃ pairs a, b (P, N); `begin` as in `reward`."""
    return sum(float(straightness((a - b)[:, each.dims], begin[:, each.dims])) for each in wanted if each.sign < 0)


def reward(
    a: Tensor,
    b: Tensor,
    wanted: Sequence[Alignment],
    count: int,
    total: Callable[[Tensor], Tensor] | None = None,
    begin: Tensor | None = None,
) -> Tensor:
    """Return what `explained` and `straight` measure, to be differentiated.

    Args:
        a, b: this process's part of the pairs, (P, N), perhaps none.
        count: pairs of all processes.
        total: adds a tensor up over all processes; None where there is one.
        begin: the pairs' differences in the translator that the fit began with, (P, N); None where that is none.

    Parts of a batch add up in their moments and not in the trace: its slope at the common moments is passed on, so that
    the gradients of all processes sum to that of the whole batch. The value is then right only up to a constant.
    """
    value = a.new_zeros(())
    for each in wanted:
        own = _moments(a[:, each.dims], b[:, each.dims], count)
        value = value + each.sign * _shared(_correlation, own, each.size, total)
        if each.sign < 0 and begin is not None:
            own = _joint_moments((a - b)[:, each.dims], begin[:, each.dims], count)
            value = value + _shared(_straightness, own, each.size, total)
    return value


def _shared(
    of: Callable[[Tensor, int], Tensor], own: Tensor, size: int, total: Callable[[Tensor], Tensor] | None
) -> Tensor:
    """Return a function of all processes' moments, or what has its gradient with respect to this one's, `own`."""
    if total is None:
        return of(own, size)
    common = total(own).requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(of(common, size), common)
    return (slope * own).sum()


def _moments(a: Tensor, b: Tensor, count: int) -> Tensor:
    """Return mean (1, d), variance (d, d) and symmetrised covariance (d, d) around zero, stacked (2d + 1, d)."""
    mean = (a.sum(0) + b.sum(0))[None]
    return torch.cat((mean, a.T @ a + b.T @ b, a.T @ b + b.T @ a)) / (2 * count)


def _correlation(moments: Tensor, size: int) -> Tensor:
    mean, variance, covariance = moments.split_with_sizes((1, size, size))
    square = mean.T @ mean
    ridge = RIDGE * torch.eye(size, device=moments.device, dtype=moments.dtype)
    return trace_of_quotient(variance - square + ridge, covariance - square)


def _joint_moments(difference: Tensor, begin: Tensor, count: int) -> Tensor:
    """Return second moments (2d, 2d) around zero, where differences lie as the order of a pair says nothing."""
    both = torch.cat((difference, begin), dim=1)
    return both.T @ both / count


def _straightness(moments: Tensor, size: int) -> Tensor:
    now, across, begin = moments[:size, :size], moments[:size, size:], moments[size:, size:]
    ridge = RIDGE * torch.eye(size, device=moments.device, dtype=moments.dtype)
    told = across.T @ quotient(now + ridge, across)
    return trace_of_quotient(begin + ridge, told)
