"""Guests: what other packages register is loaded and called such that a bad one is named, and ends nothing else.

A guest is loaded, and its factory called, in another process first (`vetting`); what it raises here, be it by
`os._exit`, becomes a PluginError that names its distribution. What comes with iin is loaded at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, NoReturn

from ..errors import NotInstalledError, PluginError
from ..progress import Reporter
from .entry_points import OWN, Point
from .vetting import why_unsafe

__all__ = [
    "FIRST_PARTY",
    "OWN",
    "Step",
    "blame",
    "blamed",
    "call_apart",
    "fault",
    "load",
    "load_apart",
    "staying",
    "succeeds",
    "try_apart",
]

Step = Callable[[dict[str, Any]], dict[str, Any]]

# Names that live in a first-party plugin, so that a missing one says what to install.
FIRST_PARTY: dict[str, dict[str, str]] = {
    "backbones": {"timm": "iin-timm"},
    "datasets": {"hf": "iin-datasets", "tar": "iin-datasets"},
    "concepts": {"roundness": "iin-sketch", "sketch": "iin-sketch"},
    "commands": {"train-stylizer": "iin-sketch"},
}
# Modules of commands import no torch, whose first import takes long on a busy machine. A factory may take any time.
COMMAND_SECONDS, LOADING_SECONDS, FACTORY_SECONDS = 20.0, 120.0, 60.0


def load(point: Point, report: Reporter | None = None) -> Callable[..., Any]:
    """Import what an entry point names; PluginError where it cannot be, or where a guest would end this process."""
    if not _is_own(point):
        limit = COMMAND_SECONDS if point.group == "iin.commands" else LOADING_SECONDS
        if (why := why_unsafe(point, _named(load_apart), limit=limit, report=report)) is not None:
            raise PluginError(blame(point, "cannot be loaded", why))
    with blamed(point, "cannot be loaded"):
        factory = point.load()
    if not callable(factory):
        raise PluginError(f"plugin {point.name!r} of {point.distribution} is not callable: {point.value}")
    return factory


def try_apart(
    point: Point, step: Step, given: Mapping[str, Any], known_by: Sequence[str], report: Reporter | None = None
) -> None:
    """Let another process take a step of a guest first, unless it did before. PluginError where that ends it.

    Args:
        step: answers by `succeeds`; it gets `given`, JSON values, and the fields of the entry point under `point`.
        known_by: what tells the step from others of this function.
    """
    if _is_own(point):
        return
    name, limit = _named(step), FACTORY_SECONDS
    known_by = (name, *known_by)
    why = why_unsafe(point, name, given, known_by=known_by, limit=limit, may_last=True, report=report)
    if why is not None:
        raise PluginError(blame(point, "cannot be opened", why))


def load_apart(task: dict[str, Any]) -> dict[str, Any]:
    """Load an entry point in the other process."""
    # This process will meet the error, and name it.
    with suppress(PluginError, NotInstalledError):
        load(Point(**task["point"]))
    return {}


def call_apart(task: dict[str, Any]) -> dict[str, Any]:
    """Call the method `method` of a factory with `values` in the other process."""
    return succeeds(lambda: getattr(load(Point(**task["point"])), task["method"])(*task["values"]))


def succeeds(step: Callable[[], object]) -> dict[str, Any]:
    """Take a step in the other process; the answer has `again` where it fails: then it proves nothing."""
    try:
        step()
    except (Exception, SystemExit):
        return {"again": True}
    return {}


@contextmanager
def blamed(point: Point, failed: str) -> Iterator[None]:
    """Turn any failure of a plugin into a PluginError that names it."""
    try:
        # Output that a plugin prints while it is imported must not end up in a result.
        with redirect_stdout(sys.stderr), staying():
            yield
    except NotInstalledError:
        raise
    # A plugin may fail in any way, SystemExit included, without breaking others; Ctrl-C passes through.
    except (Exception, SystemExit) as cause:
        raise fault(point, failed, cause) from cause


@contextmanager
def staying() -> Iterator[None]:
    """Let `os._exit` in this process raise SystemExit, so that it can be caught."""
    leave, here = os._exit, os.getpid()

    def stay(status: int) -> NoReturn:
        if os.getpid() != here:
            leave(status)
        raise SystemExit(status)

    os._exit = stay
    try:
        yield
    finally:
        os._exit = leave


def fault(point: Point, failed: str, cause: BaseException) -> PluginError:
    """Return the error that names a guest, what it failed in, and the exception that it raised."""
    return PluginError(blame(point, failed, " ".join(f"{type(cause).__name__}: {cause}".split())))


def blame(point: Point, failed: str, why: str) -> str:
    """Return the line that names a guest, what it failed in, and why."""
    return f"plugin {point.name!r} of {point.distribution} {point.version} {failed}: {why}"


def _named(step: Step) -> str:
    return f"{step.__module__}:{step.__name__}"


def _is_own(point: Point) -> bool:
    return point.distribution == OWN or any(point.distribution in there.values() for there in FIRST_PARTY.values())
