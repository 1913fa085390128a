"""Sheets of images: rows and columns with thin gaps, labels above and beside them; as pixels, or as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .canvas import letters
from .pictures import DOTS_PER_INCH, picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Sheet", "header_sheet", "image_grid", "shortened"]

GAP = 2
SMALLEST_CELL = 64
MARGIN = 6
# Of letters, in pixels, and as a part of a cell.
SMALLEST_FONT, LARGEST_FONT, FONT_SHARE = 11, 15, 1 / 7
# Room between the labels of two columns, in letters.
BETWEEN = 0.6
# Labels at the left take so many pixels at most.
WIDEST_LABEL = 210
SHORTEST = 4


@dataclass(frozen=True, eq=False)
class Sheet:
    """Images in rows and columns on white, with labels.

    Attributes:
        cells: uint8 (R, C, S, S, 3); images below `smallest` pixels are enlarged by a whole factor to at least that.
        row_labels: texts left of the rows, R of them or none.
        column_labels: texts above the columns, C of them or none; one that is wider than its column is cut in its
            middle.
        row_gaps, column_gaps: rows and columns followed by a wide gap.
        row_title, column_title: what rows and columns are, written once beside and above their labels.
    """

    cells: np.ndarray
    row_labels: Sequence[str] = ()
    column_labels: Sequence[str] = ()
    row_gaps: Sequence[int] = ()
    column_gaps: Sequence[int] = ()
    smallest: int = SMALLEST_CELL
    row_title: str = ""
    column_title: str = ""

    def pixels(self, scale: float = 1) -> np.ndarray:
        """Return the sheet as uint8 (H, W, 3), `scale` times as large as on a screen."""
        plan = _Plan.of(self, scale)
        page = Image.fromarray(plan.canvas(self.cells))
        draw = ImageDraw.Draw(page)
        for text in plan.texts:
            if not text.is_upright:
                draw.text((text.x, text.y), text.words, fill="black", font=plan.font, anchor=text.anchor)
            else:
                _draw_upright(page, text, plan.font)
        return np.asarray(page)

    def figure(self) -> Figure:
        """Return the sheet as a figure with labels as text, of the size it has on a screen."""
        plan = _Plan.of(self, 1)
        canvas = plan.canvas(self.cells)
        figure = picture(canvas)
        height, width = canvas.shape[:2]
        across, along = ({"l": "left", "m": "center", "r": "right"}, {"m": "center", "s": "baseline"})
        for text in plan.texts:
            figure.text(
                text.x / width,
                1 - text.y / height,
                text.words,
                # Points, of which there are 72 in an inch.
                fontsize=plan.font.size * 72 / DOTS_PER_INCH,
                ha=across[text.anchor[0]],
                va=along[text.anchor[1]] if not text.is_upright else "center",
                rotation=90 if text.is_upright else 0,
            )
        return figure


def image_grid(
    cells: np.ndarray,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    smallest: int = SMALLEST_CELL,
) -> np.ndarray:
    """Return a `Sheet` of images uint8 (R, C, S, S, 3) as uint8 (H, W, 3)."""
    return Sheet(cells, row_labels, column_labels, smallest=smallest).pixels()


def header_sheet(
    targets: np.ndarray,
    sources: np.ndarray,
    edited: np.ndarray,
    target_labels: Sequence[str] = (),
    source_labels: Sequence[str] = (),
    title: str = "source",
) -> Sheet:
    """Lay out edits as in Fig 2: targets down the left column, sources along the top row, (i, j) edited from both.

    Args:
        targets: uint8 (T, S, S, 3).
        sources: uint8 (U, S, S, 3).
        edited: uint8 (T, U, S, S, 3).
        target_labels, source_labels: T and U names, or none.
        title: what is taken from the sources.
    """
    size = targets.shape[1]
    corner = np.full((1, size, size, 3), 255, np.uint8)
    first_row = np.concatenate((corner, sources))[None]
    body = np.concatenate((targets[:, None], edited), axis=1)
    return Sheet(
        np.concatenate((first_row, body)),
        row_labels=["", *target_labels] if target_labels else (),
        column_labels=["", *source_labels] if source_labels else (),
        row_gaps=(0,),
        column_gaps=(0,),
        row_title="target",
        column_title=title,
    )


def shortened(font: ImageFont.FreeTypeFont, text: str, room: float) -> str:
    """Cut a text in its middle to `room` pixels: file names differ at their ends.

    >>> font = letters(11)
    >>> shortened(font, "short", 200), shortened(font, "a-very-long-name-7.png", 60)
    ('short', 'a-ve….png')
    """
    if font.getlength(text) <= room:
        return text
    for kept in range(len(text) - 1, SHORTEST - 1, -1):
        end = kept // 2 + kept % 2
        cut = f"{text[: kept - end]}…{text[len(text) - end :]}"
        if font.getlength(cut) <= room:
            return cut
    return f"{text[: SHORTEST - 1]}…"


@dataclass(frozen=True)
class _Text:
    """Words at a place in pixels; the anchor is Pillow's, of the text as it is read."""

    words: str
    x: float
    y: float
    anchor: str
    is_upright: bool = False


