"""A finished picture as a matplotlib figure, so that a notebook shows it as it shows a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["picture"]

DOTS_PER_INCH = 100


def picture(pixels: np.ndarray) -> Figure:
    """Show uint8 (H, W, 3) pixel by pixel, without a frame.

    >>> picture(np.zeros((50, 200, 3), np.uint8)).get_size_inches().tolist()
    [2.0, 0.5]
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = pixels.shape[:2]
    figure = Figure(figsize=(width / DOTS_PER_INCH, height / DOTS_PER_INCH), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    panel = figure.add_axes((0, 0, 1, 1))
    panel.imshow(pixels, interpolation="nearest")
    panel.set_axis_off()
    return figure
