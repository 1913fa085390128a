"""Which entries of the cache a running command uses: by its locks, its open files, and the time of its last use."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..io.holding import is_at_work
from .entries import CacheEntry

__all__ = ["WRITTEN", "InUse"]

# A command may be between finding an entry and opening it.
JUST_NOW = 5.0
# Writers on other machines that hold no lock are not seen here; none of them pauses so long.
STILL_WRITTEN = 3600.0
WRITTEN = "it was written in the last hour, maybe by a command on another machine"
# How long it is believed which files are open: to remove many entries takes a while.
FRESH = 1.0


class InUse:
    """What is in use now: files open on this machine, and locks, which are seen across machines, too."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._looked, self._opened = str(folder), 0.0, set[str]()

    def why(self, entry: CacheEntry) -> str | None:
        """Say how an entry is in use; None where it is not."""
        inside = list(_files_of(entry.path))
        if any(str(file) in self._open_files() for file in inside):
            return "a running command has it open"
        if any(map(_is_locked, inside)):
            return "a running command holds it"
        is_written = is_at_work(entry.path) if entry.kind == "unfinished" else False
        if is_written:
            return "a running command holds it"
        # Whoever opens an entry marks it first.
        age = abs(time.time() - max(entry.used, _marked(entry.path)))
        if age < JUST_NOW:
            return "it was used just now"
        return WRITTEN if is_written is None and age < STILL_WRITTEN else None

    def _open_files(self) -> set[str]:
        if time.monotonic() - self._looked > FRESH:
            self._looked, self._opened = time.monotonic(), set(_opened_below(self._folder))
        return self._opened


def _files_of(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir() and not path.is_symlink():
        yield from (each for each in path.rglob("*") if not each.is_symlink())


def _marked(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _is_locked(path: Path) -> bool:
    """Say whether a process holds a lock on a file or folder, of either kind that there is."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        # It is gone, or is not this user's to remove.
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.is_dir():
            fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        # A file system without locks.
        return False
    finally:
        os.close(handle)
    return False


def _opened_below(folder: str) -> Iterator[str]:
    """Yield the files below `folder` that processes of this machine have open or mapped, as far as may be seen."""
    for process in _names("/proc"):
        if not process.isdecimal():
            continue
        for handle in _names(f"/proc/{process}/fd"):
            try:
                found = os.readlink(f"/proc/{process}/fd/{handle}")
            except OSError:
                continue
            if found.startswith(f"{folder}/"):
                yield found
        yield from _mapped(f"/proc/{process}/maps", folder)


def _mapped(file: str, folder: str) -> Iterator[str]:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as lines:
            yield from (line.rstrip("\n")[place:] for line in lines if (place := line.find(f"{folder}/")) >= 0)
    except OSError:
        return


def _names(folder: str) -> Iterable[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return ()
