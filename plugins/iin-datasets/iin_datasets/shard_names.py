"""Names of many files in one word, `shards-{000..099}.tar` or `part-*.tar`, and which part of a set a name says."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from iin_cli.data.splits import PARTS
from iin_cli.errors import DataError, UsageError
from iin_cli.printable import printable

__all__ = ["Named", "braces", "files_named", "part_of", "parts_of"]

MOST_FILES = 100_000
RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")


def braces(text: str) -> Iterator[str]:
    """Yield what a shell makes of `{000..099}` and `{a,b}`, several of them included; other braces stay.

    >>> list(braces("{train,val}-{08..10}.tar"))[2:5]
    ['train-10.tar', 'val-08.tar', 'val-09.tar']
    """
    for start, stop in _groups(text):
        if (choices := _choices(text[start + 1 : stop])) is not None:
            for choice in choices:
                yield from (f"{text[:start]}{choice}{rest}" for rest in braces(text[stop + 1 :]))
            return
    yield text


@dataclass(frozen=True)
class Named:
    """The files that a word names, absolute, in its order; `word` is that word, absolute, too."""

    word: str
    files: list[Path]


def files_named(wanted: str, root: Path | None, kind: str, endings: Sequence[str]) -> Named:
    """Return the files that `wanted` names: by braces, by wildcards, or as a folder of them.

    Args:
        wanted: what the user wrote; relative to the working folder, else to `root`.
        kind: how a message calls one of them.
        endings: of the files that count in a folder.

    Raises UsageError for nothing or too much, DataError naming the files that are missing.
    """
    if not wanted:
        raise UsageError(f"no {kind} is named: write the path of one, of a folder, or a range in braces")
    names: list[str] = []
    for name in braces(str(Path(wanted).expanduser())):
        names.append(name)
        if len(names) > MOST_FILES:
            raise UsageError(f"{printable(wanted)} names more than {MOST_FILES:,} files: narrow the range")
    base = Path()
    found = _found(names, base, endings)
    if not any(found.values()) and root is not None and any((other := _found(names, root, endings)).values()):
        base, found = root, other
    if missing := [name for name, files in found.items() if not files]:
        whole = printable(missing[0]) if len(names) == 1 else f"{len(missing):,} of {len(names):,} {kind}s"
        such = "" if len(names) == 1 else f", such as {printable(missing[0])}"
        isa = "is" if len(missing) == 1 else "are"
        if len(names) == 1 and Path(missing[0]).is_dir():
            raise DataError(f"{whole} has no {kind}: none of its files ends in {' or '.join(endings)}")
        raise DataError(f"{whole} {isa} missing{such}: fetch what is missing, or name those that are there")
    # A file that two patterns name is one file.
    files = list(dict.fromkeys(file for files in found.values() for file in files))
    return Named(os.path.abspath(base / Path(wanted).expanduser()), files)


def part_of(name: str) -> str | None:
    """Return the part of a set that a name says, `train`, `val` or `test`; None for none, or for more than one.

    >>> [part_of(name) for name in ("imagenet-train-0007.tar", "validation", "train-test.tar", "trains.tar")]
    ['train', 'val', None, None]
    """
    if name.lower() in PARTS:
        return PARTS[name.lower()]
    said = {PARTS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in PARTS}
    return said.pop() if len(said) == 1 else None


def parts_of(files: Sequence[Path]) -> list[str | None]:
    """Return the part that each file's name says, or else the name of its folder."""
    return [part_of(file.name) or PARTS.get(file.parent.name.lower()) for file in files]


def _found(names: Sequence[str], root: Path, endings: Sequence[str]) -> dict[str, list[Path]]:
    return {name: _files(root / name, endings) for name in names}


def _files(path: Path, endings: Sequence[str]) -> list[Path]:
    if path.is_dir():
        below = path.iterdir()
    elif path.exists() or not glob.has_magic(str(path)):
        return [Path(os.path.abspath(path))] if path.exists() else []
    else:
        below = map(Path, glob.glob(str(path)))
    shown = (file for file in below if file.name.lower().endswith(tuple(endings)) and not file.name.startswith("."))
    return sorted(Path(os.path.abspath(file)) for file in shown)


def _groups(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each outermost pair of braces begins and ends."""
    depth, start = 0, 0
    for place, letter in enumerate(text):
        if letter == "{":
            depth, start = depth + 1, start if depth else place
        elif letter == "}" and depth:
            depth -= 1
            if depth == 0:
                yield start, place


def _choices(inside: str) -> Iterator[str] | None:
    """Return what stands for a pair of braces with this between them; None where they mean nothing."""
    if (numbers := RANGE.fullmatch(inside)) is not None:
        return _numbers(*numbers.groups())
    cuts, depth = [-1], 0
    for place, letter in enumerate(inside):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            cuts.append(place)
    if len(cuts) == 1:
        return None
    words = [inside[start + 1 : stop] for start, stop in zip(cuts, [*cuts[1:], len(inside)], strict=True)]
    return (choice for word in words for choice in braces(word))


def _numbers(first: str, last: str) -> Iterator[str]:
    width = max(len(first), len(last)) if any(re.match(r"-?0\d", end) for end in (first, last)) else 0
    start, stop = int(first), int(last)
    step = 1 if stop >= start else -1
    return (f"{number:0{width}d}" for number in range(start, stop + step, step))
