"""Empty matplotlib figures, without a display or any global state, and the font for text in images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import ImageFont

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["letters", "new_figure"]


def new_figure(width: float, height: float, layout: str | None = "constrained", dpi: float | None = None) -> Figure:
    """Return an empty figure, sizes in inches; matplotlib is imported only here, when something is drawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout, dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def letters(size: int) -> ImageFont.FreeTypeFont:
    """Return a font, `size` pixels high, with the letters of most alphabets."""
    import matplotlib

    # Pillow's own font, `load_default`, has 113 characters: no é, no σ and no arrow.
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
