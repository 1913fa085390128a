"""Attributes as a user writes them, `Smiling`, `Male:-1`, `class=cat:0.5`, and which images have one by their labels.

A column whose labels are no and yes (0 and 1, false and true) is an attribute as it stands. A column of any other
labels becomes one with the value that counts, `NAME=VALUE`. In a column of measurements (continuous, or whole numbers
of more than `MOST_VALUES` different values) the images above the median have the attribute.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError, UsageError, nearest
from ..plugin_api import Dataset, Labels

__all__ = ["MOST_VALUES", "Attribute", "has_attribute", "parse_attributes"]

# The same line that the concept `attribute` draws between labels and measurements.
MOST_VALUES = 16
WRITTEN = re.compile(r"(?P<name>.+?)(:(?P<weight>[+-]?(\d+\.?\d*|\.\d+)))?")
WHOLE_NUMBER = re.compile(r"-?\d+")
# How no and yes are written, in this order.
NO_YES = (("no", "yes"), ("false", "true"), ("0", "1"), ("-1", "1"))


@dataclass(frozen=True)
class Attribute:
    """An attribute `NAME` or `NAME=VALUE`, and how much of it strength 1 adds; a negative weight takes it away."""

    name: str
    weight: float = 1.0


def parse_attributes(texts: Sequence[str]) -> list[Attribute]:
    """Read `NAME[=VALUE][:WEIGHT]`. UsageError for a weight of 0 and for one attribute twice.

    >>> parse_attributes(["Smiling", "Male:-1"])
    [Attribute(name='Smiling', weight=1.0), Attribute(name='Male', weight=-1.0)]
    """
    attributes: list[Attribute] = []
    for text in texts:
        match = WRITTEN.fullmatch(text.strip())
        if match is None:
            raise UsageError("--attribute needs a name: write Smiling, Male:-1 or class=cat")
        attribute = Attribute(match["name"], float(match["weight"] or 1))
        if attribute.weight == 0:
            raise UsageError(
                f"--attribute {text}: a weight of 0 adds nothing; write {attribute.name}:1 or {attribute.name}:-1"
            )
        if attribute.name in [other.name for other in attributes]:
            raise UsageError(f"--attribute {attribute.name} is given twice: give it once, with one weight")
        attributes.append(attribute)
    return attributes


def has_attribute(dataset: Dataset, name: str, indices: np.ndarray) -> np.ndarray:
    """Say which of the items `indices` (M,) have the attribute `name` (`NAME` or `NAME=VALUE`): bool (M,).

    Raises DataError for an unknown column or value, for labels that need a value and have none, and when all items
    have the attribute or none has.
    """
    column, value = _find(dataset, name)
    labels = dataset.labels[column]
    values = np.asarray(labels.values)[indices]
    measured = _measured(labels, values)
    if measured is None:
        has = values == _number(dataset, column, labels, value)
    elif value is not None:
        raise DataError(
            f"attribute {name}: {column} of {dataset.name} is a measurement, and values above its median count: "
            f"write {column}"
        )
    else:
        has = _above_median(dataset, column, measured)
    if has.all() or not has.any():
        raise DataError(
            f"attribute {name}: {int(has.sum())} of the {len(has)} training images of {dataset.name} have it and "
            f"{int((~has).sum())} have not; an axis needs images with it and without"
        )
    return has


def _find(dataset: Dataset, name: str) -> tuple[str, str | None]:
    """Return the column, and the value named with it."""
    if (column := dataset.column(name)) is not None:
        return column, None
    wanted, equals, value = name.partition("=")
    if (column := dataset.column(wanted)) is not None:
        return column, value if equals else None
    known = list(dataset.labels)
    hint = nearest(wanted, known) if known else "it has no labels: give two folders, --with DIR --without DIR"
    raise DataError(f"{dataset.name} has no attribute {wanted!r}: {hint}")


def _measured(labels: Labels, values: np.ndarray) -> np.ndarray | None:
    """Return the items' values as float (M,) where they are measurements, else None."""
    if labels.continuous:
        return values
    if labels.names is None or len(labels.names) <= MOST_VALUES or not all(map(WHOLE_NUMBER.fullmatch, labels.names)):
        return None
    return np.array([float(name) for name in labels.names])[values]


def _above_median(dataset: Dataset, column: str, measured: np.ndarray) -> np.ndarray:
    if not np.isfinite(measured).all():
        raise DataError(f"attribute {column} of {dataset.name} has values that are not finite: correct them")
    if measured.min() == measured.max():
        raise DataError(
            f"attribute {column} is {measured[0]:g} for all {len(measured)} training images of {dataset.name}: "
            "an axis needs images above its median and below"
        )
    median = np.median(measured)
    above = measured > median
    # The highest value is the median too where most images have it.
    return above if above.any() else measured >= median


def _number(dataset: Dataset, column: str, labels: Labels, value: str | None) -> int:
    """Return the number of the label that counts."""
    if labels.names is None:
        if value is None or not WHOLE_NUMBER.fullmatch(value):
            raise DataError(
                f"attribute {column} of {dataset.name} has numbers for names: write {column}=17, say; with an amount, "
                f"{column}=17=1"
            )
        return int(value)
    names, folded = list(labels.names), [name.casefold() for name in labels.names]
    if value is None:
        # A column in which every image says no is still one of no and yes.
        positive = next((pair[1] for pair in NO_YES if folded in ([*pair], [pair[0]], [pair[1]])), None)
        if positive is None:
            raise DataError(
                f"attribute {column} of {dataset.name} has the values {', '.join(names[:8])}"
                f"{', …' if len(names) > 8 else ''}: say which counts, as {column}={names[-1]}"
            )
        value = positive
    if value in names:
        return names.index(value)
    if value.casefold() in folded:
        return folded.index(value.casefold())
    # All images say no: −1 stands for the yes that none has.
    if len(names) == 1:
        return -1
    raise DataError(f"attribute {column} of {dataset.name} has no value {value!r}: {nearest(value, names)}")
