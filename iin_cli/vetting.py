"""Vet what packages bring to every start of `iin`: it is loaded in another process first, and the good is remembered.

A command of a plugin is imported for `iin --help`, by a user who may not know that it is installed. One that crashes at
import, leaves, or never returns must not take the help along. What loaded well is not tried again until its package has
another version or a file beside its module another date.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.machinery import PathFinder
from importlib.metadata import version
from pathlib import Path

from .entry_points import Point
from .errors import IinError
from .io.atomic import write_text
from .io.paths import cache_dir
from .probing import try_each

__all__ = ["why_unsafe"]

# Modules of commands import no torch.
LIMIT_SECONDS = 20.0
# Longer memories are of packages that went long ago.
MOST_REMEMBERED = 200


def why_unsafe(point: Point, function: str) -> str | None:
    """Say how loading `point` ends, stops or crashes a process; None where it returns, be it with an error.

    Args:
        function: `MODULE:NAME` of what loads the fields of a point in the other process.
    """
    known, mark = _remembered(), _mark(point)
    if mark in known:
        return None
    (answer,) = try_each(function, [asdict(point)], limit=LIMIT_SECONDS)
    if isinstance(answer, str):
        return answer
    _remember([*known, mark][-MOST_REMEMBERED:])
    return None


def _mark(point: Point) -> str:
    """Return a digest of everything that must stay as it was for the memory of `point` to hold."""
    facts = [sys.version, version("iin-cli"), *asdict(point).values(), *map(str, _dates(point))]
    return hashlib.sha256("\0".join(facts).encode("utf-8", "surrogateescape")).hexdigest()


def _dates(point: Point) -> Iterator[tuple[str, int, int]]:
    """Yield name, time and size of the files beside the module of `point`, without importing anything."""
    top, *below = point.value.partition(":")[0].strip().split(".")
    # A module may be found in any way; one that is not found has no dates.
    with contextlib.suppress(Exception):
        spec = PathFinder.find_spec(top)
        origin = Path(spec.origin) if spec is not None and spec.origin is not None else None
        if origin is None:
            return
        folders = {origin.parent.joinpath(*below[:depth]) for depth in range(len(below) + 1)}
        for folder in sorted(folders if origin.name == "__init__.py" else ()):
            if folder.is_dir():
                yield from _files(folder)
        yield _file(origin)


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    for entry in sorted(folder.iterdir()):
        if entry.suffix in (".py", ".so", ".pyd"):
            yield _file(entry)


def _file(path: Path) -> tuple[str, int, int]:
    facts = os.stat(path)
    return str(path), facts.st_mtime_ns, facts.st_size


def _memory() -> Path:
    return cache_dir() / "vetted.json"


def _remembered() -> list[str]:
    # A memory that is lost or damaged costs one more look.
    with contextlib.suppress(OSError, ValueError, IinError):
        known = json.loads(_memory().read_text(encoding="utf-8"))
        if isinstance(known, list):
            return [mark for mark in known if isinstance(mark, str)]
    return []


def _remember(marks: list[str]) -> None:
    with contextlib.suppress(OSError, IinError):
        write_text(_memory(), json.dumps(marks))
