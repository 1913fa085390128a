"""List files of published image sets: one row of words per image, which must agree with the folder."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import DataError
from .checking import Checked

__all__ = ["ListFile", "check_against", "first_there", "listed_fingerprint", "not_placed", "read_list", "without"]


@dataclass(frozen=True)
class ListFile:
    """A list file: `rows` maps each image's name, in the file's order, to the words after it."""

    path: Path
    header: tuple[str, ...]
    rows: dict[str, tuple[str, ...]]
    digest: str


def read_list(path: Path, words: int | None = None, headed: bool = True) -> ListFile:
    """Read a list of images; with `headed` the rows follow a line with their count and a line of column names.

    Args:
        words: how many words follow each image's name; None takes it from the column names.

    Raises DataError naming the line for a row of another length or an image named twice, and naming the file for a
    wrong count of rows.
    """
    try:
        raw = path.read_bytes()
        lines = raw.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as cause:
        raise DataError(f"{path} cannot be read as text ({cause}): fetch it again") from cause
    header = tuple(lines[1].split()) if headed and len(lines) > 1 else ()
    rows: dict[str, tuple[str, ...]] = {}
    width = 1 + (len(header) if words is None else words)
    for number, line in enumerate(lines[2 if headed else 0 :], start=3 if headed else 1):
        row = tuple(line.split())
        if not row:
            continue
        if len(row) != width:
            raise DataError(f"{path}, line {number}: {len(row)} words instead of {width}: fetch the file again")
        if row[0] in rows:
            raise DataError(f"{path}, line {number}: {row[0]} is named twice: fetch the file again")
        rows[row[0]] = row[1:]
    if headed and (not lines or lines[0].strip() != str(len(rows))):
        said = lines[0].strip() if lines else "nothing"
        raise DataError(f"{path} says {said} in line 1 and has {len(rows)} rows: fetch it again")
    return ListFile(path, header, rows, hashlib.sha256(raw).hexdigest())


def check_against(listed: ListFile, images: Iterable[str], where: Path) -> None:
    """Raise DataError naming the first image of the list that is not among `images`, or the first image not listed.

    `where` is the folder, or the other list, that `images` come from.
    """
    there = set(images)
    if missing := [name for name in listed.rows if name not in there]:
        raise DataError(
            f"{listed.path} lists {missing[0]}, which is not in {where} "
            f"({len(missing)} of {len(listed.rows)} are not): complete it or shorten the list"
        )
    if extra := sorted(there - listed.rows.keys()):
        raise DataError(
            f"{listed.path} has no line for {extra[0]} of {where} ({len(extra)} of {len(there)} have none): "
            "fetch the list again or remove the images"
        )


def without(listed: ListFile, left_out: Collection[str]) -> ListFile:
    """Return the list without the rows of images that are left out."""
    return replace(listed, rows={name: row for name, row in listed.rows.items() if name not in left_out})


def listed_fingerprint(checked: Checked, files: Sequence[str], lists: Sequence[ListFile]) -> str:
    """Return a digest of the lists and of every file's name and content."""
    total = hashlib.sha256("".join(listed.digest for listed in lists).encode())
    digests = dict(zip(checked.files, checked.digests, strict=True))
    for file in files:
        total.update(f"{file}\0{digests[file]}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def first_there(root: Path, names: Sequence[str]) -> Path | None:
    """Return the first of `names` that exists in `root`, or None."""
    return next((root / name for name in names if (root / name).exists()), None)


def not_placed(name: str, missing: Path, source: str, layout: str) -> DataError:
    """Return the error for a set that has to be fetched by hand: what is missing, its source, and its layout."""
    return DataError(
        f"{name} is not at {missing}, and its licence forbids fetching it for you: get it from {source} and place it "
        f"as {layout}, or give the folder that holds it with --data-root"
    )
