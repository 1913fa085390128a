"""Hold a folder against other runs while one writes it, and remove what runs that were killed left half written."""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UsageError
from .atomic import as_write_error

__all__ = ["CLAIMS", "PRESENT", "hold", "hold_file", "is_at_work", "is_held", "remove_unfinished", "unfinished"]

# The file in which processes that share work claim its parts by locks, and the byte that each of them holds meanwhile.
CLAIMS = "claims"
PRESENT = 2**20

# The names that `write_atomically` writes under before it renames.
UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.part")


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Lock `folder` against other runs; the lock goes with this process, however it ends.

    Raises UsageError when another run holds it.
    """
    # The folder itself is locked: a library's lock is a file, which would stay among the results.
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise as_write_error(folder, error) from error
    try:
        if not _lock(handle) or not _is_at(folder, handle):
            raise UsageError(f"another run is writing into {folder}: wait for it, or name another folder")
        yield
    finally:
        os.close(handle)


@contextmanager
def hold_file(path: Path) -> Iterator[None]:
    """Hold the name of a result file that does not exist yet against other runs; as `hold` does a folder.

    An empty file beside it is locked meanwhile. A run that is killed leaves it, for the next one to use and remove.
    Processes of one run under torchrun share the name, so that only the first holds it.
    """
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    claim = path.with_name(f".{path.name}.{'0' * 8}.part")
    try:
        handle = os.open(claim, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise as_write_error(path, error) from error
    try:
        if not _lock(handle) or not _is_at(claim, handle):
            raise UsageError(f"another run is writing {path}: wait for it, or choose another name")
        try:
            yield
        finally:
            claim.unlink(missing_ok=True)
    finally:
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Say whether a run holds `folder` now; False where that cannot be known."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        # Shared, and given back at once: several who look do not see each other.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    finally:
        os.close(handle)
    return False


def is_at_work(folder: Path) -> bool | None:
    """Say whether a process shares the work in `folder` now, on any machine; None where that cannot be known."""
    try:
        handle = os.open(folder / CLAIMS, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, PRESENT)
    except OSError as error:
        return True if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    finally:
        os.close(handle)
    return False


def _lock(handle: int) -> bool:
    """Lock the opened folder; return whether no other run holds it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network file systems have no locks; there the user has to keep runs apart.
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def _is_at(folder: Path, handle: int) -> bool:
    """Say whether the opened folder is still at its path: a run that failed may just have removed it."""
    try:
        return os.path.samestat(os.fstat(handle), folder.stat())
    except FileNotFoundError:
        return False


def unfinished(folder: Path) -> list[Path]:
    """Return the files in `folder` itself that a killed run left half written; none is of use to anyone."""
    return [entry for entry in folder.iterdir() if UNFINISHED.fullmatch(entry.name) and entry.is_file()]


def remove_unfinished(folder: Path) -> None:
    """Remove the files that `unfinished` returns; only the run that holds `folder` may."""
    for entry in unfinished(folder):
        entry.unlink(missing_ok=True)
