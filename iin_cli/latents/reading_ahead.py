"""Read the next items while those before them are computed with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["read_ahead"]

# Parts in memory beside the one in use: one ready, one being read.
AHEAD = 2
Part = TypeVar("Part")
Content = TypeVar("Content")


def read_ahead(read: Callable[[Part], Content], parts: Iterable[Part]) -> Iterator[Content]:
    """Yield `read` of every part in order; a thread reads the next ones meanwhile.

    The slower of reading and computing sets the pace, not their sum. One thread reads, one part after the other, so
    that `read` need not be safe to call twice at once; it may use threads of its own. A failure of `read` is raised
    in the place of its part, and nothing more is read.

    >>> list(read_ahead(str, range(3)))
    ['0', '1', '2']
    """
    coming = iter(parts)
    with ThreadPoolExecutor(1, "reading ahead") as pool:
        waiting = [pool.submit(read, part) for part in islice(coming, AHEAD)]
        try:
            while waiting:
                content = waiting.pop(0).result()
                waiting += [pool.submit(read, part) for part in islice(coming, 1)]
                yield content
        finally:
            for future in waiting:
                future.cancel()
