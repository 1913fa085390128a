"""Images as users hold them: arrays, tensors, Pillow images, any torch dataset; read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import DataError

__all__ = ["ImageBatch", "batches_of", "count_of", "pictures_at"]


@dataclass(frozen=True)
class ImageBatch:
    """Some images in order: `pictures` uint8 (H, W, 3) each, or `inputs` (B, …), what the network itself takes."""

    pictures: list[np.ndarray]
    inputs: Tensor | None

    def __len__(self) -> int:
        return len(self.pictures) if self.inputs is None else len(self.inputs)


def pictures_at(
    images: Any, indices: np.ndarray, levels: tuple[float, float] | None = None
) -> tuple[list[np.ndarray], tuple[float, float] | None]:
    """Read images `indices` (B,) as pictures uint8 (H, W, 3), and return the range that floats were stretched over.

    Args:
        levels: values of black and of white, for floats; None takes the range of up to 256 of all images.

    Raises DataError for inputs that are no pictures.
    """
    if levels is None and _at(images, np.arange(1)).inputs is not None:
        some = _at(images, np.linspace(0, count_of(images) - 1, 256).round().astype(int))
        values = some.inputs if some.inputs is not None else torch.zeros(1)
        levels = (float(values.min()), float(values.max()))
    batch = _at(images, indices)
    if batch.inputs is None or levels is None:
        return batch.pictures, levels
    values = batch.inputs.detach().float().cpu()
    if values.ndim == 2:
        # A vector is shown as a row of grey levels.
        values = values[:, None]
    if values.ndim == 3:
        values = values[:, None]
    if values.ndim != 4 or values.shape[1] not in (1, 3):
        raise DataError(f"inputs of shape {tuple(batch.inputs.shape)} are no pictures: nothing can be drawn of them")
    low, high = levels
    scaled = ((values - low) / max(high - low, 1e-12) * 255).clamp(0, 255).round().to(torch.uint8)
    return list(scaled.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()), levels


def _at(images: Any, indices: np.ndarray) -> ImageBatch:
    if isinstance(images, Tensor):
        return _of_array(images[torch.from_numpy(indices)], 0)
    if isinstance(images, np.ndarray):
        return _of_array(images[indices], 0)
    return _of_items([_first(images[int(place)]) for place in indices], 0)


def count_of(images: Any) -> int:
    """Return how many images there are. DataError for what has no length, or is empty."""
    if not isinstance(images, Sized) or not len(images):
        raise DataError(f"images are a list, an array, a tensor or a torch dataset, not empty: got {_named(images)}")
    return len(images)


def batches_of(images: Any, size: int) -> Iterator[ImageBatch]:
    """Read images in batches of at most `size`.

    Args:
        images: float arrays or tensors (B, …) are what the network takes; uint8 arrays (B, H, W, 3) or (B, H, W),
            uint8 tensors (B, 3, H, W), Pillow images and paths are pictures; a torch dataset gives either, alone or as
            the first of a tuple.

    Raises DataError for other numbers, other shapes, values that are not finite, and items of different kinds.
    """
    count = count_of(images)
    whole = images if isinstance(images, (np.ndarray, Tensor)) else None
    for start in range(0, count, size):
        if whole is not None:
            yield _of_array(whole[start : start + size], start)
        else:
            yield _of_items([_first(images[place]) for place in range(start, min(start + size, count))], start)


def _of_array(part: np.ndarray | Tensor, start: int) -> ImageBatch:
    values = torch.as_tensor(part)
    if values.dtype == torch.uint8:
        return ImageBatch([_picture(row, start + place) for place, row in enumerate(values)], None)
    if not values.is_floating_point():
        kind = str(values.dtype).removeprefix("torch.")
        raise DataError(f"images are {kind}: give uint8 pictures, or floats as the network takes them")
    finite = values.reshape(len(values), -1).isfinite().all(1)
    if not finite.all():
        raise DataError(f"image {start + int((~finite).nonzero()[0])} has values that are not finite")
    return ImageBatch([], values)


def _of_items(items: Sequence[Any], start: int) -> ImageBatch:
    if all(isinstance(item, Tensor) and item.is_floating_point() for item in items):
        if len({tuple(item.shape) for item in items}) > 1:
            raise DataError(f"the tensors from image {start} on differ in shape: resize them to one size")
        return _of_array(torch.stack(list(items)), start)
    return ImageBatch([_picture(item, start + place) for place, item in enumerate(items)], None)


def _picture(item: Any, number: int) -> np.ndarray:
    """Turn one image into uint8 (H, W, 3)."""
    if isinstance(item, Image.Image):
        return np.asarray(item.convert("RGB"))
    values = item.cpu().numpy() if isinstance(item, Tensor) else np.asarray(item)
    if values.dtype != np.uint8 or values.ndim not in (2, 3):
        raise DataError(f"image {number} is {_named(item)}: give uint8 (H, W, 3), a Pillow image or a float tensor")
    if values.ndim == 3 and values.shape[2] not in (1, 3) and values.shape[0] in (1, 3):
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] not in (1, 3):
        raise DataError(f"image {number} has shape {values.shape}: give one or three channels")
    return np.ascontiguousarray(
        np.broadcast_to(values if values.ndim == 3 else values[..., None], (*values.shape[:2], 3))
    )


def _first(item: Any) -> Any:
    """Return the image of a dataset's item, which may carry a label."""
    return item[0] if isinstance(item, (tuple, list)) else item


def _named(value: Any) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return type(value).__name__ if shape is None else f"{type(value).__name__} {tuple(shape)} of {dtype}"
