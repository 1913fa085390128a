"""Edits of z̃: swap a factor, walk along it (Eqs 14, 17), interpolate between four z̃ (Fig 7), or draw it again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import DataError, UsageError
from .factors import Factors

__all__ = ["Center", "OUWalk", "attribute_axis", "attribute_walk", "bilinear_grid", "linear_walk", "redraw", "swap"]

Center = Literal["origin", "input"]


def swap(target: Tensor, source: Tensor, factors: Factors, names: Sequence[str]) -> Tensor:
    """Return `target` z̃ (B, N) with the factors `names` of `source` (B, N)."""
    edited = target.clone()
    for name in names:
        where = factors.slice(name)
        edited[:, where] = source[:, where]
    return edited


def redraw(z_tilde: Tensor, noise: Tensor, factors: Factors, names: Sequence[str]) -> Tensor:
    """Return `z_tilde` (B, N) with the factors `names` from `noise` ~ N(0, 1) (B, N): partial sampling."""
    return swap(z_tilde, noise, factors, names)


def attribute_axis(z_tilde: Tensor, has: Tensor) -> Tensor:
    """Eq 14: mean of z̃ over images without the attribute minus the mean over those with it, (M, N), (M,) -> (N,)."""
    has = has.bool()
    if not has.any() or has.all():
        raise DataError("an attribute axis needs images with and without the attribute")
    return z_tilde[~has].mean(0) - z_tilde[has].mean(0)


def attribute_walk(start: Tensor, axis: Tensor, strengths: Sequence[float]) -> Tensor:
    """Add an attribute to `start` z̃ (B, N): z̃ − s · axis for every strength s of `strengths`, (steps, B, N).

    Eq 14's axis (N,) points away from the attribute (mean without it minus mean with it). The minus here makes s = 1
    add the whole difference of the two means, s = −1 remove as much, and s = 0 leave z̃ unchanged.
    """
    if len(strengths) < 2:
        raise UsageError(f"a walk needs at least 2 steps, got {len(strengths)}")
    return torch.stack([start - strength * axis for strength in strengths])


def bilinear_grid(corners: Tensor, steps: int) -> Tensor:
    """Interpolate linearly in both directions between four `corners` z̃ (4, N): (steps, steps, N) (Fig 7).

    The corners are top left, top right, bottom left, bottom right, and are exact in the result, rows by columns.
    """
    if len(corners) != 4:
        raise UsageError(f"a grid has four corners, and {len(corners)} were given")
    top, bottom = (linear_walk(corners[left], corners[left + 1], steps) for left in (0, 2))
    return linear_walk(top, bottom, steps)


def linear_walk(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Straight line from `start` to `end`, both (B, N), ends included: (steps, B, N). Works on z as on z̃ (Fig 4)."""
    if steps < 2:
        raise UsageError(f"a walk needs at least 2 steps, got {steps}")
    return torch.stack([start.lerp(end, float(weight)) for weight in torch.linspace(0, 1, steps)])


@dataclass(frozen=True)
class OUWalk:
    """Eq 17: an Ornstein–Uhlenbeck walk of some factors, all others fixed.

    z_{t+1} = c + (1−γ)(z_t − c) + σ W_t, with c = 0, or the start where `center` is `input`. The printed −γ z_t jumps.

    Args:
        factors: names of the factors that walk, or one name.
        steps: points, the start included, at least 2.
        gamma: rate of return γ in (0, 1].
        sigma: step size; √(γ(2−γ)) when None, for which N(0, 1) is stationary.
        center: the point that the walk is pulled back to.

    Raises UsageError for a value outside its range.

    >>> OUWalk("color", steps=3).path(torch.zeros(1, 2), Factors.of({"color": 1, "residual": 1}), torch.ones(2, 1, 2))
    tensor([[[0.0000, 0.0000]],
    <BLANKLINE>
            [[0.4359, 0.0000]],
    <BLANKLINE>
            [[0.8282, 0.0000]]])
    """

    factors: tuple[str, ...] | str = ()
    steps: int = 20
    gamma: float = 0.1
    sigma: float | None = None
    center: Center = "origin"

    def __post_init__(self) -> None:
        names = (self.factors,) if isinstance(self.factors, str) else tuple(self.factors)
        object.__setattr__(self, "factors", names)
        if self.steps < 2:
            raise UsageError(f"a walk needs at least 2 steps, got {self.steps}")
        if not 0 < self.gamma <= 1:
            raise UsageError(f"gamma must be in (0, 1], got {self.gamma}")
        if self.sigma is not None and not self.sigma >= 0:
            raise UsageError(f"the step size of a walk must be at least 0, got {self.sigma}")
        if self.center not in get_args(Center):
            raise UsageError(f"--center {self.center!r}: choose from {', '.join(get_args(Center))}")

    def path(self, start: Tensor, layout: Factors, noise: Tensor) -> Tensor:
        """Walk from `start` z̃ (B, N), whose factors are `layout`, with noise W ~ N(0, 1) (steps − 1, B, N).

        Returns (steps, B, N), the start first.
        """
        step = math.sqrt(self.gamma * (2 - self.gamma)) if self.sigma is None else self.sigma
        moving = torch.zeros(start.shape[1], dtype=torch.bool, device=start.device)
        for name in self.factors:
            moving[layout.slice(name)] = True
        center = start if self.center == "input" else torch.zeros_like(start)
        walk = [start]
        for kick in noise:
            moved = center + (1 - self.gamma) * (walk[-1] - center) + step * kick
            walk.append(torch.where(moving, moved, start))
        return torch.stack(walk)
