"""Draw the strokes of one of two sketches over images, in the images' own colours: nothing is trained or downloaded.

x_a = x + A w σ h_a: h_a is the lightness of sketch A with mean 0 and deviation 1, at a place that the image decides, σ
the deviation of each of the image's channels, A a number, and w how strong strokes may be. x_b takes the same place of
sketch B. Texture hides strokes and plain ground shows faint ones, so w follows the contrast of the plainer parts of x,
with more where an image is plain and less at its details: people see the strokes, networks still see the content.
"""

from __future__ import annotations

import hashlib

import numpy as np
from scipy.ndimage import gaussian_filter

from .networks import DARKEST_DEVIATION
from .sketches import resized

__all__ = ["Overdrawing"]

# A: a compromise between what people see and what networks keep, measured by benchmarks/sketches.py.
STRENGTH = 0.9
# Deviation of the window of local contrast in parts of the image's side; bounds of a place's strength in its image.
WINDOW = 1 / 64
DETAILS, PLAIN = 0.4, 1.6
# In parts of the deviation of the whole image: flat ground is drawn on, too.
LEAST_CONTRAST = 0.06
# The side of a sketch on an image, in parts of the image's, and at least so many pixels: its marks are a fifth as
# large, and corners are not seen in marks of less than ten pixels.
SPAN, SMALLEST_SPAN = 0.5, 48


class Overdrawing:
    """Draws the strokes of two sketches uint8 (256, 256) over images of one side."""

    def __init__(self, sketches: tuple[np.ndarray, np.ndarray], image_size: int) -> None:
        span = max(SMALLEST_SPAN, round(SPAN * image_size))
        self.strokes = [_strokes(sketch, span, image_size) for sketch in sketches]

    def draw(self, images: np.ndarray, sketch: int) -> np.ndarray:
        """Draw images uint8 (B, S, S, 3) with the strokes of sketch 0 or 1: uint8 (B, S, S, 3)."""
        drawn = [self._draw(image, self.strokes[sketch]) for image in images]
        return np.stack(drawn) if drawn else images

    def _draw(self, pixels: np.ndarray, strokes: np.ndarray) -> np.ndarray:
        image = pixels.astype(np.float32)
        deviation = np.maximum(image.std((0, 1)), 127.5 * DARKEST_DEVIATION)
        canonical = ((image - image.mean((0, 1))) / deviation).mean(2)
        change = STRENGTH * _allowed(canonical) * _placed(strokes, pixels)
        return (image + change[..., None] * deviation).round().clip(0, 255).astype(np.uint8)


def _allowed(canonical: np.ndarray) -> np.ndarray:
    """Return how strong strokes may be at every place of lightness (S, S) of mean 0 and deviation 1."""
    window = WINDOW * len(canonical)
    mean, square = (gaussian_filter(values, window, truncate=3) for values in (canonical, canonical**2))
    contrast = np.sqrt(np.maximum(square - mean**2, 0)) + 1e-3
    typical = max(LEAST_CONTRAST, float(np.quantile(contrast, 0.25)))
    return typical * np.clip(np.median(contrast) / contrast, DETAILS, PLAIN)


def _strokes(sketch: np.ndarray, span: int, image_size: int) -> np.ndarray:
    """Return a sketch's lightness, `span` wide, with mean 0 and deviation 1; mirrored, so that it covers any place."""
    lightness = resized(sketch[None], span)[0].astype(np.float32)
    lightness = (lightness - lightness.mean()) / lightness.std()
    beyond = max(span, image_size)
    return np.pad(lightness, ((0, beyond), (0, beyond)), mode="symmetric")


def _placed(strokes: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Cut a place of `strokes` for an image (S, S, 3), turned; its pixels decide which, so that both sketches agree."""
    side = len(image)
    digest = hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest()
    generator = np.random.default_rng(np.frombuffer(digest, np.uint32))
    top, left = generator.integers(0, len(strokes) - side + 1, 2)
    return np.rot90(strokes[top : top + side, left : left + side], int(generator.integers(4)))
