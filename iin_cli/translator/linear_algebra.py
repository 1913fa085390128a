"""Linear algebra on torch's tensors, with types: torch, scipy and scikit-learn leave these functions untyped."""
# pyright: basic

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "eigh",
    "largest_eigenvalue",
    "ledoit_wolf",
    "orthonormal",
    "relative_eigenvalues",
    "trace_of_quotient",
]


def eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues (N,), ascending, and eigenvectors (N, N) of a symmetric matrix, one per column."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    return values, vectors


def orthonormal(*columns: Tensor) -> Tensor:
    """Return an orthonormal basis (N, min(N, d)) of all `columns` side by side, the first ones first.

    >>> basis = orthonormal(torch.tensor([[3.0], [4.0]]), torch.eye(2))
    >>> basis[:, 0].abs(), (basis.T @ basis).round().diagonal()
    (tensor([0.6000, 0.8000]), tensor([1., 1.]))
    """
    return torch.linalg.qr(torch.cat(columns, dim=1))[0]


def relative_eigenvalues(matrix: Tensor, variance: Tensor) -> Tensor:
    """Return the eigenvalues (d,) of variance⁻¹·matrix, largest first, of a symmetric matrix and a positive one."""
    ridge = 1e-9 * variance.diagonal().mean() * torch.eye(len(variance), dtype=variance.dtype)
    factor = torch.linalg.cholesky(variance + ridge)
    half = torch.linalg.solve_triangular(factor, matrix, upper=False)
    whole = torch.linalg.solve_triangular(factor, half.T, upper=False)
    return torch.linalg.eigvalsh((whole + whole.T) / 2).flip(0)


def trace_of_quotient(variance: Tensor, covariance: Tensor) -> Tensor:
    """Return tr(variance⁻¹·covariance), ()."""
    return torch.linalg.solve(variance, covariance).diagonal().sum()


def ledoit_wolf(rows: Tensor) -> float:
    """Return Ledoit and Wolf's shrinkage of the covariance of rows (M, N), in [0, 1]."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    return float(ledoit_wolf_shrinkage(rows.numpy()))


def largest_eigenvalue(times: Callable[[np.ndarray], np.ndarray], start: np.ndarray) -> float:
    """Return the largest eigenvalue of a symmetric matrix given as a product with vectors (N,), to a hundredth."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    operator = LinearOperator((len(start), len(start)), matvec=times, dtype=np.float64)  # pyright: ignore
    return float(eigsh(operator, k=1, which="LA", tol=1e-2, v0=start, return_eigenvectors=False)[0])  # pyright: ignore
