"""Nearest neighbours among rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError

__all__ = ["CentredRows", "nearest_of_blocks", "nearest_rows"]

# More rows than wanted, among which rounding cannot have lost a nearest one.
SPARE = 16


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
    counted = torch.arange(len(rows)) if skip is None else (~skip).nonzero().flatten()
    if not len(counted):
        raise DataError("there is no image to compare with")
    # Again from differences: products drown the distances of near rows in rounding. Ties keep the order of the rows.
    found = nearest_of_blocks(queries, [rows[counted].numpy()], k + SPARE).sort(dim=1).values
    numbers = counted[found]
    distances, order = (queries[:, None] - rows[numbers]).norm(dim=2).sort(dim=1, stable=True)
    return numbers.gather(1, order)[:, :k], distances[:, :k]


def nearest_of_blocks(queries: Tensor, blocks: Iterable[np.ndarray], k: int) -> Tensor:
    """Find the `k` rows nearest to each query (Q, N) among rows that come in blocks (B, N), none of which is kept.

    Returns their numbers int64 (Q, k) in the order of all rows, fewer columns where there are fewer rows, in no
    particular order: distances are expanded into products, so that rows about as far as the last may be missed.

    >>> blocks = [np.zeros((2, 1), np.float32), np.ones((1, 1), np.float32)]
    >>> nearest_of_blocks(torch.tensor([[0.9]]), blocks, 1)
    tensor([[2]])
    """
    distances, numbers, start = torch.empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.long), 0
    center: Tensor | None = None
    for block in blocks:
        rows = CentredRows.of(block, center)
        center = rows.center
        distances = torch.cat((distances, rows.far(queries)), 1)
        own = torch.arange(start, start + len(rows)).expand(len(queries), -1)
        numbers, start = torch.cat((numbers, own), 1), start + len(rows)
        distances, kept = distances.topk(min(k, distances.shape[1]), largest=False)
        numbers = numbers.gather(1, kept)
    return numbers


@dataclass(frozen=True, eq=False)
class CentredRows:
    """Rows made ready to be searched more than once.

    Attributes:
        center: (N,); rows far from the origin would lose their differences to rounding.
        rows: without it, (M, N); `squares`: their squared lengths (M,).
    """

    center: Tensor
    rows: Tensor
    squares: Tensor

    @classmethod
    def of(cls, block: np.ndarray, center: Tensor | None = None) -> Self:
        """Take rows (M, N) from `center`, by default their mean."""
        rows = torch.from_numpy(block)
        center = rows.mean(0) if center is None else center
        rows = rows - center
        return cls(center, rows, rows.square().sum(1))

    def __len__(self) -> int:
        return len(self.rows)

    def far(self, queries: Tensor) -> Tensor:
        """Return squared distances of queries (Q, N), but for a constant of each query: (Q, M)."""
        return self.squares - 2 * (queries.float() - self.center) @ self.rows.T

    def nearest(self, queries: Tensor, k: int) -> Tensor:
        """Find the `k` rows nearest to each query, as `nearest_of_blocks`."""
        return self.far(queries).topk(min(k, len(self)), largest=False).indices
