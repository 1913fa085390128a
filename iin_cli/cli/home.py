"""`~` at the beginning of a path is the home folder, however the option was written: `--out ~/x` or `--out=~/x`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from ..errors import UsageError

__all__ = ["expanded", "home_expanded"]


def home_expanded(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return `command` with the same options, which gets its paths, and its lists of paths, with `~` expanded.

    The shell does that for `--out ~/x` only. Texts that may be a name or a path are expanded where that is decided.
    """

    @wraps(command)
    def called(*words: Any, **options: Any) -> Any:
        return command(*map(_expanded, words), **{name: _expanded(value) for name, value in options.items()})

    return called


def _expanded(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_expanded, value))
    return expanded(value) if isinstance(value, Path) else value


def expanded(path: Path) -> Path:
    """Return a path with `~` expanded; UsageError where there is no such home folder."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise UsageError(f"{path}: there is no such home folder; write the whole path") from None
