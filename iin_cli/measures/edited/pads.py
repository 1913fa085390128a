"""Pads: the two principal axes of each factor over real images, along which a recipe moves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ...translator.factors import Factors

__all__ = ["Pad"]


@dataclass(frozen=True, eq=False)
class Pad:
    """The plane in which a factor is looked at and moved; its origin is the mean of N(0, 1).

    Attributes:
        basis: orthonormal axes as columns, (N_k, 2), of a factor of one dimension (1, 1).
        shares: the part of the factor's variance along each axis; empty where no images were there to measure it.
    """

    basis: Tensor
    shares: tuple[float, ...] = ()

    @classmethod
    def of(cls, factors: Factors, name: str, z_tilde: Tensor | None) -> Self:
        """Find the axes of factor `name` over real images z̃ (M, N); its first dimensions where there are none.

        An axis points where its largest component is positive, so that equal images give equal axes.

        >>> z_tilde = torch.tensor([[0.0, 3.0, 0.0], [0.0, -3.0, 1.0]])
        >>> Pad.of(Factors.of({"digit": 2, "residual": 1}), "digit", z_tilde).basis[:, 0]
        tensor([0., 1.])
        """
        dim, where = factors.dims[name], factors.slice(name)
        if z_tilde is None or len(z_tilde) < 2:
            return cls(torch.eye(dim)[:, :2])
        own = z_tilde[:, where].double()
        values, vectors = torch.linalg.eigh(torch.cov(own.T).reshape(dim, dim))
        basis = vectors.flip(1)[:, :2]
        largest = basis.abs().argmax(0, keepdim=True)
        # Zeros that are written -0 would be shown so.
        basis = basis * basis.gather(0, largest).sign() + 0.0
        shares = values.flip(0)[:2] / values.sum().clamp_min(1e-12)
        return cls(basis.float(), tuple(shares.clamp(0, 1).tolist()))

    def place(self, factor: Tensor) -> Tensor:
        """Say where values z̃_k (B, N_k) of the factor lie, (B, 2); y is 0 for a factor of one dimension."""
        found = factor @ self.basis
        return found if found.shape[1] == 2 else torch.cat((found, torch.zeros_like(found)), 1)

    def step(self, move: tuple[float, float]) -> Tensor:
        """Return the change of z̃_k (N_k,) that moves a factor by `move`."""
        return self.basis @ torch.tensor(move[: self.basis.shape[1]])
