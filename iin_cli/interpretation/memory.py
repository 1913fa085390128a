"""Images and labels held in memory as a dataset: what a notebook gives to the verbs that commands give files to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor

from ..errors import DataError
from ..plugin_api import Dataset, Interpolation, Labels
from .pictures import count_of, pictures_at

if TYPE_CHECKING:
    from .network import Network

__all__ = ["MemoryDataset", "as_labels"]


class MemoryDataset(Dataset):
    """Images as `Network.encode` takes them, with columns of labels; nothing is copied before it is looked at.

    Args:
        images: what `pictures.batches_of` reads.
        labels: column -> one label per image: text, whole numbers or measurements.
        names: what to call the images; None numbers them.

    Raises DataError for labels of another length.

    >>> MemoryDataset(np.zeros((3, 8, 8), np.uint8), {"digit": [7, 7, 1]}).labels["digit"].names
    ('1', '7')
    """

    def __init__(
        self, images: Any, labels: Mapping[str, Any] | None = None, names: Sequence[str] | None = None
    ) -> None:
        count = count_of(images)
        self.name = "images in memory"
        self.labels = {column: as_labels(column, values, count) for column, values in (labels or {}).items()}
        everything = np.arange(count)
        self.splits = {"train": everything, "test": everything}
        self.sources = everything
        # Nothing that lies in memory is ever cached by it.
        self.fingerprint = ""
        self._images, self._names = images, names
        self._range: tuple[float, float] | None = None
        # Shared with every subset, which is a shallow copy.
        self._latents: dict[Network, Tensor] = {}

    @property
    def native_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Side of the first picture."""
        return self._pictures(np.arange(1))[0].shape[0]

    def images(self, indices: np.ndarray, size: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        """Return images `indices` (B,) as pictures uint8 (B, size, size, 3)."""
        way = Image.Resampling[interpolation.upper()]
        return np.stack(
            [np.asarray(Image.fromarray(each).resize((size, size), way)) for each in self._pictures(indices)]
        )

    def latents(self, network: Network) -> Tensor:
        """Encode all images when first asked: z (M, N), from what the network takes rather than from pictures."""
        if network not in self._latents:
            self._latents[network] = network.encode(self._images)
        return self._latents[network]

    def path(self, index: int) -> str:
        """Return the name of image `index`."""
        return f"image {index}" if self._names is None else self._names[index]

    def _pictures(self, indices: np.ndarray) -> list[np.ndarray]:
        pictures, self._range = pictures_at(self._images, indices, self._range)
        return pictures


def as_labels(column: str, values: Any, count: int) -> Labels:
    """Turn a column of text, whole numbers or measurements (M,) into `Labels`. DataError for another length or kind."""
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if array.shape != (count,):
        raise DataError(f"labels {column!r} have shape {array.shape}, and there are {count} images: give one for each")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise DataError(f"label {column!r} of image {int((~np.isfinite(array)).argmax())} is not finite")
        return Labels(array.astype(np.float64))
    names, numbers = np.unique(array, return_inverse=True)
    return Labels(numbers.astype(np.int64), tuple(str(name) for name in names))
