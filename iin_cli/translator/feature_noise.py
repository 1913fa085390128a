"""Declared noise on features, which keeps the density of z bounded where features are dead or depend on others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError

__all__ = ["FeatureNoise"]

# A dead feature gets the noise of one that has this fraction of the typical std: enough to keep the density there
# moderate for the flow, too little to show in the network's output.
FLOOR = 0.1


@dataclass(frozen=True)
class FeatureNoise:
    """Gaussian noise of standard deviation `std` (N,) per feature, in the units of z; zeros mean none.

    >>> FeatureNoise.of(torch.tensor([[0.0, 1.0, 5.0], [2.0, 3.0, 5.0]]), 0.5).std
    tensor([0.5000, 0.5000, 0.0500])
    """

    std: Tensor

    @classmethod
    def of(cls, z: Tensor, fraction: float) -> Self:
        """Make noise of `fraction` of each component's std over latents z (M, N), with a floor for dead components.

        Raises DataError where the latents do not vary.
        """
        std = z.std(0, correction=0)
        if not std.max() > 0:
            raise DataError("the latents do not vary: every item has the same z")
        typical = std[std > 0].median()
        return cls(fraction * std.clamp_min(FLOOR * typical))

    @classmethod
    def none(cls, dim: int) -> Self:
        """No noise on N = `dim` features."""
        return cls(torch.zeros(dim))

    def __bool__(self) -> bool:
        return bool((self.std > 0).any())

    def add(self, z: Tensor, generator: np.random.Generator) -> Tensor:
        """Add noise to z (M, N) in place, drawn on the CPU; returns z."""
        return z.add_(_normal(generator, z).mul_(self.std))

    def add_to_pairs(
        self, z_a: Tensor, z_b: Tensor, alike: float | Tensor, generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Add noise to both members of pairs (P, N), correlated by `alike` in [0, 1], one number or (P, 1)."""
        first, own = _normal(generator, z_a), _normal(generator, z_a)
        return z_a + self.std * first, z_b + self.std * (alike * first + (1 - alike**2) ** 0.5 * own)


def _normal(generator: np.random.Generator, like: Tensor) -> Tensor:
    return torch.as_tensor(generator.standard_normal(tuple(like.shape), "float32"))
