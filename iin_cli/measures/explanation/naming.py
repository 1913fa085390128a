"""What real images are called: by their class, else by the columns of `labels.csv` that factors or people name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...plugin_api import Dataset, Labels

__all__ = ["Naming"]

# A column with more names than this tells images apart rather than what they show.
MOST_NAMES = 200


@dataclass(frozen=True)
class Naming:
    """Which columns of labels name an image.

    Attributes:
        columns: `class` where the data has it, else the columns that are called like a factor, else all that name few
            things; empty where nothing does.
        own: factor -> the column of its name, where that names few things.
    """

    dataset: Dataset
    columns: tuple[str, ...]
    own: dict[str, str]

    @classmethod
    def of(cls, dataset: Dataset, factors: Sequence[str]) -> Self:
        """Choose the columns for a translator with these factors."""
        found = {factor: dataset.column(factor) for factor in factors}
        own = {
            factor: column for factor, column in found.items() if column is not None and _names(dataset.labels[column])
        }
        if "class" in dataset.labels:
            return cls(dataset, ("class",), own)
        everything = tuple(name for name, labels in dataset.labels.items() if _names(labels))
        return cls(dataset, tuple(own.values()) or everything, own)

    def name(self, item: int) -> str | None:
        """Return what item `item` is called, a value per column; None without labels."""
        return " / ".join(self._value(column, item) for column in self.columns) or None

    def column_for(self, factor: str) -> str | None:
        """Return the column that says what `factor` shows: that of its name, else the first."""
        return self.own.get(factor, self.columns[0] if self.columns else None)

    def shares(self, items: np.ndarray, factor: str) -> dict[str, float]:
        """Return which fraction of `items` (M,) has each value of the factor's column, the most frequent first."""
        column = self.column_for(factor)
        if column is None:
            return {}
        counts = Counter(self._value(column, int(item)) for item in items)
        return {value: count / len(items) for value, count in counts.most_common()}

    def _value(self, column: str, item: int) -> str:
        labels = self.dataset.labels[column]
        value = labels.values[item]
        return labels.names[int(value)] if labels.names is not None else f"{value:g}"


def _names(labels: Labels) -> bool:
    return labels.names is not None and len(labels.names) <= MOST_NAMES
