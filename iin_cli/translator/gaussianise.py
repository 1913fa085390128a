"""Marginal Gaussianisation: each dimension of z̃ through a monotone function of its own, fitted to quantiles."""

from __future__ import annotations

from statistics import NormalDist

import torch
from torch import Tensor

from .layers import Layer

__all__ = ["Gaussianise"]

KNOTS = 33
# The outer knots have this many rows beyond them.
BEYOND = 5
# A slope outside this range would follow single items, or make the inverse as steep.
STEEPEST = 100.0


class Gaussianise(Layer):
    """Piecewise linear, monotone maps of single dimensions, with slope 1 beyond the outer knots.

    `fit` puts the knots at quantiles of data and maps them to those of N(0, 1), the one-dimensional case of Chen and
    Gopinath's Gaussianization (2000). Exact both ways; nothing in it is trained.

    >>> layer = Gaussianise(1)
    >>> z = torch.linspace(0.01, 0.99, 500)[:, None].log()
    >>> layer.fit(z)
    >>> z_tilde, log_det = layer(z)
    >>> round(z_tilde.std().item(), 1), torch.allclose(layer.inverse(z_tilde), z, atol=1e-5)
    (1.0, True)
    """

    x: Tensor
    y: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        # On the CPU first: what computes without numbers, on the device `meta`, loads torch's compiler.
        knots = torch.linspace(-2, 2, KNOTS, device="cpu").to(torch.get_default_device())
        for name in ("x", "y"):
            self.register_buffer(name, knots.expand(dim, -1).clone())

    @torch.no_grad()
    def fit(self, z: Tensor) -> None:
        """Set the knots from rows z (M, N)."""
        gauss = NormalDist()
        most = gauss.inv_cdf(1 - min(BEYOND / len(z), 0.25))
        normal = torch.linspace(-most, most, KNOTS, dtype=torch.float64, device=z.device)
        places = [round(gauss.cdf(float(value)) * (len(z) - 1)) for value in normal]
        quantiles = z.double().sort(dim=0).values[places].T
        rise = normal.diff().expand(len(quantiles), -1)
        run = quantiles.diff(dim=1)
        run = torch.maximum(torch.minimum(run, rise * STEEPEST), rise / STEEPEST)
        # The middle stays where it is; steps that were bounded move what is beyond them.
        inner = torch.cat((torch.zeros_like(run[:, :1]), run.cumsum(1)), dim=1)
        middle = KNOTS // 2
        self.y.copy_(normal.expand(len(quantiles), -1))
        self.x.copy_(inner - inner[:, middle : middle + 1] + quantiles[:, middle : middle + 1])

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z̃ (B, N) and Σ log slope (B,)."""
        z_tilde, slope = _interpolated(z, self.x, self.y)
        return z_tilde, slope.log().sum(1)

    def inverse_with_log_det(self, z_tilde: Tensor) -> tuple[Tensor, Tensor]:
        """Return z (B, N) and Σ log slope (B,) of `forward` there."""
        z, slope = _interpolated(z_tilde, self.y, self.x)
        return z, -slope.log().sum(1)


def _interpolated(z: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the values and slopes (B, N) at z (B, N) of functions through knots x, y (N, K)."""
    # Piece 0 lies before the first knot, piece K behind the last.
    piece = torch.searchsorted(x, z.T.contiguous())
    left = (piece - 1).clamp_min(0)
    slopes = torch.nn.functional.pad(y.diff(dim=1) / x.diff(dim=1), (1, 1), value=1.0)
    slope = slopes.gather(1, piece)
    value = y.gather(1, left) + (z.T - x.gather(1, left)) * slope
    return value.T, slope.T
