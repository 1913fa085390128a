"""`labels.csv`: one row per image of a folder, its path and any number of label columns.

    file,class,smiling,split
    a/0001.jpg,dog,yes,train

Commas, semicolons or tabs separate the columns. The first is called file, path, image or filename; paths are relative
to the folder, or absolute. Every other column is a label: names, whole numbers (which count as names, 1.0 as 1), or,
where all cells are numbers and one is not whole, measurements. A column `split`, in any case, is no label but decides
the splits: train, test or val, in any case and in the spellings of `splits.py`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

import numpy as np

from ..errors import DataError
from ..plugin_api import Labels
from ..printable import printable
from .splits import PARTS, splits_of

__all__ = ["TABLE_NAME", "LabelTable", "as_labels", "has_table", "read_table"]

TABLE_NAME = "labels.csv"
FILE_HEADERS = ("file", "path", "image", "filename")
SEPARATORS = (",", ";", "\t")
WHOLE = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)
# What float() accepts, except underscores; nan and inf match so that they can be refused.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|nan|inf(inity)?)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class LabelTable:
    """The table in the order of the files: label columns, the splits it declares or None, the digest of its bytes."""

    columns: dict[str, Labels]
    splits: dict[str, np.ndarray] | None
    digest: str


def has_table(folder: Path) -> bool:
    """Say whether a folder has a `labels.csv`; DataError for one that leads nowhere, or can be no table."""
    path = folder / TABLE_NAME
    if os.path.lexists(path) and not path.is_file():
        found = "is no regular file" if path.exists() else "is a link to nothing"
        raise DataError(f"{printable(str(path))} {found}: put the table of labels there, or remove it")
    return path.is_file()


def read_table(folder: Path, files: Sequence[str], left_out: Collection[str] = ()) -> LabelTable:
    """Read `folder`/labels.csv, whose rows must name exactly `files` (relative, forward slashes).

    Rows of files that are `left_out` are left out, too. Raises DataError naming the row or the file for: another
    header, a row too short or too long, an empty cell, a file that is missing, named twice, or without a row, a split
    that is not one, and in a column of numbers one that is not finite.
    """
    path = folder / TABLE_NAME
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig", "surrogateescape")
        separator = _separator(text)
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except (OSError, csv.Error) as cause:
        raise DataError(f"{printable(str(path))} cannot be read as separated text ({cause})") from cause
    # The first cells of all rows but the header are names of files, in any bytes.
    if not all(_is_text(cell) for row, line in enumerate(lines) for cell in line[min(row, 1) :]):
        raise DataError(f"{printable(str(path))} is not UTF-8: save it as UTF-8")
    header = _header(path, lines)
    known = _Files(folder, [*files, *left_out])
    rows = _rows(path, header, lines, known)
    if missing := [file for file in files if file not in rows]:
        raise DataError(
            f"{printable(str(path))} has no row for {printable(missing[0])} "
            f"({len(missing)} of {len(files)} images lack one)"
        )
    cells = {name: [rows[file].cells[place] for file in files] for place, name in enumerate(header) if place}
    splits = _splits(path, files, cells.pop("split")) if "split" in cells else None
    numbers = [rows[file].number for file in files]
    if separator == ";":
        cells = {name: _with_points(values) for name, values in cells.items()}
    columns = {printable(name): _column(path, name, values, numbers) for name, values in cells.items()}
    return LabelTable(columns, splits, hashlib.sha256(raw).hexdigest())


def as_labels(values: Sequence[str]) -> Labels:
    """Number the distinct values in sorted order: by number where all are integers, else as text; names can be printed.

    >>> as_labels(["10", "9", "10"])
    Labels(values=array([1, 0, 1]), names=('9', '10'))
    """
    distinct = set(values)
    integers = all(_is_integer(value) for value in distinct)
    names = sorted(distinct, key=lambda value: (int(value) if integers else 0, value))
    number = {name: index for index, name in enumerate(names)}
    return Labels(np.array([number[value] for value in values], dtype=np.int64), tuple(map(printable, names)))


@dataclass(frozen=True)
class _Row:
    number: int
    cells: list[str]


def _column(path: Path, name: str, values: list[str], rows: list[int]) -> Labels:
    """Make labels of one column, whose cells stand in `rows` of the file."""
    distinct = set(values)
    if all(map(_is_integer, distinct)) or not all(NUMBER.fullmatch(value) for value in distinct):
        return as_labels(values)
    if all(WHOLE.fullmatch(value) for value in distinct):
        # Programs that know missing values write classes as 0.0 and 1.0.
        return as_labels([str(int(value.partition(".")[0])) for value in values])
    numbers = np.array([float(value) for value in values])
    # Checked in the order of the file, so that the message names the first bad row.
    for row, value, number in sorted(zip(rows, values, numbers.tolist(), strict=True)):
        if not math.isfinite(number):
            raise DataError(f"{path}, row {row}: {name} is {value}, not a finite number: correct it or remove the row")
    return Labels(numbers)


def _separator(text: str) -> str:
    """Return what separates the columns: the first character that leaves a known name in the first column."""
    first = text.lstrip("\r\n").partition("\n")[0]
    for separator in SEPARATORS:
        if separator in first and first.partition(separator)[0].strip().strip('"').lower() in FILE_HEADERS:
            return separator
    return SEPARATORS[0]


def _with_points(values: list[str]) -> list[str]:
    """Return numbers with decimal commas, as go with semicolons, with points; anything else as it is."""
    points = [value.replace(",", ".") for value in values]
    return points if all(NUMBER.fullmatch(value) for value in set(points)) else values


def _header(path: Path, lines: list[list[str]]) -> list[str]:
    header = [cell.strip() for cell in lines[0]] if lines else []
    if not header or header[0].lower() not in FILE_HEADERS:
        found = repr(header[0]) if header else "nothing"
        raise DataError(f"{path}: the first column must be called file, path, image or filename, and {found} was found")
    header = ["split" if cell.lower() == "split" else cell for cell in header]
    if "" in header or len(set(header)) < len(header):
        raise DataError(
            f"{printable(str(path))}: every column needs a name of its own, and the header is "
            f"{printable(','.join(header))}"
        )
    return header


class _Files:
    """The files that rows may name, however they write them."""

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        self.files = set(files)
        self.folders = sorted({os.path.abspath(folder), os.path.realpath(folder)})

    @cached_property
    def alike(self) -> dict[str, list[str]]:
        """The files by what they have in common with cells that are spelled otherwise."""
        # One accented letter has two spellings in Unicode, and a cell often has the ending in other letters.
        alike: dict[str, list[str]] = {}
        for file in sorted(self.files):
            alike.setdefault(_folded(file), []).append(file)
        return alike

    def find(self, cell: str) -> str | None:
        """Return the file that a cell names, relative to the folder; None where there is none, or more than one."""
        if cell in self.files:
            return cell
        for file in self._readings(cell):
            if file in self.files:
                return file
            if len(alike := self.alike.get(_folded(file), [])) == 1:
                return alike[0]
        return None

    def _readings(self, cell: str) -> Iterator[str]:
        # A backslash separates folders on Windows, and is part of a name elsewhere.
        for text in dict.fromkeys((cell, cell.replace("\\", "/"))):
            if not os.path.isabs(text):
                yield _posix(text)
                continue
            yield from (_posix(os.path.relpath(text, folder)) for folder in self.folders)
            # A link may lead to the folder.
            real = os.path.join(os.path.realpath(os.path.dirname(text)), os.path.basename(text))
            yield from (_posix(os.path.relpath(real, folder)) for folder in self.folders)


def _posix(path: str) -> str:
    return PurePath(os.path.normpath(path)).as_posix()


def _folded(file: str) -> str:
    root, ending = os.path.splitext(unicodedata.normalize("NFC", file))
    return root + ending.lower()


def _rows(path: Path, header: list[str], lines: list[list[str]], files: _Files) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    for number, line in enumerate(lines[1:], start=2):
        cells = [cell.strip() for cell in line]
        if not any(cells):
            continue
        where = f"{printable(str(path))}, row {number}"
        if len(cells) != len(header) or "" in cells:
            raise DataError(f"{where}: {','.join(cells)!r} does not fill the columns {','.join(header)}")
        file, called = files.find(cells[0]), printable(cells[0])
        if file is None:
            there = "is not an image that Pillow reads" if (path.parent / cells[0]).exists() else "is not in the folder"
            raise DataError(f"{where}: {called} {there}")
        if file in rows:
            raise DataError(f"{where}: {called} already has row {rows[file].number}: remove one of them")
        rows[file] = _Row(number, cells)
    return rows


def _splits(path: Path, files: Sequence[str], values: list[str]) -> dict[str, np.ndarray]:
    for file, value in zip(files, values, strict=True):
        if value.lower() not in PARTS:
            raise DataError(
                f"{printable(str(path))}: the split of {printable(file)} is {printable(value)!r}: "
                "write train, val or test"
            )
    return splits_of([PARTS[value.lower()] for value in values])


def _is_text(text: str) -> bool:
    # Bytes that are not UTF-8 may name a file, and nothing else.
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _is_integer(value: str) -> bool:
    return value.removeprefix("-").isascii() and value.removeprefix("-").isdigit()
