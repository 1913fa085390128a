"""Differ pairs from image operations: an image and its variant have all in common but the concept (`greyscale`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..plugin_api import ConceptProvider, Dataset, Groups, Relation, no_argument

__all__ = ["OPERATIONS", "ImageOperation", "Operation", "greyscale", "greyscale_concept"]

# ITU-R BT.601, the weights of Pillow's and torchvision's greyscale.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def greyscale(images: np.ndarray) -> np.ndarray:
    """Give every pixel its luma 0.299 R + 0.587 G + 0.114 B: uint8 (B, S, S, 3) -> (B, S, S, 3).

    >>> greyscale(np.array([[[[255, 0, 0]]]], dtype=np.uint8)).tolist()
    [[[[76, 76, 76]]]]
    """
    luma = np.rint(images @ LUMA).astype(np.uint8)
    return np.repeat(luma[..., None], 3, axis=-1)


@dataclass(frozen=True)
class Operation:
    """What draws the variant; `version` goes up whenever it would draw something else, and so refreshes caches."""

    draw: Callable[[np.ndarray], np.ndarray]
    version: int


OPERATIONS = {
    "greyscale": Operation(greyscale, version=1),
}


class ImageOperation(ConceptProvider):
    """The concept that one of `OPERATIONS` changes: variant 0 is the image, variant 1 what the operation draws."""

    relation: Relation = "differ"

    def __init__(self, concept: str) -> None:
        self.concept = concept
        self._operation = OPERATIONS[concept]
        self.fingerprint = f"{concept}-{self._operation.version}"

    def groups(self, dataset: Dataset, indices: np.ndarray, seed: int) -> Groups:
        """Group each image with its variant: items interleaved, group id the image's index; `seed` has no part in it.

        Raises DataError when there is no item, or the operation changes none of a sample of the images.
        """
        indices = np.asarray(indices, dtype=np.int64)
        if not len(indices):
            raise DataError(f"concept {self.concept} needs images, and none of {dataset.name} were given")
        sample = indices[:: max(1, len(indices) // 16)]
        images = dataset.images(sample, dataset.native_size)
        if np.array_equal(self.render(images, 1), images):
            raise DataError(
                f"concept {self.concept} changes nothing in {dataset.name}: choose another concept or --data"
            )
        both = np.repeat(indices, 2)
        return Groups(both, np.tile(np.array([0, 1], dtype=np.int64), len(indices)), both)

    def render(self, images: np.ndarray, variant: int) -> np.ndarray:
        """Draw variant 0 or 1 of `images` uint8 (B, S, S, 3)."""
        return self._operation.draw(images) if variant == 1 else super().render(images, variant)


def greyscale_concept(argument: str | None = None) -> ImageOperation:
    """Make the concept `greyscale`."""
    no_argument("concept greyscale", argument)
    return ImageOperation("greyscale")
