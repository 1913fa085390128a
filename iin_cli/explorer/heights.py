"""How few rows can be computed at once such that each gives the same bytes as in a whole piece.

A picture is decoded alone while the user drags, in a tenth of the time of a whole piece. Whether a network gives the
same numbers then depends on the library that multiplies, so that it is tried on real rows, and else not done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..interpretation.pieces import piece_rows

__all__ = ["ROWS", "Heights"]

TRIED = (2, 8)
# Rows that each height is tried on.
ROWS = 16


class Heights:
    """The heights at which a function of rows gives what it gives in whole pieces.

    Args:
        compute: rows and a height -> what is computed of them.
        device: where.
    """

    def __init__(self, compute: Callable[[Any, int | None], Tensor], device: torch.device) -> None:
        self.compute, self.whole = compute, piece_rows(device)
        self.equal: tuple[int, ...] = ()

    def try_on(self, rows: Any, expected: Tensor | None = None) -> None:
        """Try the heights on `rows` (B, …), an array or a tensor, of which `expected` was computed in whole pieces."""
        rows = rows[:ROWS]
        whole = self.compute(rows, None) if expected is None else expected[:ROWS]
        self.equal = tuple(height for height in TRIED if torch.equal(self.compute(rows, height), whole))

    def of(self, count: int) -> int | None:
        """Return the least height that takes `count` rows at once, or the greatest; None for whole pieces."""
        return next((height for height in self.equal if height >= count), max(self.equal, default=None))
