"""Values that were asked for last, so many and no more: memory stays flat however long the explorer runs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Kept"]

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """The values asked for last, `most` of them; several threads may ask.

    >>> kept = Kept(2)
    >>> for number in (1, 2, 1, 3):
    ...     found = kept.get_or(str(number), lambda number=number: number)
    >>> "1" in kept, "2" in kept, kept["3"]
    (True, False, 3)
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __getitem__(self, key: str) -> Value:
        with self._lock:
            self._values.move_to_end(key)
            return self._values[key]

    def get_or(self, key: str, make: Callable[[], Value]) -> Value:
        """Return what is kept under `key`, else what `make` makes."""
        try:
            return self[key]
        except KeyError:
            made = make()
            self.keep(key, made)
            return made

    def keep(self, key: str, value: Value) -> None:
        """Keep a value; the one that was not asked for longest goes."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self.most:
                self._values.popitem(last=False)
