"""How few rows can be computed at once such that each gives the same bytes as in a whole piece.

While a user drags, one picture is decoded: alone that takes a third of the time of a piece of 64, filled up with zeros.
Whether the numbers stay the same depends on the library that multiplies, so that it is tried on real rows, and else not
done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["ROWS", "Heights"]

# Below four rows other kernels multiply.
TRIED = (4, 16)
# Rows that each height is tried on.
ROWS = 16


class Heights:
    """The heights at which functions give what they give in whole pieces; none until they are tried.

    >>> heights = Heights()
    >>> heights.try_on("draw", lambda rows, height: rows + (height == 4), torch.zeros(16))
    >>> heights.of("draw", 1), heights.of("draw", 64), heights.of("encode", 1)
    (16, 16, None)
    """

    def __init__(self) -> None:
        self._equal: dict[str, tuple[int, ...]] = {}

    def try_on(
        self, what: str, compute: Callable[[Any, int | None], Tensor], rows: Any, expected: Tensor | None = None
    ) -> None:
        """Try the heights of function `what` on rows (B, …), of which `expected` was computed in whole pieces.

        Args:
            compute: rows and a height, None for whole pieces -> what is computed of them.
        """
        rows = rows[:ROWS]
        whole = compute(rows, None) if expected is None else expected[:ROWS]
        self._equal[what] = tuple(height for height in TRIED if torch.equal(compute(rows, height), whole))

    def of(self, what: str, count: int) -> int | None:
        """Return the least height that takes `count` rows at once, else the greatest; None for whole pieces."""
        equal = self._equal.get(what, ())
        return next((height for height in equal if height >= count), max(equal, default=None))