@dataclass(frozen=True)
class _Plan:
    """Where everything on a sheet stands, in pixels."""

    zoom: int
    xs: list[int]
    ys: list[int]
    width: int
    height: int
    font: ImageFont.FreeTypeFont
    texts: list[_Text]

    @classmethod
    def of(cls, sheet: Sheet, scale: float) -> _Plan:
        rows, columns, size = sheet.cells.shape[:3]
        zoom = max(1, round(-(-sheet.smallest // size) * scale))
        side, gap, margin = size * zoom, max(1, round(GAP * scale)), round(MARGIN * scale)
        size_of_letters = np.clip(side * FONT_SHARE, SMALLEST_FONT * scale, LARGEST_FONT * scale)
        font = letters(round(float(size_of_letters)))
        line = sum(font.getmetrics())
        beside = [shortened(font, text, WIDEST_LABEL * scale) for text in sheet.row_labels]
        above = [shortened(font, text, side - BETWEEN * font.size) for text in sheet.column_labels]
        widest = max((font.getlength(text) for text in beside), default=0.0)
        # Titles take a line of their own, before the labels, and stand over the middle of what follows a wide gap.
        left = _room([line] * bool(sheet.row_title) + [int(widest) + 1] * (widest > 0), margin, gap)
        top = _room([line] * bool(sheet.column_title) + [line] * any(above), margin, gap)
        xs, width = _offsets(columns, side, left, gap, sheet.column_gaps)
        ys, height = _offsets(rows, side, top, gap, sheet.row_gaps)
        base = font.getmetrics()[0]
        texts = [_Text(text, left - margin, y + side // 2, "rm") for text, y in zip(beside, ys, strict=bool(beside))]
        texts += [_Text(text, x + side // 2, top - margin, "ms") for text, x in zip(above, xs, strict=bool(above))]
        if sheet.column_title:
            first = xs[1] if 0 in sheet.column_gaps and columns > 1 else xs[0]
            last = xs[-2] if columns - 2 in sheet.column_gaps and columns > 2 else xs[-1]
            texts.append(_Text(sheet.column_title, (first + last + side) // 2, margin + base, "ms"))
            width = max(width, round(xs[0] + font.getlength(sheet.column_title)) + margin)
        if sheet.row_title:
            first = ys[1] if 0 in sheet.row_gaps and rows > 1 else ys[0]
            texts.append(_Text(sheet.row_title, margin + line // 2, (first + ys[-1] + side) // 2, "mm", True))
        return cls(zoom, xs, ys, width, height, font, [text for text in texts if text.words])

    def canvas(self, cells: np.ndarray) -> np.ndarray:
        """Return the images without any text, uint8 (H, W, 3)."""
        canvas = np.full((self.height, self.width, 3), 255, np.uint8)
        for y, row in zip(self.ys, cells, strict=True):
            for x, image in zip(self.xs, row, strict=True):
                large = image.repeat(self.zoom, 0).repeat(self.zoom, 1)
                canvas[y : y + len(large), x : x + len(large)] = large
        return canvas


def _draw_upright(page: Image.Image, text: _Text, font: ImageFont.FreeTypeFont) -> None:
    """Draw words that are read from below, their middle at the text's place."""
    box = (int(font.getlength(text.words)) + 2, sum(font.getmetrics()))
    strip = Image.new("RGB", box, "white")
    ImageDraw.Draw(strip).text((box[0] // 2, box[1] // 2), text.words, fill="black", font=font, anchor="mm")
    strip = strip.rotate(90, expand=True)
    page.paste(strip, (round(text.x - strip.width / 2), round(text.y - strip.height / 2)))


def _room(parts: Sequence[int], margin: int, gap: int) -> int:
    """Return how much room texts take with a margin round all and half of it between, or only a gap without any."""
    return sum(parts) + 2 * margin + (len(parts) - 1) * margin // 2 if parts else gap


def _offsets(count: int, side: int, start: int, gap: int, wide_after: Sequence[int]) -> tuple[list[int], int]:
    """Return where each of `count` cells begins, and where the page ends."""
    places, at = [], start
    for index in range(count):
        places.append(at)
        at += side + (6 * gap if index in wide_after else gap)
    return places, places[-1] + side + gap
