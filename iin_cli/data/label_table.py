"""`labels.csv`: one row per image of a folder, its path and any number of label columns.

    file,class,smiling,split
    a/0001.jpg,dog,yes,train

The first column is called file, path, image or filename; paths are relative to the folder. Every other column is a
label: names, whole numbers (which count as names), or, where all cells are numbers and one is not whole, measurements.
A column `split` (train or test) is no label but decides the splits.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import DataError
from ..plugin_api import Labels

__all__ = ["TABLE_NAME", "LabelTable", "as_labels", "read_table"]

TABLE_NAME = "labels.csv"
FILE_HEADERS = ("file", "path", "image", "filename")
SPLITS = ("train", "test")
# What float() accepts, except underscores; nan and inf match so that they can be refused.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|nan|inf(inity)?)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class LabelTable:
    """The table in the order of the files: label columns, the splits it declares or None, the digest of its bytes."""

    columns: dict[str, Labels]
    splits: dict[str, np.ndarray] | None
    digest: str


def read_table(folder: Path, files: list[str]) -> LabelTable:
    """Read `folder`/labels.csv, whose rows must name exactly `files` (relative, forward slashes).

    Raises DataError naming the row or the file for: another header, a row too short or too long, an empty cell, a
    file that is missing, named twice, or without a row, a split that is neither train nor test, and in a column of
    numbers one that is not finite.
    """
    path = folder / TABLE_NAME
    try:
        raw = path.read_bytes()
        lines = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise DataError(f"{path} cannot be read as UTF-8 comma-separated text ({cause})") from cause
    header = _header(path, lines)
    rows = _rows(path, header, lines, set(files))
    if missing := [file for file in files if file not in rows]:
        raise DataError(f"{path} has no row for {missing[0]} ({len(missing)} of {len(files)} images lack one)")
    cells = {name: [rows[file].cells[place] for file in files] for place, name in enumerate(header) if place}
    splits = _splits(path, files, cells.pop("split")) if "split" in cells else None
    numbers = [rows[file].number for file in files]
    columns = {name: _column(path, name, values, numbers) for name, values in cells.items()}
    return LabelTable(columns, splits, hashlib.sha256(raw).hexdigest())


def as_labels(values: Sequence[str]) -> Labels:
    """Number the distinct values in sorted order: by number where all are integers, else as text.

    >>> as_labels(["10", "9", "10"])
    Labels(values=array([1, 0, 1]), names=('9', '10'))
    """
    distinct = set(values)
    integers = all(_is_integer(value) for value in distinct)
    names = sorted(distinct, key=lambda value: (int(value) if integers else 0, value))
    number = {name: index for index, name in enumerate(names)}
    return Labels(np.array([number[value] for value in values], dtype=np.int64), tuple(names))


@dataclass(frozen=True)
class _Row:
    number: int
    cells: list[str]


def _column(path: Path, name: str, values: list[str], rows: list[int]) -> Labels:
    """Make labels of one column, whose cells stand in `rows` of the file."""
    if not all(NUMBER.fullmatch(value) for value in set(values)) or all(map(_is_integer, set(values))):
        return as_labels(values)
    numbers = np.array([float(value) for value in values])
    # Checked in the order of the file, so that the message names the first bad row.
    for row, value, number in sorted(zip(rows, values, numbers.tolist(), strict=True)):
        if not math.isfinite(number):
            raise DataError(f"{path}, row {row}: {name} is {value}, not a finite number: correct it or remove the row")
    return Labels(numbers)


def _header(path: Path, lines: list[list[str]]) -> list[str]:
    header = [cell.strip() for cell in lines[0]] if lines else []
    if not header or header[0].lower() not in FILE_HEADERS:
        found = repr(header[0]) if header else "nothing"
        raise DataError(f"{path}: the first column must be called file, path, image or filename, and {found} was found")
    if "" in header or len(set(header)) < len(header):
        raise DataError(f"{path}: every column needs a name of its own, and the header is {','.join(header)}")
    return header


def _rows(path: Path, header: list[str], lines: list[list[str]], files: set[str]) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    for number, line in enumerate(lines[1:], start=2):
        cells = [cell.strip() for cell in line]
        if not any(cells):
            continue
        if len(cells) != len(header) or "" in cells:
            raise DataError(f"{path}, row {number}: {','.join(cells)!r} does not fill the columns {','.join(header)}")
        file = PurePosixPath(cells[0].replace("\\", "/")).as_posix()
        if file not in files:
            there = "is not an image that Pillow reads" if (path.parent / file).exists() else "is not in the folder"
            raise DataError(f"{path}, row {number}: {cells[0]} {there}")
        if file in rows:
            raise DataError(f"{path}, row {number}: {cells[0]} already has row {rows[file].number}: remove one of them")
        rows[file] = _Row(number, cells)
    return rows


def _splits(path: Path, files: list[str], values: list[str]) -> dict[str, np.ndarray]:
    for file, value in zip(files, values, strict=True):
        if value not in SPLITS:
            raise DataError(f"{path}: the split of {file} is {value!r}: write train or test")
    column = np.array(values)
    return {split: np.flatnonzero(column == split) for split in SPLITS}


def _is_integer(value: str) -> bool:
    return value.removeprefix("-").isascii() and value.removeprefix("-").isdigit()
