"""Empty matplotlib figures, without a display or any global state, and the font for text in images."""

from __future__ import annotations

import io
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from PIL import Image, ImageFont

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

__all__ = ["PAGE_INCHES", "drawn", "letters", "new_figure"]

# The width of a printed page's text: a figure much wider has letters too small to read once it is printed.
PAGE_INCHES = 7.0

# Fonts as TrueType, which publishers take and editors can read; ids in an SVG that depend on nothing but the figure.
PRINT: dict[str, Any] = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.hashsalt": "iin"}


def new_figure(
    width: float, height: float, layout: Literal["constrained"] | None = "constrained", dpi: float | None = None
) -> Figure:
    """Return an empty figure of so many inches, which a notebook shows by itself.

    matplotlib is imported here, and not by modules that draw nothing.
    """
    return _shown_figure()(figsize=(width, height), layout=layout, dpi=dpi)


@cache
def _shown_figure() -> type[Figure]:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    class ShownFigure(Figure):
        """A figure that does not need pyplot to be seen, and in which a dollar sign is a dollar sign."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            FigureCanvasAgg(self)

        def draw(self, renderer: Any) -> None:
            # Names of classes, files and factors are data. The labels of ticks are made while drawing, others before.
            for text in self.findobj(Text):
                cast(Text, text).set_parse_math(False)
            with rc_context({"text.parse_math": False}):
                super().draw(renderer)

        def savefig(self, *args: Any, **options: Any) -> None:
            # Matplotlib's stubs list the names of settings.
            with rc_context(cast(Any, PRINT)):
                super().savefig(*args, **options)

        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            drawn(self, self.dpi).save(file, "PNG")
            return file.getvalue()

    return ShownFigure


def drawn(figure: Figure, dpi: float) -> Image.Image:
    """Return a figure of `new_figure` as a picture of so many dots per inch.

    `savefig` would draw it twice, the first time for its layout, which every drawing arranges by itself.
    """
    canvas, before = cast("FigureCanvasAgg", figure.canvas), figure.dpi
    figure.set_dpi(dpi)
    try:
        canvas.draw()
        return Image.fromarray(np.array(canvas.buffer_rgba()))
    finally:
        figure.set_dpi(before)


def letters(size: int) -> ImageFont.FreeTypeFont:
    """Return a font, `size` pixels high, with the letters of most alphabets."""
    # Pillow's own font, `load_default`, has 113 characters: no é, no σ and no arrow.
    return ImageFont.truetype(_font_file(), size)


@cache
def _font_file() -> str:
    below = Path("fonts") / "ttf" / "DejaVuSans.ttf"
    found = find_spec("matplotlib")
    if found is not None and found.origin is not None:
        # Where packages usually lie, so that a grid of images needs no import of a second.
        usual = Path(found.origin).parent / "mpl-data" / below
        if usual.is_file():
            return str(usual)
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / below)
