"""Vet what packages bring: it is loaded, and its factory called, in another process first; the good is remembered.

A guest that crashes, or leaves, takes this process along without a word: `iin --help`, too, which imports the commands
of packages that a user may not know of. What went well is not tried again until its package has another version or a
file beside its module another date. What comes with iin is not vetted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.machinery import PathFinder
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import IinError
from ..io.atomic import write_text
from ..io.paths import cache_dir
from ..leading import led
from ..progress import Reporter
from .entry_points import Point
from .probing import is_another_process, try_each

__all__ = ["why_unsafe"]

# Longer memories are of packages that went long ago.
MOST_REMEMBERED = 200


def why_unsafe(
    point: Point,
    function: str,
    given: Mapping[str, Any] | None = None,
    *,
    known_by: Sequence[str] = (),
    limit: float,
    may_last: bool = False,
    report: Reporter | None = None,
) -> str | None:
    """Say how a step of `point` ends, stops or crashes a process; None where it returns, be it with an error.

    A step is remembered as good unless its answer has `again`.

    Args:
        function: `MODULE:NAME` of what takes the step in the other process, from `given` and the fields of the point
            under `point`.
        known_by: what tells the step from others of this point.
        limit: seconds that it is waited for; `may_last`: it is good where it takes longer.
        report: is told that it is tried.
    """
    # In the other process it is tried already.
    if is_another_process():
        return None
    known, mark = _remembered(), _mark(point, known_by)
    if mark in known:
        return None
    if report is not None:
        doing = "loading" if given is None else "opening"
        report.note(f"{doing} {point.name} of {point.distribution} {point.version} in another process first, this once")
    began, task = time.monotonic(), {**(given or {}), "point": asdict(point)}
    try:
        answer = led(f"vetted {mark}", lambda: try_each(function, [task], limit=limit)[0])
    except OSError:
        # No process can be started: then this one takes the step, as it comes.
        return None
    if isinstance(answer, str) and not (may_last and time.monotonic() - began >= limit):
        return answer
    if isinstance(answer, str) or not answer.get("again"):
        _remember([*known, mark][-MOST_REMEMBERED:])
    return None


def _mark(point: Point, known_by: Sequence[str]) -> str:
    """Return a digest of everything that must stay as it was for the memory of a step of `point` to hold."""
    facts = [sys.version, version("iin-cli"), *asdict(point).values(), *known_by, *map(str, _dates(point))]
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
