"""Names ↔ entry points: find and list built-ins and plugins, which are registered alike.

A name is `NAME`, `NAME:ARGUMENT` or `DISTRIBUTION:NAME`; a plugin is imported only when it is used, so a broken one
breaks nothing but itself. Members of the families in `BARE` may be named alone: `resnet50` is `torchvision:resnet50`.
"""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from .errors import IinError, PluginError, UsageError, nearest
from .guests.declared import torchvision_names
from .guests.entry_points import DISABLE, Point, are_disabled, read_points
from .guests.loading import FIRST_PARTY, OWN, Step, blame, blamed, call_apart, fault, load, staying, succeeds, try_apart
from .guests.probing import try_each
from .plugin_api import Family
from .progress import Reporter, Silent

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
# Entry points of weights stand in a group per family: `iin.weights.timm`.
WEIGHTS = "iin.weights."
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
        point: where the factory is registered.
        bare: whether a family's member was named without the family; `argument` is that member.
    """

    name: str
    argument: str | None
    factory: Callable[..., Any]
    point: Point
    bare: bool = False

    @property
    def full_name(self) -> str:
        """`NAME` or `NAME:ARGUMENT`, as the user wrote it."""
        if self.argument is None:
            return self.name
        return self.argument if self.bare else f"{self.name}:{self.argument}"

    @property
    def is_built_in(self) -> bool:
        """Whether it comes with iin itself."""
        return self.point.distribution == OWN

    def fault(self, failed: str, why: str) -> PluginError:
        """Return an error that names the plugin."""
        return PluginError(blame(self.point, failed, why))

    def make(self, *before: Any, **offered: Any) -> Any:
        """Call the factory with `before`, the argument if it takes one, and those of `offered` that it has.

        A guest's is called in another process first, with `before` as text and no reporter.
        """
        given = [self.argument] if _takes_argument(self.factory, len(before)) else []
        parameters = _parameters(self.factory) or {}
        texts = [None if value is None else str(value) for value in before]
        plain = {name: value for name, value in offered.items() if name != "report"}
        self.try_apart(make_apart, {"before": texts, "offered": plain}, offered.get("report"))
        with self.blamed():
            return self.factory(
                *before, *given, **{name: value for name, value in offered.items() if name in parameters}
            )

    def try_method(self, method: str, *values: Any, report: Reporter | None = None) -> None:
        """Let another process call `method` of a guest's factory with JSON `values` first, as `try_apart`."""
        self.try_apart(call_apart, {"method": method, "values": values}, report)

    def try_apart(self, step: Step, given: dict[str, Any], report: Reporter | None = None) -> None:
        """Let another process take a step of a guest first, unless it did before. PluginError where that ends it.

        Args:
            step: a function that answers by `succeeds`; it gets `given`, JSON values, the user's `argument`, and the
                fields of the entry point under `point`.
        """
        known_by = (self.argument or "", given.get("method", ""))
        try_apart(self.point, step, {**given, "argument": self.argument}, known_by, report)

    @contextmanager
    def blamed(self, failed: str = "cannot be opened") -> Iterator[None]:
        """Turn what a guest raises by mistake into a PluginError that names it; errors of this program stay."""
        try:
            with redirect_stdout(sys.stderr), staying():
                yield
        except (IinError, MemoryError):
            raise
        except SystemExit as cause:
            raise fault(self.point, failed, cause) from cause
        except Exception as cause:
            # Out of memory is not the guest's fault, and a built-in's mistake is one of this program.
            if self.is_built_in or "OutOfMemory" in type(cause).__name__:
                raise
            raise fault(self.point, failed, cause) from cause


