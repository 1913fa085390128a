"""Read the next items while those before them are computed with, and compute with several at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

__all__ = ["each_core", "read_ahead"]

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


def each_core(compute: Callable[[Part], Content], parts: Iterable[Part]) -> Iterator[Content]:
    """Yield `compute` of every part in order; each core of the CPU computes parts of its own.

    Cores that share one product wait for each other at the end of it, and for whatever else runs on one of them.
    `compute` is called in several threads at once, with one core for torch in each. After a failure, which is raised
    in the place of its part, nothing more is begun.

    >>> list(each_core(str, range(3)))
    ['0', '1', '2']
    """
    cores = torch.get_num_threads()
    if cores == 1:
        yield from map(compute, parts)
        return
    pending: deque[Future[Content]] = deque()
    pool = ThreadPoolExecutor(cores, "computing", initializer=torch.set_num_threads, initargs=(1,))
    try:
        for part in parts:
            pending.append(pool.submit(compute, part))
            if len(pending) > 2 * cores:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        # It is of the whole process.
        torch.set_num_threads(cores)
