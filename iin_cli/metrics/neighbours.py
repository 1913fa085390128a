"""Nearest neighbours among rows."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import DataError

__all__ = ["nearest_rows"]


def nearest_rows(queries: Tensor, rows: Tensor, k: int, skip: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Find the `k` rows nearest to each query by Euclidean distance, the nearest first.

    Args:
        queries: (Q, N).
        rows: (M, N).
        skip: bool (M,), rows to leave out.

    Returns their numbers int64 (Q, k) and distances (Q, k); fewer than k columns where fewer rows are left. Raises
    DataError where none is left.

    >>> rows = torch.tensor([[0.0], [1.0], [5.0]])
    >>> nearest_rows(torch.tensor([[0.9]]), rows, 2)[0]
    tensor([[1, 0]])
    """
    from sklearn.neighbors import NearestNeighbors

    counted = torch.arange(len(rows)) if skip is None else (~skip).nonzero().flatten()
    if not len(counted):
        raise DataError("there is no image to compare with")
    search = NearestNeighbors(n_neighbors=min(k, len(counted)), algorithm="brute").fit(rows[counted].numpy())
    found = search.kneighbors(queries.to(rows.dtype).numpy(), return_distance=False)
    # Recomputed from differences: the search expands distances into products, and rounding swamps those of near rows.
    # Ties keep the order of the rows.
    numbers = counted[torch.from_numpy(found)].sort(dim=1).values
    distances, order = (queries[:, None] - rows[numbers]).norm(dim=2).sort(dim=1, stable=True)
    return numbers.gather(1, order), distances
