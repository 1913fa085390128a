"""Names ↔ entry points: what is installed, and the one door through which built-ins and plugins come in.

A name is `NAME`, `NAME:ARGUMENT` or `DISTRIBUTION:NAME`; a plugin is imported only when it is used, so a broken one
breaks nothing but itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from .errors import PluginError, UsageError, nearest
from .progress import Reporter, Silent, Task

__all__ = ["FIRST_PARTY", "GROUPS", "Found", "PluginRow", "find", "list_plugins", "names"]

Group = Literal["backbones", "datasets", "concepts", "commands"]
GROUPS: tuple[Group, ...] = ("backbones", "datasets", "concepts", "commands")
# Names that live in a first-party plugin, so that a missing one says what to install.
FIRST_PARTY: dict[Group, dict[str, str]] = {
    "backbones": {"timm": "iin-timm"},
    "datasets": {},
    "concepts": {"roundness": "iin-sketch", "sketch": "iin-sketch"},
    "commands": {"train-stylizer": "iin-sketch"},
}


@dataclass(frozen=True)
class Found:
    """A factory and what the user wrote after its name."""

    name: str
    argument: str | None
    factory: Callable[..., Any]

    @property
    def full_name(self) -> str:
        """`NAME` or `NAME:ARGUMENT`."""
        return self.name if self.argument is None else f"{self.name}:{self.argument}"


@dataclass(frozen=True)
class PluginRow:
    """One line of `iin plugins`."""

    group: str
    name: str
    distribution: str
    version: str
    status: Literal["ok", "broken", "conflict"]
    error: str | None

    def as_dict(self) -> dict[str, str | None]:
        """Return the row as JSON values."""
        return asdict(self)


def names(group: Group) -> list[str]:
    """Return the registered names of a group, sorted, without importing any plugin."""
    return sorted({point.name for point in _points(group)})


def find(group: Group, wanted: str) -> Found:
    """Return the factory that `wanted` names.

    Raises UsageError for an unknown name (with the nearest ones) and PluginError for a broken or doubly claimed one.
    """
    points = _points(group)
    name, argument = _split(wanted)
    mine = [point for point in points if point.name == name]
    if not mine and argument is not None:
        # `distribution:name[:argument]` picks one of two owners of a name.
        distribution, (name, argument) = name, _split(argument)
        mine = [p for p in points if p.name == name and _distribution(p)[0] == distribution]
        if not mine:
            name = distribution
    if not mine:
        raise UsageError(f"unknown {group[:-1]} {name!r}: {_hint(name, group)}")
    if len(mine) > 1:
        owners = sorted(_distribution(point)[0] for point in mine)
        raise PluginError(
            f"{group[:-1]} {name!r} is claimed by {' and '.join(owners)}: "
            f"write {' or '.join(f'{owner}:{name}' for owner in owners)}"
        )
    return Found(name, argument, _load(mine[0]))


def list_plugins(report: Reporter | None = None) -> list[PluginRow]:
    """Load every entry point, each on its own, and say how it went."""
    every = {group: _points(group) for group in GROUPS}
    with (report or Silent()).task("loading plugins", sum(map(len, every.values())), "plugins") as task:
        rows = [_row(group, point, points, task) for group, points in every.items() for point in points]
    return sorted(rows, key=lambda row: (row.group, row.name, row.distribution))


def _row(group: Group, point: EntryPoint, points: list[EntryPoint], task: Task) -> PluginRow:
    """Load one of the `points` of a group."""
    alone = [other.name for other in points].count(point.name) == 1
    status, error = ("ok", None) if alone else ("conflict", "another package has this name")
    try:
        _load(point)
    except PluginError as problem:
        status, error = "broken", str(problem)
    task.advance()
    return PluginRow(group, point.name, *_distribution(point), status, error)


def _points(group: Group) -> list[EntryPoint]:
    # One installation seen twice on the path (editable and wheel) must not conflict with itself.
    unique = {(p.name, p.value, _distribution(p)[0]): p for p in entry_points(group=f"iin.{group}")}
    return list(unique.values())


def _distribution(point: EntryPoint) -> tuple[str, str]:
    dist = point.dist
    return (dist.name or "unknown", dist.version or "unknown") if dist is not None else ("unknown", "unknown")


def _split(wanted: str) -> tuple[str, str | None]:
    name, colon, argument = wanted.partition(":")
    return name, argument if colon else None


def _hint(name: str, group: Group) -> str:
    if name in FIRST_PARTY[group]:
        return f"it comes with the package {FIRST_PARTY[group][name]}, which is not installed"
    return nearest(name, names(group))


def _load(point: EntryPoint) -> Callable[..., Any]:
    try:
        # What a plugin prints as it is imported must not end up in a result.
        with redirect_stdout(sys.stderr):
            factory = point.load()
    # A plugin may fail in any way, SystemExit included, and none of it may reach beyond its own name; Ctrl-C may.
    except (Exception, SystemExit) as cause:
        distribution, version = _distribution(point)
        reason = " ".join(f"{type(cause).__name__}: {cause}".split())
        raise PluginError(f"plugin {point.name!r} of {distribution} {version} cannot be loaded: {reason}") from cause
    if not callable(factory):
        raise PluginError(f"plugin {point.name!r} of {_distribution(point)[0]} is not callable: {point.value}")
    return factory
