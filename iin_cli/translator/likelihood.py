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

__all__ = ["bits_per_dim", "correlations", "marginal_pair_nll", "mask_posterior", "nll", "pair_nll"]

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


def marginal_pair_nll(
    z_tilde_a: Tensor, log_det_a: Tensor, z_tilde_b: Tensor, log_det_b: Tensor, factors: Factors, prior: Tensor
) -> Tensor:
    """−log p(z_a, z_b) of pairs of which it is not known what they share, nats per pair (B,).

    Given z̃_a the factors are independent, so the sum over all 2^(K+1) masks of Eqs 4–9 is one of two terms per factor:
    p(z̃_b,k | z̃_a) = π_k N(σ_k z̃_a,k, 1 − σ_k²) + (1 − π_k) N(0, 1).

    Args:
        z_tilde_a, z_tilde_b, log_det_a, log_det_b: as in `pair_nll`.
        prior: π (B, K+1), the chance that the pair shares each factor; 0 and 1 where that is known.

    >>> import torch
    >>> z, zero, factors = torch.randn(2, 1, 3), torch.zeros(1), Factors.of({"digit": 1, "residual": 2})
    >>> known = pair_nll(z[0], zero, z[1], zero, correlations(factors, (1, 0)))
    >>> torch.allclose(known, marginal_pair_nll(z[0], zero, z[1], zero, factors, torch.tensor([[1.0, 0.0]])))
    True
    """
    alone, shared = _given(z_tilde_a, z_tilde_b, factors)
    given_a = -torch.logaddexp((1 - prior).log() - alone, prior.log() - shared).sum(1)
    return nll(z_tilde_a, log_det_a) + given_a + z_tilde_b.shape[1] * HALF_LOG_2PI - log_det_b


def mask_posterior(z_tilde_a: Tensor, z_tilde_b: Tensor, factors: Factors, prior: Tensor) -> Tensor:
    """Return the chance that each pair shares each factor, given its latents: (B, K+1).

    Args:
        z_tilde_a, z_tilde_b: (B, N).
        prior: the same chance before they are seen, (B, K+1) or (K+1,).
    """
    alone, shared = _given(z_tilde_a, z_tilde_b, factors)
    return torch.sigmoid(prior.log() - shared - (1 - prior).log() + alone)


def _given(z_tilde_a: Tensor, z_tilde_b: Tensor, factors: Factors) -> tuple[Tensor, Tensor]:
    """Return −log p(z̃_b,k | z̃_a) of each factor, without 2π: where the pair does not share it, and where it does."""
    alone: list[Tensor] = []
    shared: list[Tensor] = []
    sizes = [factor.dim for factor in factors]
    # By numbers and not by a tensor of them, which a captured step could not move to its GPU.
    for factor, a, b in zip(
        factors, z_tilde_a.split_with_sizes(sizes, 1), z_tilde_b.split_with_sizes(sizes, 1), strict=True
    ):
        variance = 1 - factor.sigma**2
        alone.append(0.5 * b.square().sum(1))
        rest = (b - factor.sigma * a).square().sum(1)
        shared.append(0.5 * (rest / variance + factor.dim * math.log(variance)))
    return torch.stack(alone, 1), torch.stack(shared, 1)


def bits_per_dim(nats: float, dim: int) -> float:
    """Turn nats per z into bits per dimension."""
    return nats / (dim * math.log(2))
