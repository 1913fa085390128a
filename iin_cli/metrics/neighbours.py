"""The nearest of many rows."""

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
        skip: bool (M,), rows that do not count.

    Returns their numbers int64 (Q, k) and distances (Q, k); fewer than k columns where fewer rows count. Raises
    DataError where none does.

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
    # By differences: expanded into products, as they were found, the distance of near rows drowns in rounding. Of rows
    # equally far the first comes first.
    numbers = counted[torch.from_numpy(found)].sort(dim=1).values
    distances, order = (queries[:, None] - rows[numbers]).norm(dim=2).sort(dim=1, stable=True)
    return numbers.gather(1, order), distances
