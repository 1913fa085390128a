"""stdout and stderr that last as long as the command: a closed one is no failure, and nobody reads what goes there."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["lasting_streams"]

# The reader has gone, or there never was one. A full disk is none of these: there a result would be lost.
GONE = (errno.EPIPE, errno.EBADF)


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Make writing to a stdout or stderr that is closed, now or later, do nothing; restores both streams."""
    _fill_descriptors()
    before = sys.stdout, sys.stderr
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False))
    terminal = sys.stdout.isatty()
    # A terminal that hung up gives EIO. Progress and messages must never end a command, whatever became of stderr.
    sys.stdout = _Lasting(sys.stdout, (*GONE, errno.EIO) if terminal else GONE)
    sys.stderr = _Lasting(sys.stderr, None)
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout, sys.stderr = before


def _fill_descriptors() -> None:
    """Open 0, 1 and 2 where they are closed, or the next file that is opened would get what is printed."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)


class _Lasting:
    """A text stream whose errors `gone` (None: all of the system's) mean that nobody reads it any more."""

    def __init__(self, stream: Any, gone: tuple[int, ...] | None) -> None:
        self._stream, self._gone = stream, gone

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text`."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._discard(error)
            return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        try:
            self._stream.flush()
        except OSError as error:
            self._discard(error)

    def _discard(self, error: OSError) -> None:
        if self._gone is not None and error.errno not in self._gone:
            raise error
        # Python writes what is still buffered once more when it exits.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
