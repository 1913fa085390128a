"""Share pairs from labels: two images with one label share that concept (`class`, `digit`, `color`, `label:NAME`)."""

from __future__ import annotations

import numpy as np

from ..errors import DataError, UsageError
from ..plugin_api import ConceptProvider, Dataset, Groups, Relation, check_columns, no_argument

__all__ = ["LabelConcept", "class_concept", "color_concept", "digit_concept", "label_concept"]


class LabelConcept(ConceptProvider):
    """The concept `concept` is shared by all images with one label in `column` (by default of the same name)."""

    relation: Relation = "share"

    def __init__(self, concept: str, column: str | None = None) -> None:
        self.concept = concept
        self.column = column or concept

    def groups(self, dataset: Dataset, indices: np.ndarray, seed: int) -> Groups:
        """Group the items `indices` (M,) by their label; `seed` has no part in it.

        Raises DataError when the column is missing, all items have one label, or no two items have the same.
        """
        labels = check_columns(dataset, self.column, f"concept {self.concept}")
        values = np.asarray(labels.values)[indices].astype(np.int64)
        found, counts = np.unique(values, return_counts=True)
        if len(found) < 2:
            called = "no item" if not len(found) else f"only {self.column} {_called(labels.names, int(found[0]))}"
            raise DataError(
                f"concept {self.concept} needs images of at least two {self.column} labels, "
                f"and among the {len(values)} given of {dataset.name} there is {called}"
            )
        if counts.max() < 2:
            raise DataError(
                f"concept {self.concept} needs two images with one {self.column} label, "
                f"and the {len(values)} given of {dataset.name} all have different ones"
            )
        return Groups(np.asarray(indices, dtype=np.int64), np.zeros(len(values), dtype=np.int64), values)


def class_concept(argument: str | None = None) -> LabelConcept:
    """Make the concept `class`."""
    no_argument("concept class", argument)
    return LabelConcept("class")


def digit_concept(argument: str | None = None) -> LabelConcept:
    """Make the concept `digit`."""
    no_argument("concept digit", argument)
    return LabelConcept("digit")


def color_concept(argument: str | None = None) -> LabelConcept:
    """Make the concept `color`."""
    no_argument("concept color", argument)
    return LabelConcept("color")


def label_concept(argument: str | None = None) -> LabelConcept:
    """Make a concept of any label column: `label:NAME` is called NAME."""
    if not argument:
        raise UsageError("concept label needs the name of a column: write label:NAME")
    return LabelConcept(argument)


def _called(names: tuple[str, ...] | None, value: int) -> str:
    return str(value) if names is None else names[value]
