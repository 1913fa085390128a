"""Names ↔ entry points: find and list built-ins and plugins, which are registered alike.

A name is `NAME`, `NAME:ARGUMENT` or `DISTRIBUTION:NAME`; a plugin is imported only when it is used, so a broken one
breaks nothing but itself. Members of the families in `BARE` may be named alone: `resnet50` is `torchvision:resnet50`.
"""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from .errors import NotInstalledError, PluginError, UsageError, nearest
from .plugin_api import Family
from .progress import Reporter, Silent, Task

__all__ = [
    "BARE",
    "FIRST_PARTY",
    "GROUPS",
    "Found",
    "PluginRow",
    "WeightsSource",
    "find",
    "is_known",
    "list_plugins",
    "names",
    "weights_sources",
]

Group = Literal["backbones", "datasets", "concepts", "commands"]
GROUPS: tuple[Group, ...] = ("backbones", "datasets", "concepts", "commands")
OWN = "iin-cli"
# Entry points of weights stand in a group per family: `iin.weights.timm`.
WEIGHTS = "iin.weights."
# Names that live in a first-party plugin, so that a missing one says what to install.
FIRST_PARTY: dict[Group, dict[str, str]] = {
    "backbones": {"timm": "iin-timm"},
    "datasets": {},
    "concepts": {"roundness": "iin-sketch", "sketch": "iin-sketch"},
    "commands": {"train-stylizer": "iin-sketch"},
}
# Listed here, since asking the families themselves would import every plugin.
BARE: dict[Group, tuple[str, ...]] = {"backbones": ("torchvision",)}
# Number of positional arguments before the user's: factories of datasets get the data root first.
PLACES_BEFORE: dict[Group, int] = {"datasets": 1}
# Keyword arguments of factories that have such a parameter.
OFFERED = ("report", "skip_bad")


@dataclass(frozen=True)
class Found:
    """A factory and what the user wrote after its name.

    Attributes:
        bare: whether a family's member was named without the family; `argument` is that member.
    """

    name: str
    argument: str | None
    factory: Callable[..., Any]
    bare: bool = False

    @property
    def full_name(self) -> str:
        """`NAME` or `NAME:ARGUMENT`, as the user wrote it."""
        if self.argument is None:
            return self.name
        return self.argument if self.bare else f"{self.name}:{self.argument}"

    def make(self, *before: Any, **offered: Any) -> Any:
        """Call the factory with `before`, the argument if it takes one, and those of `offered` that it has."""
        given = [self.argument] if _takes_argument(self.factory, len(before)) else []
        parameters = _parameters(self.factory) or {}
        return self.factory(*before, *given, **{name: value for name, value in offered.items() if name in parameters})


