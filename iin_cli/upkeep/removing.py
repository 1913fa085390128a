"""Choose entries of the cache and remove them: each disappears at once, so that nobody reads a part of it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from .entries import KINDS, CacheEntry, CacheFolder

__all__ = ["named", "outdated", "remove"]

FEWEST_LETTERS = 4


def named(cache: CacheFolder, names: Sequence[str]) -> list[CacheEntry]:
    """Return the entries that a user names: `all`, a kind, or the beginning of a name that `iin cache ls` shows.

    UsageError for a name of nothing, and for a beginning of several keys.
    """
    found: list[CacheEntry] = []
    for name in names:
        if name in ("all", *KINDS):
            matching = [entry for entry in cache.entries if name in ("all", entry.kind)]
        else:
            matching = [
                entry
                for entry in cache.entries
                if len(name.rpartition("/")[2]) >= FEWEST_LETTERS
                and (f"{entry.kind}/{entry.path.name}".startswith(name) or entry.path.name.startswith(name))
            ]
            if not matching:
                raise UsageError(f"{name!r} is nothing in {cache.path}: type iin cache ls to see what there is")
            if len(matching) > 1:
                raise UsageError(f"{name!r} may be {' or '.join(entry.name for entry in matching)}: write more of it")
        found += [entry for entry in matching if entry not in found]
    return found


def outdated(cache: CacheFolder, older_than: float | None, max_size: int | None) -> list[CacheEntry]:
    """Return what is to go: leftovers of killed runs, what was not used for so long, then the longest unused.

    Args:
        older_than: seconds since the last use.
        max_size: bytes that may stay in all.
    """
    now, gone = time.time(), [entry for entry in cache.entries if entry.kind == "unfinished"]
    stay = [entry for entry in cache.entries if entry.kind != "unfinished"]
    if older_than is not None:
        gone += [entry for entry in stay if now - entry.used > older_than]
    stay = [entry for entry in stay if entry not in gone]
    size = sum(entry.bytes for entry in stay)
    for entry in stay if max_size is not None else ():
        if max_size is not None and size > max_size:
            gone.append(entry)
            size -= entry.bytes
    return gone


def remove(entry: CacheEntry) -> None:
    """Remove an entry and what is beside it; links in it go, what they lead to stays. OSError where that fails."""
    if entry.path.is_dir() and not entry.path.is_symlink():
        gone = Path(tempfile.mkdtemp(dir=entry.path.parent, prefix=".part-"))
        os.replace(entry.path, gone / "entry")
        shutil.rmtree(gone)
    else:
        entry.path.unlink(missing_ok=True)
    for file in entry.beside:
        file.unlink(missing_ok=True)
