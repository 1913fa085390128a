"""How far T⁻¹(T(z)) is from z, in units of each component's std: the same for latents in any unit."""

from __future__ import annotations

import torch
from torch import Tensor

from .flow import Translator

__all__ = ["in_stds", "round_trip_error"]

# A dead component has no std of its own; rotations give it rounding errors of the others.
STD_FLOOR = 1e-3


def in_stds(error: Tensor, z: Tensor) -> Tensor:
    """Divide errors (B, N) of latents `z` (B, N) by the std of each component over `z`.

    A std is taken as at least a thousandth of the typical one, the root mean square over the components. Latents that
    do not vary are measured by their size.

    >>> in_stds(torch.tensor([[3.0]]), torch.tensor([[-6.0], [6.0]])).item()
    0.5
    """
    z = z.double()
    std = z.std(0, correction=0)
    floor = STD_FLOOR * std.square().mean().sqrt().item() or z.square().mean().sqrt().item() or 1.0
    return error.double() / std.clamp_min(floor)


@torch.no_grad()
def round_trip_error(translator: Translator, z: Tensor) -> float:
    """Measure max |T⁻¹(T(z)) − z| over latents (B, N), in float32, in units of each component's std."""
    error = (translator.inverse(translator(z)[0]) - z).abs()
    return in_stds(error.cpu(), z.cpu()).max().item()
