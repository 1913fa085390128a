"""Greys of more than 8 bits: which number is black and which is white.

Whole numbers of 16 or 32 bits, and floating-point numbers, do not say which of them is white. What the file declares
holds (TIFF's MaxSampleValue); else the numbers of all images that are read together decide: with 4,095 as the largest
of them they have 12 bits, whatever type they are stored in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

__all__ = ["Extent", "Greys", "as_eight_bits", "extent_of", "is_deep"]

Kind = Literal["whole", "real", "color"]
BITS = (8, 10, 12, 14, 16)
# TIFF: SMaxSampleValue and MaxSampleValue; PhotometricInterpretation, of which 0 means that white is zero.
LARGEST_TAGS = (341, 281)
PHOTOMETRIC_TAG, WHITE_IS_ZERO = 262, 0
# 8 bits become 16 by this factor, which takes 255 to 65,535.
EIGHT_TO_SIXTEEN = 257


@dataclass(frozen=True)
class Extent:
    """The numbers in one image: the least, the largest, their greatest common divisor, and the declared white.

    Of colours with 16 bits (`color`) Pillow gives the upper 8 alone.
    """

    kind: Kind
    low: float
    high: float
    step: int = 1
    white: float | None = None


@dataclass(frozen=True)
class Greys:
    """Black and white of images read together, of whole and of real numbers; None where there are no such images."""

    whole: tuple[float, float] | None = None
    real: tuple[float, float] | None = None

    @classmethod
    def of(cls, extents: Iterable[Extent | None]) -> Greys:
        """Infer black and white from images that do not declare them.

        >>> Greys.of([Extent("whole", 0, 900), Extent("whole", 3, 4000)]).whole
        (0.0, 4095.0)
        """
        open_ones = [extent for extent in extents if extent is not None and extent.white is None]
        whole = [extent for extent in open_ones if extent.kind == "whole"]
        real = [extent for extent in open_ones if extent.kind == "real"]
        return cls(_whole(whole) if whole else None, _real(real) if real else None)

    @classmethod
    def of_json(cls, values: Mapping[str, Any] | None) -> Greys:
        """Return what `as_dict` recorded."""
        known = {kind: (float(pair[0]), float(pair[1])) for kind, pair in (values or {}).items() if pair is not None}
        return cls(known.get("whole"), known.get("real"))

    def as_dict(self) -> dict[str, list[float]]:
        """Return JSON values; empty where there are no such images."""
        pairs = {"whole": self.whole, "real": self.real}
        return {kind: list(pair) for kind, pair in pairs.items() if pair is not None}


def is_deep(image: Image.Image) -> bool:
    """Say whether an image's greys have more than 8 bits."""
    return image.mode == "F" or image.mode.startswith("I")


def extent_of(image: Image.Image) -> Extent | None:
    """Return the numbers of an image with more than 8 bits, else None. ValueError for one that is not finite."""
    # Once it is decoded, an image no longer says how it was stored.
    is_deep_color = image.mode == "RGB" and ";16" in str(getattr(image, "tile", ""))
    if is_deep(image):
        return _extent(image, np.asarray(image))
    if is_deep_color:
        numbers = np.asarray(image)
        return Extent("color", float(numbers.min()), float(numbers.max()))
    return None


def as_eight_bits(numbers: np.ndarray, image: Image.Image, greys: Greys) -> np.ndarray:
    """Scale the numbers (H, W) of an image of deep greys to uint8: by the white it declares, else by `greys`.

    Where `greys` knows none of its kind, its own numbers decide.
    """
    white = _white(image, float(numbers.max()))
    black, white = (0.0, white) if white is not None else _range(numbers, image, greys)
    light = (numbers.astype(np.float64) - black) * (255 / (white - black))
    if _tag(image, PHOTOMETRIC_TAG) == WHITE_IS_ZERO:
        light = 255 - light
    return np.rint(light.clip(0, 255)).astype(np.uint8)


def _range(numbers: np.ndarray, image: Image.Image, greys: Greys) -> tuple[float, float]:
    if (known := greys.real if numbers.dtype.kind == "f" else greys.whole) is not None:
        return known
    extent = _extent(image, numbers)
    return _real([extent]) if extent.kind == "real" else _whole([extent])


def _extent(image: Image.Image, numbers: np.ndarray) -> Extent:
    low, high = float(numbers.min()), float(numbers.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("it has pixels that are not finite numbers")
    if numbers.dtype.kind == "f":
        return Extent("real", low, high, white=_white(image, high))
    return Extent("whole", low, high, int(np.gcd.reduce(numbers, axis=None)), _white(image, high))


def _white(image: Image.Image, high: float) -> float | None:
    if image.format == "PPM" and image.mode.startswith("I"):
        # Pillow has scaled the numbers from the header's maximum to 16 bits.
        return 65535.0
    declared = [value for value in (_tag(image, tag) for tag in LARGEST_TAGS) if value is not None]
    # A value below the pixels is wrong.
    return next((value for value in declared if value > 0 and value >= high), None)


def _tag(image: Image.Image, tag: int) -> float | None:
    value: Any = getattr(image, "tag_v2", {}).get(tag)
    try:
        # Some tags hold one value per band, and a fraction may have no denominator.
        return float(value[0] if isinstance(value, tuple) else value)
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None


def _whole(extents: Sequence[Extent]) -> tuple[float, float]:
    low, high = min(extent.low for extent in extents), max(extent.high for extent in extents)
    step = math.gcd(*(extent.step for extent in extents))
    if low < 0:
        return low, max(high, low + 1)
    if high <= 65535 and high > 255 and step % EIGHT_TO_SIXTEEN == 0:
        return 0.0, 65535.0
    return 0.0, next((float(2**bits - 1) for bits in BITS if high < 2**bits), high)


def _real(extents: Sequence[Extent]) -> tuple[float, float]:
    low, high = min(extent.low for extent in extents), max(extent.high for extent in extents)
    for black, white in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if black <= low and high <= white:
            return black, white
    return min(low, 0.0), high if high > min(low, 0.0) else low + 1
