"""Keep stdout for a command's result: what else is written there, by a plugin say, goes to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import wraps
from typing import Any

from ..results import noting_left_out

__all__ = ["for_results", "only_results"]


class _Aside:
    """Stdout while a command works: its stream, and a copy of its descriptor where that is the process's own."""

    def __init__(self) -> None:
        self.stream, self._copy = sys.stdout, None
        # A stream that a test or a notebook put there has no descriptor 1.
        with suppress(OSError, ValueError, AttributeError):
            if self.stream.fileno() == 1 and os.fstat(2):
                self.stream.flush()
                self._copy = os.dup(1)
                # Code in C and programs that are started write to the descriptor itself.
                os.dup2(2, 1)

    def put_back(self) -> None:
        copy, self._copy = self._copy, None
        if copy is not None:
            os.dup2(copy, 1)
            os.close(copy)


_aside: list[_Aside] = []


def only_results(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command such that stdout gets what it prints in `for_results`, and nothing else."""

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:
        aside = _Aside()
        _aside.append(aside)
        try:
            with redirect_stdout(sys.stderr), noting_left_out():
                command(*args, **kwargs)
        finally:
            _aside.pop()
            aside.put_back()

    return guarded


@contextmanager
def for_results() -> Iterator[None]:
    """Print on the real stdout."""
    if not _aside:
        yield
        return
    _aside[-1].put_back()
    with redirect_stdout(_aside[-1].stream):
        yield
