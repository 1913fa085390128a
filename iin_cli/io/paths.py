"""Folders of caches and datasets: the option, else an environment variable, else the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

from ..errors import UsageError

__all__ = ["cache_dir", "data_root"]


def cache_dir() -> Path:
    r"""Return the folder for files that can be made again: `$IIN_CACHE`, else `iin` in the system's cache folder.

    That is `$XDG_CACHE_HOME`, where it is an absolute path, else `~/.cache` on Linux, `~/Library/Caches` on macOS; on
    Windows it is `%LOCALAPPDATA%\iin\Cache`. The folder is not created; a writer makes the parents of what it writes.

    Raises UsageError for a user without a home folder.
    """
    if own := os.environ.get("IIN_CACHE"):
        return Path(own).expanduser()
    # Without HOME, and without an entry among the system's users, versions of platformdirs raise or return `~`.
    try:
        found = user_cache_path("iin", appauthor=False)
    except RuntimeError:
        found = Path("~")
    if found.parts[:1] == ("~",):
        raise UsageError("this user has no home folder to keep a cache in: set IIN_CACHE to a folder")
    return found


def data_root(argument: Path | None = None) -> Path:
    """Return the folder of datasets: `argument` (--data-root), else `$IIN_DATA_ROOT`, else `data` in the cache.

    >>> str(data_root(Path("images")))
    'images'
    """
    if argument is not None:
        return argument.expanduser()
    if own := os.environ.get("IIN_DATA_ROOT"):
        return Path(own).expanduser()
    return cache_dir() / "data"
