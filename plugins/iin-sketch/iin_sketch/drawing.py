"""Draw images in the style of one of two sketches: x + Δ, where Δ is found at the stylizer's side and enlarged.

Only the difference is enlarged, never the image, so the drawn image is as sharp as its original and no blur tells the
two apart. What the two sketches have in common is drawn once, their difference threefold:
x_a = x + Δ_a + c(Δ_a − Δ_b) and x_b = x + Δ_b + c(Δ_b − Δ_a) with c = 1.
"""

from __future__ import annotations

import numpy as np
import torch
from iin_cli.interpretation.pieces import to_pixels
from iin_cli.latents.cache import as_images
from torch import Tensor
from torch.nn import functional as F

from .networks import SMALLEST_SIDE, Stylizer, canonical
from .sketches import as_style, resized

__all__ = ["SketchDrawing", "sketch_side", "working_side"]

BATCH = 32
# c: without it, what all strokes have in common outweighs the concept.
CONTRAST = 1.0
# relu5_1 halves the side four times.
STRIDE = 16
# VGG-19 pads with zeros, where the decoder draws a frame of lines; images are therefore extended by 8 pixels.
BORDER = 8


def working_side(image_size: int, limit: int) -> int:
    """Return the side at which images of `image_size` are drawn: the next multiple of 16, within 32 and `limit`.

    >>> working_side(28, 128), working_side(100, 128), working_side(224, 128)
    (32, 112, 128)
    """
    return max(SMALLEST_SIDE, min(limit, -(-image_size // STRIDE) * STRIDE))


def sketch_side(side: int) -> int:
    """Return the side of sketches for a stylizer of `side`: the same, but at least 64, below which marks blur."""
    return max(64, side)


class SketchDrawing:
    """Draws images in the styles of two sketches uint8 (256, 256), each encoded once: dark on light, and reversed."""

    def __init__(self, stylizer: Stylizer, sketches: tuple[np.ndarray, np.ndarray], image_size: int) -> None:
        self.stylizer, self.side = stylizer, working_side(image_size, stylizer.side)
        self.device = next(stylizer.parameters()).device
        both = torch.tensor([False, True], device=self.device)
        with torch.inference_mode():
            drawings = resized(np.stack(sketches), sketch_side(stylizer.side))
            self.styles = [stylizer.style(as_style(np.stack((one, one)), both)) for one in drawings]

    def draw(self, images: np.ndarray, sketch: int) -> np.ndarray:
        """Draw images uint8 (B, S, S, 3) in the style of sketch 0 or 1: uint8 (B, S, S, 3)."""
        drawn = [self._draw(images[at : at + BATCH], sketch) for at in range(0, len(images), BATCH)]
        return np.concatenate(drawn) if drawn else images

    @torch.inference_mode()
    def _draw(self, pixels: np.ndarray, sketch: int) -> np.ndarray:
        images = as_images(pixels).to(self.device)
        small = canonical(_resize(images, self.side))
        padded = F.pad(small.images, (BORDER,) * 4, mode="reflect")
        maps = self.stylizer.encoder(padded)
        ours, theirs = (
            self.stylizer.transfer(padded, maps, style[small.light_ground.long()]) - padded
            for style in (self.styles[sketch], self.styles[1 - sketch])
        )
        change = (ours + CONTRAST * (ours - theirs))[:, :, BORDER:-BORDER, BORDER:-BORDER] * small.deviation
        return to_pixels(images + _resize(change, images.shape[2]))


def _resize(images: Tensor, side: int) -> Tensor:
    if images.shape[2] == side:
        return images
    return F.interpolate(images, size=(side, side), mode="bicubic", antialias=True)
