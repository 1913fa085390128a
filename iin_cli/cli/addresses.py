"""Addresses on the Hub where a command takes a checkpoint: fetched before it begins, in a second and not in five."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, get_type_hints

from .output import reporter

__all__ = ["FROM_HUB", "from_hub"]


class _FromHub:
    """Stands in the type of an option that takes `hf:owner/name` besides a checkpoint."""


FROM_HUB = _FromHub()


def from_hub(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return `command`, which gets the path of what is fetched instead of an address.

    An option for a network's name gets the address of the very commit, which is found fetched.
    """

    @wraps(command)
    def called(*words: Any, **options: Any) -> Any:
        if any(map(_has_address, options.values())):
            options = _fetched(command, options)
        return command(*words, **options)

    return called


def _has_address(value: Any) -> bool:
    from ..hub.address import is_address

    if isinstance(value, (list, tuple)):
        return any(map(_has_address, value))
    return isinstance(value, (str, Path)) and is_address(value)


def _fetched(command: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    report, hints = reporter(bool(options.get("quiet"))), get_type_hints(command, include_extras=True)

    def fetch(value: Any) -> Any:
        from ..hub.fetching import local, pinned

        if isinstance(value, (list, tuple)):
            return type(value)(map(fetch, value))
        if not _has_address(value):
            return value
        path = local(value, report)
        return path if isinstance(value, Path) else str(pinned(path) or value)

    takes_one = {name for name, hint in hints.items() if FROM_HUB in getattr(hint, "__metadata__", ())}
    return {name: fetch(value) if name in takes_one else value for name, value in options.items()}
