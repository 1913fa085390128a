"""Write figures and pages of images as PNG, PDF or SVG, as the file's ending says; equal ones give equal bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..io.atomic import write_atomically
from .canvas import drawn
from .grids import Sheet
from .pictures import DOTS_PER_INCH, picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["save_figure", "save_page", "save_png"]

# Of a PNG that is looked at on a screen.
DPI = 130
# The date, which would make equal figures differ.
UNDATED: dict[str, dict[str, Any]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


def save_figure(path: Path, figure: Figure, dpi: int | None = None) -> None:
    """Write a figure as `.png`, `.pdf` or `.svg`, whole or not at all.

    Args:
        dpi: dots per inch of a PNG, and of pictures in the others that are drawn at another size than their own.
    """
    kind = path.suffix.lower()
    with write_atomically(path) as temporary:
        if kind in UNDATED:
            figure.savefig(temporary, format=kind[1:], dpi=dpi or DPI, metadata=UNDATED[kind])
        else:
            drawn(figure, dpi or DPI).save(temporary, "PNG", dpi=(dpi or DPI, dpi or DPI))


def save_page(path: Path, page: Sheet | np.ndarray, dpi: int | None = None) -> None:
    """Write a sheet of images, or one image uint8 (H, W, 3), as `.png`, `.pdf` or `.svg`, whole or not at all.

    Args:
        dpi: dots per inch of a PNG of a sheet; images are enlarged by whole factors, so that no pixel is blurred. One
            image keeps its pixels, and is as large on paper as they are then.
    """
    if path.suffix.lower() not in UNDATED:
        pixels = page.pixels((dpi or DOTS_PER_INCH) / DOTS_PER_INCH) if isinstance(page, Sheet) else page
        save_png(path, pixels, dpi)
    elif isinstance(page, Sheet):
        # At another resolution than its own some pixels would become wider than others.
        save_figure(path, page.figure(), DOTS_PER_INCH)
    else:
        save_figure(path, picture(page, dpi or DOTS_PER_INCH), dpi or DOTS_PER_INCH)


def save_png(path: Path, pixels: np.ndarray, dpi: int | None = None) -> None:
    """Write uint8 (H, W, 3) as PNG, whole or not at all; `dpi` is recorded and changes no pixel."""
    with write_atomically(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", **({"dpi": (dpi, dpi)} if dpi else {}))
