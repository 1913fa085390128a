"""Values that were asked for last, so many and no more: memory stays flat however long the explorer runs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Kept"]

Value = TypeVar("Value")


class Kept(OrderedDict[str, Value]):
    """The values asked for last, `most` of them."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def get_or(self, key: str, make: Callable[[], Value]) -> Value:
        """Return what is kept under `key`, else what `make` makes."""
        if key not in self:
            self.keep(key, make())
        self.move_to_end(key)
        return self[key]

    def keep(self, key: str, value: Value) -> None:
        """Keep a value; the one that was not asked for longest goes."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > self.most:
            self.popitem(last=False)
