"""Differ pairs from image operations: an image and its variants share everything but the concept (`greyscale`).

`blur`, `brightness` and `rotation` take the amount as an argument (`rotation:45`) and draw weaker variants too, so that
the factor learns a scale and not a switch. Every variant is one more image to encode.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from ..errors import UsageError
from .variants import VariantConcept

__all__ = [
    "OPERATIONS",
    "Amount",
    "ImageOperation",
    "Operation",
    "blur",
    "blur_concept",
    "brighten",
    "brightness_concept",
    "greyscale",
    "greyscale_concept",
    "rotate",
    "rotation_concept",
]

# A border is of one colour if its pixels differ by at most this many of 255 levels.
PLAIN_LEVELS = 16
# ITU-R BT.601, the weights of Pillow's and torchvision's greyscale.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def greyscale(images: np.ndarray, amount: float = 1.0) -> np.ndarray:
    """Give every pixel its luma 0.299 R + 0.587 G + 0.114 B: uint8 (B, S, S, 3) -> (B, S, S, 3); `amount` is ignored.

    >>> greyscale(np.array([[[[255, 0, 0]]]], dtype=np.uint8)).tolist()
    [[[[76, 76, 76]]]]
    """
    luma = np.rint(images @ LUMA).astype(np.uint8)
    return np.repeat(luma[..., None], 3, axis=-1)


def blur(images: np.ndarray, amount: float) -> np.ndarray:
    """Blur uint8 (B, S, S, 3) by a Gaussian whose standard deviation is `amount` per cent of the side S.

    The kernel reaches three standard deviations; beyond the border the image is mirrored.
    """
    side = images.shape[1]
    sigma = amount / 100 * side
    width = 2 * min(math.ceil(3 * sigma), side - 1) + 1
    # Blurring one direction after the other gives the same result, and a wide Gaussian takes a fraction of the time.
    across = functional.gaussian_blur(_channels_first(images), [width, 1], [sigma, sigma])
    return _pixels(functional.gaussian_blur(across, [1, width], [sigma, sigma]))


def brighten(images: np.ndarray, amount: float) -> np.ndarray:
    """Multiply uint8 (B, S, S, 3) by 1 + `amount`, cut off at white; a negative amount darkens."""
    return _pixels(functional.adjust_brightness(_channels_first(images) / 255, 1 + amount) * 255)


def rotate(images: np.ndarray, amount: float) -> np.ndarray:
    """Rotate uint8 (B, S, S, 3) by `amount` degrees counter-clockwise about the centre.

    Black corners would give the rotation away. The corners therefore continue the border's colour where the border is
    of one colour, and mirror the image elsewhere. Interpolation between pixels still softens the finest detail a
    little.
    """
    channels, side = _channels_first(images), images.shape[1]
    # The corners of a turned square reach (√2 - 1)/2 of its side beyond the upright one; one pixel more for bilinear.
    margin = min(math.ceil((math.sqrt(2) - 1) / 2 * side) + 1, side - 1)
    mirrored, continued = (functional.pad(channels, [margin], padding_mode=mode) for mode in ("reflect", "edge"))
    padded = torch.where(_plain_border(channels), continued, mirrored)
    turned = functional.rotate(padded, amount, interpolation=InterpolationMode.BILINEAR)
    return _pixels(functional.center_crop(turned, [side, side]))


@dataclass(frozen=True)
class Amount:
    """The number a user may write after the colon: its unit, its default, and the limit it must stay below."""

    unit: str
    default: float
    below: float

    def parse(self, concept: str, text: str | None) -> float:
        """Return the number in `text`, or the default for None; raises UsageError unless it lies in (0, below)."""
        try:
            value = self.default if text is None else float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < self.below:
            raise UsageError(
                f"concept {concept}:{text}: {text!r} is not a number between 0 and {self.below:g}; "
                f"write {concept}:{self.default:g} ({self.unit})"
            )
        return value


@dataclass(frozen=True)
class Operation:
    """An operation that draws variants of images, and the amounts it draws.

    Attributes:
        draw: (images uint8 (B, S, S, 3), amount) -> images of the same shape.
        version: increase it whenever `draw` draws something else, so that cached latents are made again.
        caption: format string that names a variant by its amount.
        amount: the strongest variant's, as the user may choose it; None where there is nothing to choose.
        parts: the amounts of variants 1, 2, … as fractions of `amount`.
    """

    draw: Callable[[np.ndarray, float], np.ndarray]
    version: int
    caption: str
    amount: Amount | None = None
    parts: tuple[float, ...] = (1.0,)


BOTH_WAYS = (-1.0, -0.5, 0.5, 1.0)
OPERATIONS = {
    "greyscale": Operation(greyscale, 1, "greyscale"),
    "blur": Operation(blur, 1, "blur {:g}%", Amount("per cent of the image's side", 4.0, 25.0), (0.5, 1.0)),
    "brightness": Operation(brighten, 1, "{:+.0%}", Amount("a fraction, darker and brighter", 0.5, 1.0), BOTH_WAYS),
    "rotation": Operation(rotate, 1, "{:+g}°", Amount("degrees, either way", 30.0, 180.0), BOTH_WAYS),
}


class ImageOperation(VariantConcept):
    """A concept changed by one of `OPERATIONS`: variant 0 is the image, the others are drawn by the operation."""

    def __init__(self, concept: str, argument: str | None = None) -> None:
        operation = OPERATIONS[concept]
        amount = 1.0 if operation.amount is None else operation.amount.parse(concept, argument)
        self.concept = concept
        self.amounts = tuple(part * amount for part in operation.parts)
        self.variants = len(self.amounts)
        how_much = "" if operation.amount is None else f":{amount!r}"
        self.fingerprint = f"{concept}{how_much}-{operation.version}"
        self._operation = operation

    def render(self, images: np.ndarray, variant: int) -> np.ndarray:
        """Draw variant number `variant` of `images` uint8 (B, S, S, 3); variant 0 is the images."""
        if not 1 <= variant <= self.variants:
            return super().render(images, variant)
        return self._operation.draw(images, self.amounts[variant - 1])

    def variant_name(self, variant: int) -> str:
        """Name the variant by what the operation did: `+30°`."""
        return self._operation.caption.format(self.amounts[variant - 1]) if variant else super().variant_name(0)


def greyscale_concept() -> ImageOperation:
    """Make the concept `greyscale`."""
    return ImageOperation("greyscale")


def blur_concept(argument: str | None = None) -> ImageOperation:
    """Make the concept `blur` or `blur:PERCENT`: the image, and its blur by half of PERCENT and by PERCENT."""
    return ImageOperation("blur", argument)


def brightness_concept(argument: str | None = None) -> ImageOperation:
    """Make the concept `brightness` or `brightness:FRACTION`: the image, two darker variants and two brighter ones."""
    return ImageOperation("brightness", argument)


def rotation_concept(argument: str | None = None) -> ImageOperation:
    """Make the concept `rotation` or `rotation:DEGREES`: the image, turned by DEGREES and half of it, both ways."""
    return ImageOperation("rotation", argument)


def _channels_first(images: np.ndarray) -> Tensor:
    """Turn uint8 (B, S, S, 3) into float (B, 3, S, S) of the same values, so that only the result is rounded."""
    return torch.tensor(images, dtype=torch.float32).permute(0, 3, 1, 2)


def _plain_border(images: Tensor) -> Tensor:
    """Say whether the outermost pixels of images (B, 3, S, S) are of one colour: bool (B, 1, 1, 1)."""
    edges = (images[:, :, 0], images[:, :, -1], images[..., 0], images[..., -1])
    border = torch.cat(edges, dim=-1)
    return ((border.amax(-1) - border.amin(-1)).amax(1) <= PLAIN_LEVELS)[:, None, None, None]


def _pixels(images: Tensor) -> np.ndarray:
    return images.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