@dataclass(frozen=True)
class PluginRow:
    """One line of `iin plugins`: an entry point, or a member of a family in `BARE`."""

    group: str
    name: str
    distribution: str
    version: str
    status: Literal["ok", "broken", "conflict"]
    error: str | None

    def as_dict(self) -> dict[str, str | None]:
        """Return the row as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Owner:
    """An entry point that a name belongs to: its own name, or that of a member of the family (`bare`)."""

    point: EntryPoint
    bare: bool = False


@dataclass(frozen=True)
class WeightsSource:
    """A function of an installed package that gives the weights of one network.

    Attributes:
        network: `FAMILY:MODEL`.
        distribution: the package that registers the function.
    """

    network: str
    distribution: str
    point: EntryPoint

    def make(self) -> Any:
        """Call the function: a path, or tensors by name.

        Raises NotInstalledError as the function does, PluginError naming the package and the cause where it fails.
        """
        function = _load(self.point)
        with _blamed(self.point, "cannot give its weights"):
            return function()


def weights_sources(family: str, model: str) -> list[WeightsSource]:
    """Return what installed packages register as weights of a network, without importing any of them."""
    return [
        WeightsSource(f"{family}:{model}", _distribution(point)[0], point)
        for point in _unique(entry_points(group=f"{WEIGHTS}{family}", name=model))
    ]


def names(group: Group) -> list[str]:
    """Return the registered names of a group, sorted, without importing any plugin; without members of families."""
    return sorted({point.name for point in _points(group)})


def is_known(group: Group, name: str) -> bool:
    """Say whether `name`, without an argument, is registered in the group, or is a member of a family in `BARE`."""
    # Members are identifiers, so that no family is imported for a path.
    return name in names(group) or (name.isidentifier() and any(name in members for _, members in _families(group)))


def find(group: Group, wanted: str) -> Found:
    """Return the factory that `wanted` names.

    Raises UsageError for an unknown name (with the nearest ones) or an argument that the factory does not take, and
    PluginError for a broken plugin or a name that two distributions claim.
    """
    kind, (name, argument) = group[:-1], _split(wanted)
    owners = _owners(group, name)
    if not owners and argument is not None:
        # `distribution:name[:argument]` picks one of two owners of a name.
        distribution, (name, argument) = name, _split(argument)
        owners = [owner for owner in _owners(group, name) if _distribution(owner.point)[0] == distribution]
        if not owners:
            name = distribution
    if not owners:
        raise UsageError(f"unknown {kind} {name!r}: {_hint(name, group)}")
    if len(owners) > 1:
        claiming = sorted(_distribution(owner.point)[0] for owner in owners)
        raise PluginError(
            f"{kind} {name!r} is claimed by {' and '.join(claiming)}: "
            f"write {' or '.join(f'{distribution}:{name}' for distribution in claiming)}"
        )
    (owner,) = owners
    factory = _load(owner.point)
    takes_one = not owner.bare and _takes_argument(factory, PLACES_BEFORE.get(group, 0))
    if argument is not None and not takes_one:
        raise UsageError(f"{kind} {name} takes no argument, and was given {argument!r}: write {name}")
    return Found(owner.point.name, name, factory, bare=True) if owner.bare else Found(name, argument, factory)


def list_plugins(report: Reporter | None = None) -> list[PluginRow]:
    """Load every entry point separately and return its status; members of the families in `BARE` have rows, too."""
    every: list[tuple[Group, EntryPoint]] = [(group, point) for group in GROUPS for point in _points(group)]
    weights = _weights_points()
    with (report or Silent()).task("loading plugins", len(every) + len(weights), "plugins") as task:
        rows = [row for group, point in every for row in _rows(group, point, task)]
        rows += [_weights_row(point, task) for point in weights]
    claims = Counter((row.group, row.name) for row in rows)
    rows = [
        replace(row, status="conflict", error="another package has this name")
        if row.status == "ok" and claims[row.group, row.name] > 1
        else row
        for row in rows
    ]
    return sorted(rows, key=lambda row: (row.group, row.name, row.distribution))


def _rows(group: Group, point: EntryPoint, task: Task) -> list[PluginRow]:
    """Load an entry point; return its row and those of its members."""
    known, status, error = [point.name], "ok", None
    try:
        _load(point)
        known += _members(group, point)
    except PluginError as problem:
        status, error = "broken", str(problem)
    task.advance()
    return [PluginRow(group, name, *_distribution(point), status, error) for name in known]


def _weights_row(point: EntryPoint, task: Task) -> PluginRow:
    """Load the function, without asking it for the weights; return its row."""
    status, error = "ok", None
    try:
        _load(point)
    except PluginError as problem:
        status, error = "broken", str(problem)
    task.advance()
    name = f"{point.group.removeprefix(WEIGHTS)}:{point.name}"
    return PluginRow("weights", name, *_distribution(point), status, error)


def _owners(group: Group, name: str) -> list[_Owner]:
    """Return every entry point that `name` belongs to; a broken family has its own name only."""
    owners = [_Owner(point) for point in _points(group) if point.name == name]
    if owners and all(_distribution(owner.point)[0] == OWN for owner in owners):
        # No family has a member of a built-in's name, so none is imported for it.
        return owners
    return owners + [_Owner(point, bare=True) for point, members in _families(group) if name in members]


def _families(group: Group) -> list[tuple[EntryPoint, list[str]]]:
    """Return the families in `BARE` that are not broken, and their members."""
    found = []
    for point in _points(group):
        try:
            found.append((point, _members(group, point)))
        except PluginError:
            continue
    return found


def _members(group: Group, point: EntryPoint) -> list[str]:
    """Return the members that may be named without their family; none for an entry point that is not in `BARE`."""
    if point.name not in BARE.get(group, ()):
        return []
    factory = _load(point)
    if not (isinstance(factory, Family) or (isinstance(factory, type) and issubclass(factory, Family))):
        return []
    with _blamed(point, "cannot say its names"):
        return list(factory.names())


def _points(group: Group) -> list[EntryPoint]:
    return _unique(entry_points(group=f"iin.{group}"))


def _weights_points() -> list[EntryPoint]:
    groups = sorted(group for group in entry_points().groups if group.startswith(WEIGHTS))
    return [point for group in groups for point in _unique(entry_points(group=group))]


def _unique(points: Iterable[EntryPoint]) -> list[EntryPoint]:
    # One installation seen twice on the path (editable and wheel) must not conflict with itself.
    return list({(p.name, p.value, _distribution(p)[0]): p for p in points}.values())


def _distribution(point: EntryPoint) -> tuple[str, str]:
    dist = point.dist
    return (dist.name or "unknown", dist.version or "unknown") if dist is not None else ("unknown", "unknown")


def _split(wanted: str) -> tuple[str, str | None]:
    name, colon, argument = wanted.partition(":")
    return name, argument if colon else None


def _hint(name: str, group: Group) -> str:
    if name in FIRST_PARTY[group]:
        package = FIRST_PARTY[group][name]
        return f"it comes with the package {package}, which is not installed: pip install {package}"
    # A broken family may be the one that has the name: this raises its PluginError.
    members = [member for point in _points(group) for member in _members(group, point)]
    return nearest(name, [*names(group), *members])


def _takes_argument(factory: Callable[..., Any], before: int) -> bool:
    """Say whether a factory has a parameter for an argument after `before` others, or declares that it takes one."""
    declared = getattr(factory, "takes_argument", None)
    parameters = _parameters(factory)
    if declared is not None or parameters is None:
        return declared is not False
    kinds = [parameter.kind for name, parameter in parameters.items() if name not in OFFERED]
    places = kinds.count(inspect.Parameter.POSITIONAL_ONLY) + kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return places > before or inspect.Parameter.VAR_POSITIONAL in kinds


def _parameters(factory: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    try:
        return dict(inspect.signature(factory).parameters)
    # Factories written in C may have no signature.
    except (TypeError, ValueError):
        return None


def _load(point: EntryPoint) -> Callable[..., Any]:
    with _blamed(point, "cannot be loaded"):
        factory = point.load()
    if not callable(factory):
        raise PluginError(f"plugin {point.name!r} of {_distribution(point)[0]} is not callable: {point.value}")
    return factory


@contextmanager
def _blamed(point: EntryPoint, failed: str) -> Iterator[None]:
    """Turn any failure of a plugin into a PluginError that names it."""
    try:
        # Output that a plugin prints while it is imported must not end up in a result.
        with redirect_stdout(sys.stderr):
            yield
    except NotInstalledError:
        raise
    # A plugin may fail in any way, SystemExit included, without breaking others; Ctrl-C passes through.
    except (Exception, SystemExit) as cause:
        distribution, version = _distribution(point)
        reason = " ".join(f"{type(cause).__name__}: {cause}".split())
        raise PluginError(f"plugin {point.name!r} of {distribution} {version} {failed}: {reason}") from cause
