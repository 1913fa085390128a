"""Threads that read many files at once, and that Ctrl-C ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["THREADS", "in_threads"]

THREADS = min(8, os.cpu_count() or 1)
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def in_threads(work: Callable[[Item], Outcome], items: Sequence[Item]) -> Iterator[Outcome]:
    """Yield `work` of every item in the order of `items`; the first failure in that order is raised.

    After a failure, or a signal, nothing more is begun, and what has begun is not waited for.

    >>> list(in_threads(str, [3, 1, 2]))
    ['3', '1', '2']
    """
    pool, is_whole = ThreadPoolExecutor(THREADS), False
    try:
        yield from pool.map(work, items)
        is_whole = True
    finally:
        pool.shutdown(wait=is_whole, cancel_futures=True)
