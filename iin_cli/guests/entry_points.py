"""Read the entry points of installed packages, such that a malformed one breaks nothing but itself.

Python's own `entry_points()` reads those of every package at once, and fails where one line of any of them is wrong.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

__all__ = ["DISABLE", "OWN", "Point", "are_disabled", "read_points"]

OWN = "iin-cli"
# Set to look at no package but this one.
DISABLE = "IIN_DISABLE_PLUGINS"

# `MODULE:NAME`, perhaps with the names of extras, which say nothing here.
TARGET = re.compile(r"[\w.]+(\s*:\s*[\w.]+)?\s*(\[.*\])?")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Point:
    """One line of a package's entry points.

    Attributes:
        group: the section it stands in, as `iin.backbones`.
        name: what stands before `=`; the whole line where there is none.
        value: the target, `MODULE:NAME`; empty where the line is none.
    """

    group: str
    name: str
    value: str
    distribution: str
    version: str

    @property
    def is_line(self) -> bool:
        """Whether the line reads `NAME = TARGET`."""
        return bool(self.value)

    @property
    def problem(self) -> str | None:
        """Say why this is no line that can be loaded; None where it may be one."""
        if TARGET.fullmatch(self.value) is not None:
            return None
        line = f"{self.name} = {self.value}" if self.is_line else self.name
        return f"{line!r} is no NAME = MODULE:FACTORY"

    def load(self) -> Any:
        """Import the target. Raises ValueError for what is no target, and anything that an import may raise."""
        if self.problem is not None:
            raise ValueError(self.problem)
        return EntryPoint(self.name, self.value, self.group).load()


def are_disabled() -> bool:
    """Say whether this process shall look at no package but iin."""
    return os.environ.get(DISABLE, "0") not in ("", "0")


def read_points(start: str) -> list[Point]:
    """Return the entry points in groups whose names begin with `start`, in the order in which packages are found.

    With `IIN_DISABLE_PLUGINS=1` those of iin itself alone.
    """
    found: dict[str, list[Point]] = {}
    only_own = are_disabled()
    for package in distributions():
        try:
            # The first package of a name hides others of that name, as in an import.
            key = getattr(package, "_normalized_name", None) or package.name
            if only_own and re.sub(r"[-_.]+", "-", key) != OWN:
                continue
            if key not in found:
                found[key] = list(_points_of(package, start))
        # The files of a package may be damaged in any way.
        except Exception:
            continue
    return [point for points in found.values() for point in points]


def _points_of(package: Distribution, start: str) -> Iterator[Point]:
    text = package.read_text("entry_points.txt") or ""
    if f"[{start}" not in text.replace(" ", ""):
        return
    group, (name, version) = "", _called(package)
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif line and line[0] not in "#;" and group.startswith(start):
            before, _, value = (part.strip() for part in line.partition("="))
            yield Point(group, before if value else line, value, name, version)


def _called(package: Distribution) -> tuple[str, str]:
    try:
        return package.name or UNKNOWN, package.version or UNKNOWN
    except Exception:
        return UNKNOWN, UNKNOWN
