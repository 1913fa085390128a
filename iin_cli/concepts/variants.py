"""Differ pairs of an image and its variants: the base of image operations, redrawing and sketches."""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from ..plugin_api import ConceptProvider, Dataset, Groups, Relation

__all__ = ["VariantConcept", "group_variants"]

SAMPLE_ITEMS = 16


class VariantConcept(ConceptProvider):
    """A concept whose groups are an image and `variants` drawings of it that change nothing but the concept."""

    relation: Relation = "differ"
    variants: int

    def groups(self, dataset: Dataset, indices: np.ndarray, seed: int) -> Groups:
        """Group each image with its variants, side by side; the image's index is the group id, `seed` is ignored.

        Raises DataError when there is no item, or when a variant leaves every image of a sample unchanged.
        """
        grouped = group_variants(self.concept, dataset, indices, self.variants)
        sample = indices[:: max(1, len(indices) // SAMPLE_ITEMS)]
        images = dataset.images(sample, dataset.native_size)
        for variant in range(1, self.variants + 1):
            if np.array_equal(self.draw(dataset, sample, dataset.native_size, "bicubic", variant), images):
                raise DataError(
                    f"concept {self.concept} changes nothing in {dataset.name} ({self.variant_name(variant)}): "
                    "choose another concept or --data"
                )
        return grouped


def group_variants(concept: str, dataset: Dataset, indices: np.ndarray, variants: int) -> Groups:
    """Group each of the items `indices` (M,) with its `variants` drawings, side by side; its index is the group id.

    Raises DataError when there is no item.
    """
    indices = np.asarray(indices, dtype=np.int64)
    if not len(indices):
        raise DataError(f"concept {concept} needs images, and none of {dataset.name} were given")
    every = np.repeat(indices, variants + 1)
    return Groups(every, np.tile(np.arange(variants + 1, dtype=np.int64), len(indices)), every)
