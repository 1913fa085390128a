"""What can be done to a z̃: swap a factor, walk along it (Eqs 14, 17) or between four (Fig 7), or draw it anew."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import DataError, UsageError
from .factors import Factors

__all__ = ["attribute_axis", "attribute_walk", "bilinear_grid", "linear_walk", "ou_walk", "redraw", "swap"]


def swap(target: Tensor, source: Tensor, factors: Factors, names: Sequence[str]) -> Tensor:
    """Return `target` z̃ (B, N) with the factors `names` of `source` (B, N)."""
    edited = target.clone()
    for name in names:
        where = factors.slice(name)
        edited[:, where] = source[:, where]
    return edited


def redraw(z_tilde: Tensor, noise: Tensor, factors: Factors, names: Sequence[str]) -> Tensor:
    """Partial sampling: `z_tilde` (B, N) with the factors `names` drawn anew from `noise` ~ N(0, 1) (B, N)."""
    return swap(z_tilde, noise, factors, names)


def attribute_axis(z_tilde: Tensor, has: Tensor) -> Tensor:
    """Eq 14: mean of z̃ over images without the attribute minus the mean over those with it, (M, N), (M,) -> (N,)."""
    has = has.bool()
    if not has.any() or has.all():
        raise DataError("an attribute axis needs images with and without the attribute")
    return z_tilde[~has].mean(0) - z_tilde[has].mean(0)


def attribute_walk(start: Tensor, axis: Tensor, strengths: Sequence[float]) -> Tensor:
    """Add an attribute to `start` z̃ (B, N): z̃ − s · axis for every strength s of `strengths`, (steps, B, N).

    Eq 14's axis (N,) points away from the attribute, without minus with; the minus here lets s = 1 add it by the whole
    difference of the two means, s = −1 remove it as far, and s = 0 leave z̃ as it is.
    """
    if len(strengths) < 2:
        raise UsageError(f"a walk needs at least 2 steps, got {len(strengths)}")
    return torch.stack([start - strength * axis for strength in strengths])


def bilinear_grid(corners: Tensor, steps: int) -> Tensor:
    """Interpolate linearly in both directions between four `corners` z̃ (4, N): (steps, steps, N) (Fig 7).

    The corners are top left, top right, bottom left, bottom right, each met exactly; the result is rows by columns.
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


def ou_walk(
    start: Tensor,
    factors: Factors,
    names: Sequence[str],
    noise: Tensor,
    gamma: float = 0.1,
    sigma: float | None = None,
    center_on_input: bool = False,
) -> Tensor:
    """Eq 17: an Ornstein–Uhlenbeck walk of the factors `names`, all others fixed.

    z_{t+1} = c + (1−γ)(z_t − c) + σ W_t, with c = 0, or the start when `center_on_input`. The printed −γ z_t jumps.

    Args:
        start: z̃ (B, N), the first point of the walk.
        noise: W ~ N(0, 1) of shape (steps − 1, B, N).
        gamma: rate of return γ in (0, 1].
        sigma: step size; √(γ(2−γ)) when None, for which N(0, 1) is stationary.

    Returns (steps, B, N).
    """
    if not 0 < gamma <= 1:
        raise UsageError(f"gamma must be in (0, 1], got {gamma}")
    step = math.sqrt(gamma * (2 - gamma)) if sigma is None else sigma
    moving = torch.zeros(start.shape[1], dtype=torch.bool, device=start.device)
    for name in names:
        moving[factors.slice(name)] = True
    center = start if center_on_input else torch.zeros_like(start)
    walk = [start]
    for kick in noise:
        moved = center + (1 - gamma) * (walk[-1] - center) + step * kick
        walk.append(torch.where(moving, moved, start))
    return torch.stack(walk)
