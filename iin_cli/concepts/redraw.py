"""Differ pairs from data that can be drawn again: an item and the same with fresh values of one column (`redraw:NAME`).

This gives ground truth: nothing but that column is changed, and its values are known.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from ..errors import DataError, UsageError
from ..plugin_api import Dataset, Groups, Interpolation
from .variants import VariantConcept

__all__ = ["REDRAWINGS", "RedrawConcept", "Redrawable", "redraw_concept"]

REDRAWINGS = 2


@runtime_checkable
class Redrawable(Protocol):
    """A dataset that can draw its items again."""

    def redraw(self, indices: np.ndarray, size: int, column: str, seed: int) -> np.ndarray:
        """Draw items `indices` (B,) with fresh values of `column` and all else equal: uint8 (B, size, size, 3).

        The values depend on (seed, column, item) only. Raises DataError for a column it cannot draw with other values.
        """
        ...


class RedrawConcept(VariantConcept):
    """The concept of the column `concept`: variant 0 is the item, variant v the item redrawn with seed v."""

    variants = REDRAWINGS

    def __init__(self, concept: str) -> None:
        self.concept = concept
        # No version: how a dataset draws is part of its own fingerprint.
        self.fingerprint = f"redraw:{concept}"

    def groups(self, dataset: Dataset, indices: np.ndarray, seed: int) -> Groups:
        """Group each item with its redrawings; errors as `VariantConcept`, and DataError for data without redrawing."""
        self._redrawable(dataset)
        return super().groups(dataset, indices, seed)

    def draw(
        self, dataset: Dataset, indices: np.ndarray, size: int, interpolation: Interpolation, variant: int
    ) -> np.ndarray:
        """Draw items `indices` (B,), redrawn for a variant of 1 or more: uint8 (B, size, size, 3)."""
        if not 1 <= variant <= self.variants:
            return super().draw(dataset, indices, size, interpolation, variant)
        return self._redrawable(dataset).redraw(indices, size, self.concept, variant)

    def variant_name(self, variant: int) -> str:
        """Return `redrawn 1` for variant 1."""
        return f"redrawn {variant}" if variant else super().variant_name(0)

    def _redrawable(self, dataset: Dataset) -> Redrawable:
        if not isinstance(dataset, Redrawable):
            raise DataError(
                f"concept redraw:{self.concept} needs images that can be drawn again, and those of {dataset.name} "
                "cannot: choose --data shapes, or another concept"
            )
        return dataset


def redraw_concept(argument: str | None = None) -> RedrawConcept:
    """Make a concept of a column that a dataset can redraw: `redraw:NAME` is called NAME."""
    if not argument:
        raise UsageError("concept redraw needs the name of a column: write redraw:NAME, such as redraw:roundness")
    return RedrawConcept(argument)
