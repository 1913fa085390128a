"""Grids of images: rows and columns with thin gaps, labels above and beside them, saved as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..io.atomic import write_atomically
from .canvas import letters

__all__ = ["header_grid", "image_grid", "save_png"]

GAP = 2
SMALLEST_CELL = 64
MARGIN = 6


def image_grid(
    cells: np.ndarray,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    row_gaps: Sequence[int] = (),
    column_gaps: Sequence[int] = (),
    smallest: int = SMALLEST_CELL,
) -> np.ndarray:
    """Lay images out as a grid on white.

    Args:
        cells: uint8 (R, C, S, S, 3); images below `smallest` pixels are enlarged by a whole factor to at least that.
        row_labels: texts left of the rows, R of them or none.
        column_labels: texts above the columns, C of them or none.
        row_gaps, column_gaps: rows and columns followed by a wide gap.

    Returns uint8 (H, W, 3).
    """
    rows, columns = cells.shape[:2]
    zoom = -(-smallest // cells.shape[2])
    side = cells.shape[2] * zoom
    font = letters(max(11, side // 7))
    left = max((_text_width(font, text) + 2 * MARGIN for text in row_labels), default=GAP)
    top = _line_height(font) + 2 * MARGIN if any(column_labels) else GAP
    xs, width = _offsets(columns, side, left, column_gaps)
    ys, height = _offsets(rows, side, top, row_gaps)
    canvas = np.full((height, width, 3), 255, np.uint8)
    for y, row in zip(ys, cells, strict=True):
        for x, image in zip(xs, row, strict=True):
            canvas[y : y + side, x : x + side] = image.repeat(zoom, 0).repeat(zoom, 1)
    page = Image.fromarray(canvas)
    draw = ImageDraw.Draw(page)
    for text, y in zip(row_labels, ys, strict=bool(row_labels)):
        draw.text((left - MARGIN, y + side // 2), text, fill="black", font=font, anchor="rm")
    for text, x in zip(column_labels, xs, strict=bool(column_labels)):
        draw.text((x + side // 2, top - MARGIN), text, fill="black", font=font, anchor="ms")
    return np.asarray(page)


def header_grid(targets: np.ndarray, sources: np.ndarray, edited: np.ndarray, top: str = "source") -> np.ndarray:
    """Lay out edits as in Fig 2: targets down the left column, sources along the top row, (i, j) edited from both.

    Args:
        targets: uint8 (T, S, S, 3).
        sources: uint8 (U, S, S, 3).
        edited: uint8 (T, U, S, S, 3).
        top: label of the sources.

    Returns uint8 (H, W, 3).
    """
    size = targets.shape[1]
    corner = np.full((1, size, size, 3), 255, np.uint8)
    first_row = np.concatenate((corner, sources))[None]
    body = np.concatenate((targets[:, None], edited), axis=1)
    return image_grid(
        np.concatenate((first_row, body)),
        row_labels=["", *["target"] * len(targets)],
        column_labels=["", *[top] * len(sources)],
        row_gaps=(0,),
        column_gaps=(0,),
    )


def save_png(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 (H, W, 3) as PNG, whole or not at all."""
    with write_atomically(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


def _offsets(count: int, side: int, start: int, wide_after: Sequence[int]) -> tuple[list[int], int]:
    """Return where each of `count` cells begins, and where the page ends."""
    places, at = [], start
    for index in range(count):
        places.append(at)
        at += side + (6 * GAP if index in wide_after else GAP)
    return places, places[-1] + side + GAP


def _text_width(font: ImageFont.FreeTypeFont, text: str) -> int:
    return int(font.getlength(text)) + 1


def _line_height(font: ImageFont.FreeTypeFont) -> int:
    ascent, descent = font.getmetrics()
    return ascent + descent
