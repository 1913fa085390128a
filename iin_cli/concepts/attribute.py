"""Share pairs from attributes: two images with the same value, or nearly the same measurement (`attribute:NAME`)."""

from __future__ import annotations

import re

import numpy as np

from ..errors import DataError, UsageError, nearest
from ..plugin_api import ConceptProvider, Dataset, Groups, Labels, Relation
from .labelled import group_by_value

__all__ = ["GROUP_ITEMS", "MOST_VALUES", "AttributeConcept", "attribute_concept"]

# A group of 8 of M sorted items spans 8/M of the ranks and makes 28 pairs.
GROUP_ITEMS = 8
# A numeric column with more distinct values than this is a measurement (an age), else a label (a count of legs).
MOST_VALUES = 16
WHOLE_NUMBER = re.compile(r"-?\d+")


class AttributeConcept(ConceptProvider):
    """A concept shared by images with the same value of the attribute `concept`, whose name may be in any case.

    A column of labels groups by label. A column of numbers with more than `MOST_VALUES` distinct values, or without
    repeated ones, is a measurement: its items are sorted and cut into groups of about `GROUP_ITEMS` neighbours, so that
    two items of a group have nearly the same value and nothing else in common.
    """

    relation: Relation = "share"

    def __init__(self, concept: str) -> None:
        self.concept = concept

    def groups(self, dataset: Dataset, indices: np.ndarray, seed: int) -> Groups:
        """Group the items `indices` (M,) by their value; `seed` decides which of equal measurements are neighbours.

        The groups of a measurement are numbered from its lowest values to its highest. Raises DataError when the
        attribute is missing or constant, has a value that is not finite, or leaves fewer than two groups of two.
        """
        indices = np.asarray(indices, dtype=np.int64)
        column = _find_column(dataset, self.concept)
        numbers = _numbers(dataset.labels[column], indices)
        if numbers is None:
            return group_by_value(dataset, column, indices, self.concept)
        if not np.isfinite(numbers).all():
            bad = np.flatnonzero(~np.isfinite(numbers))[0]
            raise DataError(
                f"attribute {column} of {dataset.path(int(indices[bad]))} is {numbers[bad]}, not a finite number: "
                "correct it or leave the image out"
            )
        _, counts = np.unique(numbers, return_counts=True)
        if len(counts) < 2 or (len(counts) <= MOST_VALUES and counts.max() > 1):
            return group_by_value(dataset, column, indices, self.concept)
        if len(numbers) < 4:
            raise DataError(
                f"concept {self.concept} needs at least 4 images to pair near values of {column}, "
                f"and {len(numbers)} of {dataset.name} were given"
            )
        return _neighbours(numbers, indices, seed)


def attribute_concept(argument: str | None = None) -> AttributeConcept:
    """Make a concept of any attribute: `attribute:NAME` is called NAME."""
    if not argument:
        raise UsageError("concept attribute needs an attribute's name: write attribute:NAME, such as attribute:Smiling")
    return AttributeConcept(argument)


def _find_column(dataset: Dataset, name: str) -> str:
    if name in dataset.labels:
        return name
    alike = [column for column in dataset.labels if column.casefold() == name.casefold()]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise DataError(f"attribute {name!r} of {dataset.name} may be any of {', '.join(alike)}: write the exact name")
    raise DataError(f"{dataset.name} has no attribute {name!r}: {nearest(name, list(dataset.labels))}")


def _numbers(labels: Labels, indices: np.ndarray) -> np.ndarray | None:
    """Return the items' values as float (M,), or None where they are names or ids."""
    values = np.asarray(labels.values)[indices]
    if labels.continuous:
        return values
    if labels.names is None or not all(map(WHOLE_NUMBER.fullmatch, labels.names)):
        return None
    return np.array([float(name) for name in labels.names])[values]


def _neighbours(numbers: np.ndarray, indices: np.ndarray, seed: int) -> Groups:
    # Items side by side in the data often share more than the attribute, so equal values are shuffled first.
    shuffled = np.random.default_rng(seed).permutation(len(numbers))
    order = shuffled[np.argsort(numbers[shuffled], kind="stable")]
    sizes = [len(part) for part in np.array_split(order, max(2, len(order) // GROUP_ITEMS))]
    group_ids = np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)
    return Groups(indices[order], np.zeros(len(order), dtype=np.int64), group_ids)
