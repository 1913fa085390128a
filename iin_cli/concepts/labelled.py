"""Share pairs from labels: two images with one label share that concept (`class`, `digit`, `color`, `label:NAME`)."""

from __future__ import annotations

import numpy as np

from ..errors import DataError, UsageError
from ..plugin_api import ConceptProvider, Dataset, Groups, Labels, Relation, check_columns

__all__ = ["LabelConcept", "class_concept", "color_concept", "digit_concept", "group_by_value", "label_concept"]


class LabelConcept(ConceptProvider):
    """A concept shared by all images with the same label in `column`, by default the column `concept`."""

    relation: Relation = "share"

    def __init__(self, concept: str, column: str | None = None) -> None:
        self.concept = concept
        self.column = column or concept

    def groups(self, dataset: Dataset, indices: np.ndarray, seed: int) -> Groups:
        """Group the items `indices` (M,) by their label; `seed` is ignored.

        Raises DataError when the column is missing or continuous, all items have one label, or no two have the same.
        """
        if check_columns(dataset, self.column, f"concept {self.concept}").continuous:
            raise DataError(
                f"concept {self.concept}: {self.column} of {dataset.name} is a measurement, and hardly any two images "
                f"have the same value: write attribute:{self.column}, which pairs the nearest values"
            )
        return group_by_value(dataset, self.column, indices, self.concept)


def group_by_value(dataset: Dataset, column: str, indices: np.ndarray, concept: str) -> Groups:
    """Group the items `indices` (M,) by their value in `column`; a label's number is its group's.

    Raises DataError when all items have one value, or no two have the same.
    """
    labels = dataset.labels[column]
    values = np.asarray(labels.values)[indices]
    found, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(found) < 2:
        called = f"only {column} {_called(labels, found[0])}" if len(found) else "no item"
        raise DataError(
            f"concept {concept} needs images of at least two {column} labels, "
            f"and among the {len(values)} given of {dataset.name} there is {called}"
        )
    if counts.max() < 2:
        raise DataError(
            f"concept {concept} needs two images with one {column} label, "
            f"and the {len(values)} given of {dataset.name} all have different ones"
        )
    group_ids = inverse if labels.continuous else values
    zeros = np.zeros(len(values), dtype=np.int64)
    return Groups(np.asarray(indices, dtype=np.int64), zeros, group_ids.astype(np.int64))


def class_concept() -> LabelConcept:
    """Make the concept `class`."""
    return LabelConcept("class")


def digit_concept() -> LabelConcept:
    """Make the concept `digit`."""
    return LabelConcept("digit")


def color_concept() -> LabelConcept:
    """Make the concept `color`."""
    return LabelConcept("color")


def label_concept(argument: str | None = None) -> LabelConcept:
    """Make a concept of any label column: `label:NAME` is called NAME."""
    if not argument:
        raise UsageError("concept label needs the name of a column: write label:NAME")
    return LabelConcept(argument)


def _called(labels: Labels, value: np.generic) -> str:
    return str(value) if labels.names is None else labels.names[int(value)]
