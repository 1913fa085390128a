"""Linear algebra on torch's tensors, with types: torch, scipy and scikit-learn leave these functions untyped."""
# pyright: basic

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "eigh",
    "largest_eigenpairs",
    "largest_eigenvalues",
    "ledoit_wolf",
    "orthonormal",
    "quotient",
    "relative_eigenpairs",
    "singular_values",
    "trace_of_quotient",
]


# Of the largest eigenvalue: what float32 sums leave of none.
NOTHING = 1e-6


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


def relative_eigenpairs(matrix: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues (d,) of variance⁻¹·matrix, largest first, and eigenvectors V (d, d): VᵀSV = 1, S the variance.

    Both matrices are symmetric. Directions that do not vary, as where rows are fewer than d, have the eigenvalue 0.
    """
    values, vectors = eigh(variance)
    varies = values > NOTHING * values[-1]
    half = vectors * torch.where(varies, values, torch.inf).rsqrt()
    values, vectors = eigh(half.T @ matrix @ half)
    return values.flip(0), half @ vectors.flip(1)


def largest_eigenpairs(matrix: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` largest eigenvalues of a symmetric matrix (N, N), largest first, and their eigenvectors."""
    from scipy.linalg import eigh as some

    dim = len(matrix)
    values, vectors = some(matrix.numpy(), subset_by_index=(max(0, dim - count), dim - 1), check_finite=False)
    return torch.from_numpy(values).flip(0), torch.from_numpy(vectors).flip(1)


def singular_values(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return U, s, Vᵀ with matrix = U diag(s) Vᵀ, all of a square matrix (N, N)."""
    left, values, right = torch.linalg.svd(matrix)
    return left, values, right


def quotient(variance: Tensor, covariance: Tensor) -> Tensor:
    """Return variance⁻¹·covariance, (d, d'), without checking that there is one: a GPU would have to wait for that."""
    return torch.linalg.solve_ex(variance, covariance)[0]


def trace_of_quotient(variance: Tensor, covariance: Tensor) -> Tensor:
    """Return tr(variance⁻¹·covariance), ()."""
    return quotient(variance, covariance).diagonal().sum()


def ledoit_wolf(rows: Tensor) -> float:
    """Return Ledoit and Wolf's shrinkage of the covariance of rows (M, N), in [0, 1]."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    return float(ledoit_wolf_shrinkage(rows.numpy()))


def largest_eigenvalues(times: Callable[[np.ndarray], np.ndarray], start: np.ndarray, count: int) -> np.ndarray:
    """Return the largest eigenvalues (count,) of a symmetric matrix given as a product with vectors (N,), to 1 %.

    There are N − 1 of them at most.
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    operator = LinearOperator((len(start), len(start)), matvec=times, dtype=np.float64)  # pyright: ignore
    count = min(count, len(start) - 1)
    values = eigsh(operator, k=count, which="LA", tol=1e-2, v0=start, return_eigenvectors=False)  # pyright: ignore
    return np.sort(values)[::-1]
