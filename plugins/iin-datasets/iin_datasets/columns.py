"""Columns of values become labels: what every image has one value of, few enough that images share them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from iin_cli.plugin_api import Labels
from iin_cli.printable import printable
from iin_cli.progress import Reporter

__all__ = ["MISSING", "Column", "ColumnWriter", "Value", "joined", "labels_of"]

Value = str | int | float | bool
MISSING = -1
# Columns that hold the class, the likelier first.
CLASS_NAMES = ("class", "label", "labels", "cls", "class_name", "category", "target", "digit", "fine_label")
# Of fewer images than this every value may be another one by chance.
FEW = 20


@dataclass(frozen=True)
class Column:
    """The values of M items: item i has `distinct[codes[i]]`, or none where its code is `MISSING`.

    `is_class` is true of a column whose values are declared to be the names of classes, in their order.
    """

    codes: np.ndarray
    distinct: Sequence[Value]
    is_class: bool = False

    @classmethod
    def empty(cls, count: int) -> Column:
        """Return a column in which no item has a value."""
        return cls(np.full(count, MISSING, np.int32), ())


class ColumnWriter:
    """A column that is written value by value; items that are passed over have none."""

    def __init__(self) -> None:
        self._codes = array("i")
        # 1, 1.0 and True are equal, and three values.
        self._number: dict[tuple[type, Value], int] = {}

    def put(self, place: int, value: Value) -> None:
        """Give item `place` this value unless it or a later one has some; what is no number counts as none."""
        if place < len(self._codes) or (isinstance(value, float) and math.isnan(value)):
            return
        self._codes.extend([MISSING] * (place - len(self._codes)))
        self._codes.append(self._number.setdefault((type(value), value), len(self._number)))

    def column(self, count: int) -> Column:
        """Return the column of `count` items."""
        codes = np.full(count, MISSING, np.int32)
        codes[: len(self._codes)] = self._codes
        return Column(codes, [value for _, value in self._number])


def joined(parts: Sequence[tuple[int, Mapping[str, Column]]]) -> dict[str, Column]:
    """Return the columns of several parts, each of so many items, one after the other; a part may lack some."""
    columns: dict[str, Column] = {}
    for name in dict.fromkeys(name for _, part in parts for name in part):
        number: dict[tuple[type, Value], int] = {}
        codes: list[np.ndarray] = []
        for count, part in parts:
            column = part.get(name) or Column.empty(count)
            own = [number.setdefault((type(value), value), len(number)) for value in column.distinct]
            # The last stands for MISSING, which is -1.
            codes.append(np.array([*own, MISSING], np.int32)[column.codes])
        is_class = all(part[name].is_class for _, part in parts if name in part)
        columns[name] = Column(np.concatenate(codes), [value for _, value in number], is_class)
    return columns


def labels_of(
    columns: Mapping[str, Column], kept: np.ndarray, report: Reporter, called: str, skipped: Mapping[str, str]
) -> dict[str, Labels]:
    """Return the labels of the items where `kept` (M,) is true, of those columns that can be labels.

    A column needs a value of every item. Numbers of which one is not whole are measurements; all else are names, of
    which two images share some.

    Args:
        report: is told which are none, and which is `class`.
        skipped: columns that are no labels for another reason -> that reason.
    """
    labels: dict[str, Labels] = {}
    reasons: dict[str, list[str]] = {}
    for name, why in skipped.items():
        reasons.setdefault(why, []).append(name)
    for name, column in columns.items():
        found = _labels(column, kept, name)
        if isinstance(found, str):
            reasons.setdefault(found, []).append(name)
        else:
            labels[printable(name)] = found
    if reasons:
        said = "; ".join(f"{', '.join(map(printable, names))} ({why})" for why, names in reasons.items())
        report.note(f"{called}: no labels are {said}")
    if "class" not in labels and (name := _class_of(columns, labels)) is not None:
        report.note(f"{called}: the class is {name}")
        labels["class"] = labels[name]
    return labels


def _labels(column: Column, kept: np.ndarray, name: str) -> Labels | str:
    """Return the labels of a column, or why it is none."""
    codes = column.codes[kept]
    without = int((codes == MISSING).sum())
    if without:
        return "without a value" if without == len(codes) else f"no value in {without:,} of {len(codes):,} images"
    if column.is_class:
        return Labels(codes.astype(np.int64), tuple(map(printable, map(str, column.distinct))))
    used, codes = np.unique(codes, return_inverse=True)
    values = [column.distinct[code] for code in used.tolist()]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        numbers = [float(value) for value in values]
        if not all(map(math.isfinite, numbers)):
            return "not finite"
        if not all(number.is_integer() for number in numbers):
            return Labels(np.array(numbers)[codes])
        values = [int(value) for value in values]
    if len(codes) > FEW and len(values) > len(codes) // 2 and name.lower() not in CLASS_NAMES:
        return "hardly two images share a value"
    return _named(values, codes)


def _named(values: Sequence[Value], codes: np.ndarray) -> Labels:
    """Number the values in their order: whole numbers by size, all else as text."""
    is_whole = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    names = sorted(set(texts), key=int) if is_whole else sorted(set(texts))
    place = {name: number for number, name in enumerate(names)}
    return Labels(np.array([place[text] for text in texts], np.int64)[codes], tuple(map(printable, names)))


def _class_of(columns: Mapping[str, Column], labels: Mapping[str, Labels]) -> str | None:
    """Return the column that holds the class, by what is declared, else by its name, else as the only one."""
    discrete = [name for name in columns if name in labels and not labels[name].continuous]
    declared = [name for name in discrete if columns[name].is_class]
    for among in (declared, discrete):
        if (named := _first(among)) is not None:
            return named
        if len(among) == 1:
            return among[0]
    return None


def _first(names: Iterable[str]) -> str | None:
    known = {name.lower(): name for name in reversed(list(names))}
    return next((known[name] for name in CLASS_NAMES if name in known), None)
