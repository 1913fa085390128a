"""Pair likelihood of the factors (Eqs 4–10) and the likelihood without concepts (Eq 12), in nats.

The paper drops the ½ and the constants; without the ½ samples from N(0, 1) come out √2 too wide, so both stay here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import UsageError
from .factors import Factors

__all__ = ["bits_per_dim", "correlations", "nll", "pair_nll"]

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def nll(z_tilde: Tensor, log_det: Tensor) -> Tensor:
    """Eq 12: −log p(z) = ½‖z̃‖² + ½N log 2π − log|T'(z)|, (B, N), (B,) -> (B,) nats. The printed sign diverges."""
    return 0.5 * z_tilde.square().sum(1) + z_tilde.shape[1] * HALF_LOG_2PI - log_det


def correlations(factors: Factors, mask: Tensor | Sequence[int]) -> Tensor:
    """Spread masks (B, K+1) or (K+1,) over dimensions: ρ = σ_k where the pair shares k, else 0; (B, N) or (N,)."""
    shared = torch.as_tensor(mask)
    if shared.shape[-1] != len(factors):
        raise UsageError(
            f"the mask has {shared.shape[-1]} columns for {len(factors)} factors ({', '.join(factors.names)})"
        )
    sigma = torch.tensor([factor.sigma for factor in factors], device=shared.device)
    sizes = torch.tensor([factor.dim for factor in factors], device=shared.device)
    return (shared * sigma).repeat_interleave(sizes, dim=-1)


def pair_nll(z_tilde_a: Tensor, log_det_a: Tensor, z_tilde_b: Tensor, log_det_b: Tensor, rho: Tensor) -> Tensor:
    """−log p(z_a, z_b) of pairs (Eqs 4–9), nats per pair (B,).

    Dimension i of z̃_b is N(ρ_i z̃_a,i, 1 − ρ_i²): independent of z̃_a where ρ = 0 (Eq 8), correlated by σ where the pair
    shares the factor (Eq 9).

    Args:
        z_tilde_a, z_tilde_b: T(z_a), T(z_b), (B, N).
        log_det_a, log_det_b: log|T'|, (B,).
        rho: from `correlations`, (N,) or (B, N).

    >>> import torch
    >>> a, zero = torch.zeros(1, 2), torch.zeros(1)
    >>> nats = pair_nll(a, zero, a, zero, torch.tensor([0.0, 0.9]))
    >>> math.isclose(nats.item(), 4 * HALF_LOG_2PI + 0.5 * math.log(0.19), rel_tol=1e-6)
    True
    """
    variance = 1 - rho.square()
    given_a = 0.5 * ((z_tilde_b - rho * z_tilde_a).square() / variance + variance.log()).sum(1)
    return nll(z_tilde_a, log_det_a) + given_a + z_tilde_b.shape[1] * HALF_LOG_2PI - log_det_b


def bits_per_dim(nats: float, dim: int) -> float:
    """Turn nats per z into bits per dimension."""
    return nats / (dim * math.log(2))
