"""Files that a command left out of the data it reads, so that every result it prints or writes says so.

The data are opened deep below the command and its result made far from them; what lies between has no use for this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["note_left_out", "noting_left_out", "with_left_out"]

# Path of the file -> why it cannot be read; None outside a command.
_noted: ContextVar[dict[str, str] | None] = ContextVar("left_out", default=None)


@contextmanager
def noting_left_out() -> Iterator[None]:
    """Collect what is left out from here on, for `with_left_out`."""
    before = _noted.set({})
    try:
        yield
    finally:
        _noted.reset(before)


def note_left_out(files: Mapping[str, str]) -> None:
    """Note files that are left out, path -> why; nothing outside a command."""
    noted = _noted.get()
    if noted is not None:
        noted.update(files)


def with_left_out(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a result's JSON values with `left_out`, where any file was.

    >>> with noting_left_out():
    ...     note_left_out({"cat/7.png": "it is empty, 0 bytes"})
    ...     with_left_out({"images": 9})
    {'images': 9, 'left_out': {'cat/7.png': 'it is empty, 0 bytes'}}
    """
    noted = _noted.get()
    return {**value, "left_out": dict(noted)} if noted and "left_out" not in value else value
