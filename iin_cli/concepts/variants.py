"""Differ pairs of an image and its variants: what image operations and redrawing have in common."""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from ..plugin_api import ConceptProvider, Dataset, Groups, Relation

__all__ = ["VariantConcept"]

SAMPLE_ITEMS = 16


class VariantConcept(ConceptProvider):
    """A concept whose groups are an image and `variants` drawings of it in which nothing but the concept is changed."""

    relation: Relation = "differ"
    variants: int

    def groups(self, dataset: Dataset, indices: np.ndarray, seed: int) -> Groups:
        """Group each image with its variants: side by side, group id the image's index; `seed` has no part in it.

        Raises DataError when there is no item, or a variant changes none of a sample of the images.
        """
        indices = np.asarray(indices, dtype=np.int64)
        if not len(indices):
            raise DataError(f"concept {self.concept} needs images, and none of {dataset.name} were given")
        sample = indices[:: max(1, len(indices) // SAMPLE_ITEMS)]
        images = dataset.images(sample, dataset.native_size)
        for variant in range(1, self.variants + 1):
            if np.array_equal(self.draw(dataset, sample, dataset.native_size, "bicubic", variant), images):
                raise DataError(
                    f"concept {self.concept} changes nothing in {dataset.name} ({self.variant_name(variant)}): "
                    "choose another concept or --data"
                )
        every = np.repeat(indices, self.variants + 1)
        return Groups(every, np.tile(np.arange(self.variants + 1, dtype=np.int64), len(indices)), every)
