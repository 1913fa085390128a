"""Write files whole or not at all: temporary file beside it → fsync → mode by umask → rename → fsync of folder."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import IinError, ResourceError, UsageError

__all__ = ["as_write_error", "write_atomically", "write_text"]


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path in `path`'s folder; on success it becomes `path`, on any failure it is removed.

    Raises ResourceError when the disk is full and UsageError when the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = _create(temporary)
    except OSError as error:
        raise as_write_error(path, error) from error
    try:
        yield temporary
        _settle(temporary, path, mode)
    except OSError as error:
        raise as_write_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, bytes of names that are not UTF-8 as escapes, whole or not at all."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def as_write_error(path: Path, error: OSError) -> IinError:
    """Turn the system's error on writing `path` into one of this program's, whose message says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(f"no space left on the disk while writing {path}: free some, or choose another disk")
    return UsageError(f"cannot write {path}: {error.strerror or error}")


def _create(path: Path) -> int:
    """Create a new empty file, and return the mode that its folder and the umask give it."""
    # tempfile makes 0600, and reading the umask changes it for all threads; here the system applies it.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return stat.S_IMODE(os.fstat(handle).st_mode)
    finally:
        os.close(handle)


def _settle(temporary: Path, path: Path, mode: int) -> None:
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    # The writer may have replaced the file by one with another mode.
    temporary.chmod(mode)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