@dataclass(frozen=True)
class PluginRow:
    """One line of `iin plugins`: an entry point, or a member of a family in `BARE`."""

    group: str
    name: str
    distribution: str
    version: str
    status: Literal["ok", "broken", "conflict", "unchecked"]
    error: str | None

    def as_dict(self) -> dict[str, str | None]:
        """Return the row as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Owner:
    """An entry point that a name belongs to: its own name, or that of a member of the family (`bare`)."""

    point: Point
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
    point: Point

    def make(self) -> Any:
        """Call the function: a path, or tensors by name.

        Raises NotInstalledError as the function does, PluginError naming the package and the cause where it fails.
        """
        function = load(self.point)
        with blamed(self.point, "cannot give its weights"):
            return function()


def weights_sources(family: str, model: str) -> list[WeightsSource]:
    """Return what installed packages register as weights of a network, without importing any of them."""
    return [
        WeightsSource(f"{family}:{model}", point.distribution, point)
        for point in read_points(f"{WEIGHTS}{family}")
        if (point.group, point.name) == (f"{WEIGHTS}{family}", model)
    ]


def names(group: Group) -> list[str]:
    """Return the registered names of a group, sorted, without importing any plugin; without members of families."""
    return sorted({point.name for point in _points(group) if point.is_line})


def is_known(group: Group, name: str) -> bool:
    """Say whether `name`, without an argument, is registered in the group, or is a member of a family in `BARE`."""
    # Members are identifiers, so that no family is imported for a path.
    return name in names(group) or (name.isidentifier() and any(name in members for _, members in _families(group)))


def find(group: Group, wanted: str, report: Reporter | None = None) -> Found:
    """Return the factory that `wanted` names; a guest is loaded in another process first, of which `report` is told.

    Raises UsageError for an unknown name (with the nearest ones) or an argument that the factory does not take, and
    PluginError for a broken plugin or a name that two distributions claim.
    """
    kind, (name, argument) = group[:-1], _split(wanted)
    owners = _owners(group, name)
    if not owners and argument is not None:
        # `distribution:name[:argument]` picks one of two owners of a name.
        distribution, (name, argument) = name, _split(argument)
        owners = [owner for owner in _owners(group, name) if owner.point.distribution == distribution]
        if not owners:
            name = distribution
    if not owners:
        raise UsageError(f"unknown {kind} {name!r}: {_hint(name, group)}")
    if len(owners) > 1:
        claiming = sorted(owner.point.distribution for owner in owners)
        raise PluginError(
            f"{kind} {name!r} is claimed by {' and '.join(claiming)}: "
            f"write {' or '.join(f'{distribution}:{name}' for distribution in claiming)}"
        )
    (owner,) = owners
    factory = load(owner.point, report)
    takes_one = not owner.bare and _takes_argument(factory, PLACES_BEFORE.get(group, 0))
    if argument is not None and not takes_one:
        raise UsageError(f"{kind} {name} takes no argument, and was given {argument!r}: write {name}")
    if owner.bare:
        return Found(owner.point.name, name, factory, owner.point, bare=True)
    return Found(name, argument, factory, owner.point)


def list_plugins(report: Reporter | None = None, check: bool = True) -> list[PluginRow]:
    """Load every entry point separately and return its status; members of the families in `BARE` have rows, too.

    They are loaded in another process, which one of them may end; this one imports none of them. Without `check` none
    is loaded anywhere: no member has a row, and what the metadata do not rule out is `unchecked`.
    """
    points = [point for point in read_points("iin.") if _room(point) is not None]
    # What comes with iin first, since after one that ends the process the next process starts from nothing.
    points.sort(key=lambda point: point.distribution != OWN)
    if check:
        with (report or Silent()).task("loading plugins", len(points), "plugins") as task:
            tried = try_each(f"{__name__}:probe", [asdict(point) for point in points], lambda: task.advance(1))
    else:
        tried = [point.problem or {"unchecked": True} for point in points]
    rows = [row for point, found in zip(points, tried, strict=True) for row in _rows(point, found)]
    claims = Counter((row.group, row.name) for row in rows)
    rows = [
        replace(row, status="conflict", error="another package has this name")
        if row.status in ("ok", "unchecked") and claims[row.group, row.name] > 1
        else row
        for row in rows
    ]
    return sorted(rows, key=lambda row: (row.group, row.name, row.distribution))


def make_apart(task: dict[str, Any]) -> dict[str, Any]:
    """Call the factory of an entry point as `Found.make` does; a path among what comes before is given as text."""
    point = Point(**task["point"])
    before = [None if text is None else Path(text) for text in task["before"]]
    return succeeds(
        lambda: Found(point.name, task["argument"], load(point), point).make(
            *before, **task["offered"], report=Silent()
        )
    )


def probe(point: dict[str, str]) -> dict[str, Any]:
    """Load the entry point with these fields; return its `members` that may be named alone, or the `error`."""
    found, room = Point(**point), _room(Point(**point))
    try:
        load(found)
        return {"members": [] if room in (None, "weights") else _members(room, found)}
    except PluginError as problem:
        return {"error": str(problem)}


def _room(point: Point) -> Group | Literal["weights"] | None:
    """Return the group of an entry point; None for one of no group that iin has."""
    if point.group.startswith(WEIGHTS):
        return "weights"
    return next((group for group in GROUPS if point.group == f"iin.{group}"), None)


def _rows(point: Point, tried: dict[str, Any] | str) -> list[PluginRow]:
    """Return the row of an entry point and those of its members; `tried` is what `probe` found, or why it did not."""
    room = str(_room(point))
    name = f"{point.group.removeprefix(WEIGHTS)}:{point.name}" if room == "weights" else point.name
    found = {"error": blame(point, "cannot be loaded", tried)} if isinstance(tried, str) else tried
    status, error = ("broken", found["error"]) if "error" in found else ("ok", None)
    status = "unchecked" if "unchecked" in found else status
    known = [name, *found.get("members", ())]
    return [PluginRow(room, each, point.distribution, point.version, status, error) for each in known]


def _owners(group: Group, name: str) -> list[_Owner]:
    """Return every entry point that `name` belongs to; a broken family has its own name only."""
    owners = [_Owner(point) for point in _points(group) if point.name == name]
    if owners and all(owner.point.distribution == OWN for owner in owners):
        # No family has a member of a built-in's name, so none is imported for it.
        return owners
    return owners + [_Owner(point, bare=True) for point, members in _families(group) if name in members]


def _families(group: Group) -> list[tuple[Point, list[str]]]:
    """Return the families in `BARE` that are not broken, and their members."""
    found = []
    for point in _points(group):
        try:
            found.append((point, _members(group, point)))
        except PluginError:
            continue
    return found


def _members(group: Group, point: Point) -> list[str]:
    """Return the members that may be named without their family; none for an entry point that is not in `BARE`.

    Those of torchvision are read off its source, so that a name that nothing has is found out at once.
    """
    if point.name not in BARE.get(group, ()):
        return []
    if point.distribution == OWN and (known := torchvision_names()):
        return known
    factory = load(point)
    if not (isinstance(factory, Family) or (isinstance(factory, type) and issubclass(factory, Family))):
        return []
    with blamed(point, "cannot say its names"):
        return list(factory.names())


def _points(group: Group) -> list[Point]:
    return [point for point in read_points(f"iin.{group}") if point.group == f"iin.{group}"]


def _split(wanted: str) -> tuple[str, str | None]:
    name, colon, argument = wanted.partition(":")
    return name, argument if colon else None


def _hint(name: str, group: Group) -> str:
    if are_disabled():
        return f"{nearest(name, names(group))}; {DISABLE} is set: no other package's are looked at"
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
