"""The nearest of many rows, searched in blocks so that memory stays flat."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import DataError

__all__ = ["nearest_rows"]

# Differences of a block of rows and one query: 32 MiB.
BLOCK_NUMBERS = 2**23


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
    counted = torch.arange(len(rows)) if skip is None else (~skip).nonzero().flatten()
    if not len(counted):
        raise DataError("there is no image to compare with")
    distances = torch.full((len(queries), 0), 0.0)
    numbers = torch.full((len(queries), 0), 0)
    for block in counted.split(max(1, BLOCK_NUMBERS // rows.shape[1])):
        # By differences: expanded into products, the distance of near rows drowns in rounding.
        found = torch.cdist(queries, rows[block], compute_mode="donot_use_mm_for_euclid_dist")
        distances = torch.cat((distances, found), 1)
        numbers = torch.cat((numbers, block.expand(len(queries), -1)), 1)
        distances, order = distances.sort(dim=1, stable=True)
        distances, numbers = distances[:, :k], numbers.gather(1, order[:, :k])
    return numbers, distances
