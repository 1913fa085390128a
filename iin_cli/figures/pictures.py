"""A finished picture as a matplotlib figure, so that a notebook shows it as it shows a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .canvas import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["picture"]

DOTS_PER_INCH = 100


def picture(pixels: np.ndarray, dpi: int = DOTS_PER_INCH) -> Figure:
    """Show uint8 (H, W, 3) pixel by pixel, `dpi` of them an inch, without a frame.

    >>> picture(np.zeros((50, 200, 3), np.uint8)).get_size_inches().tolist()
    [2.0, 0.5]
    """
    height, width = pixels.shape[:2]
    figure = new_figure(width / dpi, height / dpi, layout=None, dpi=dpi)
    # An image in axes, unlike one on the bare figure, survives a notebook's tight cropping.
    panel = figure.add_axes((0, 0, 1, 1), frameon=False, xticks=(), yticks=())
    panel.imshow(pixels, interpolation="nearest")
    return figure
