"""One HTML page that needs no other file, to read on a phone, in the dark and on paper.

No scripts, no addresses: pictures are data URIs, and the page's own policy forbids loading anything. `page.html.j2`
says how every block looks, and Jinja escapes every text there, so that a class called `<script>` is only a name.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from ..errors import DataError
from ..figures.saving import DPI

__all__ = [
    "Block",
    "Column",
    "Commands",
    "Facts",
    "Fault",
    "Heading",
    "Picture",
    "Pictures",
    "Section",
    "SizeBar",
    "Table",
    "Text",
    "page",
    "picture_of",
]

# Wider pictures gain nothing on a screen; larger files are taken as JPEG where that is smaller.
WIDEST, HEAVIEST = 2000, 300_000
# A plot drawn smaller than this part of its size has letters too small to read: it scrolls in its frame instead.
LEAST_PART = 0.62
# Where even that is wider than a phone, the caption says so; one that is little wider is drawn to fit after all.
PHONE, LEAST_ON_PHONE = 330, 0.55
# Columns of texts no longer than this are not broken into lines.
SHORT = 26
# A table of more columns than a phone has room for is stacked there, row under row, unless it has more rows than this
# and no long texts; of no more rows than the third it is kept on one printed page.
NARROW, STACKED, KEPT_TOGETHER = 3, 6, 16
SVG_SIZE = re.compile(rb'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt"')
# A browser would break a line after the hyphens of an option; split by it, a line is text, option, text, …
OPTION = re.compile(r"(?<!\S)(--?[\w-]+)")


class Block:
    """A part of a section."""

    def html(self, mark: str) -> str:
        """Return the block's HTML: what the template's macro of the same name makes of it.

        Args:
            mark: begins the block's ids; it begins with a letter, and no other block has it.
        """
        return getattr(_macros(), type(self).__name__.lower())(self, mark)


@dataclass(frozen=True)
class Section:
    """A part of the page with its entry in the table of contents."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Text(Block):
    """A paragraph; `kind` is `lead`, `soft` (secondary) or empty."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Heading(Block):
    """A heading within a section."""

    text: str


@dataclass(frozen=True)
class Fault(Block):
    """What could not be made, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Facts(Block):
    """Names and what they are, one per line."""

    facts: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """`short` where every fact is."""
        return _if_short(map(shown, self.facts.values()))


@dataclass(frozen=True)
class Column:
    """A column of a table; its `kind` is `number`, `short` or empty, for texts that may be long."""

    name: str
    kind: str

    @property
    def heading(self) -> str:
        """The name as a person writes it."""
        return self.name.replace("_", " ")


@dataclass(frozen=True)
class Table(Block):
    """Rows that map column to value; the first column heads its row. Wider than the page, it scrolls inside itself."""

    title: str
    rows: Sequence[Mapping[str, Any]]

    @property
    def columns(self) -> list[Column]:
        """All columns of the rows, in the order in which they first appear."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        return [Column(name, _column_kind([row.get(name) for row in self.rows])) for name in names]

    @property
    def kinds(self) -> str:
        """How the table behaves on a phone and on paper."""
        columns, has_few_rows = self.columns, len(self.rows) <= STACKED
        is_stacked = len(columns) > NARROW and (has_few_rows or any(not column.kind for column in columns))
        return f"scroll{' stack' * is_stacked}{' whole' * (len(self.rows) <= KEPT_TOGETHER)}"


@dataclass(frozen=True)
class Picture(Block):
    """A picture, with a text for those who cannot see it.

    `data` is a whole PNG, JPEG or SVG file, `size` the width and height in pixels of the page.

    A `plot` holds letters to be read, and is never drawn too small for that.
    """

    data: bytes
    kind: str
    size: tuple[int, int]
    alt: str
    caption: str
    plot: bool = False

    @property
    def address(self) -> str:
        """The file as a data URI."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}"

    @property
    def kinds(self) -> str:
        """How the picture behaves on a phone and on paper."""
        return " ".join(["plot"] * self.plot + ["wide"] * self._scrolls)

    @property
    def least(self) -> int:
        """The least width in pixels at which it is drawn."""
        return round(LEAST_PART * self.size[0]) if self._scrolls else 0

    @property
    def _scrolls(self) -> bool:
        return self.plot and LEAST_ON_PHONE * self.size[0] > PHONE


@dataclass(frozen=True)
class Pictures(Block):
    """Pictures side by side where there is room."""

    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Commands(Block):
    """Command lines to copy: one click marks a whole line. `title` folds them away."""

    lines: Sequence[str]
    title: str = ""


@dataclass(frozen=True)
class SizeBar(Block):
    """Sizes beside each other, in proportion; the one called `rest` is grey."""

    sizes: Mapping[str, int]
    rest: str

    def color(self, name: str) -> str:
        """Return the class that colours this part."""
        return "rest" if name == self.rest else f"c{list(self.sizes).index(name) % 8}"


def page(title: str, opening: Sequence[Block], sections: Sequence[Section]) -> str:
    """Return the whole page: `opening`, a table of contents, the sections."""
    return _macros().page(title, opening, sections)


def picture_of(
    file: Path, alt: str, caption: str, plot: bool = False, inch: int = DPI, dpi: int | None = None
) -> Picture:
    """Read an image file as a picture no larger than a page needs, or an SVG as it is.

    Args:
        inch: how many of the page's pixels an inch of the figure is, on any screen.
        dpi: how many dots an inch of a PNG has; None as many as that.
    """
    if file.suffix == ".svg":
        data = file.read_bytes()
        return Picture(data, "svg+xml", _svg_size(data, inch), alt, caption, plot)
    sharp = (dpi or inch) / inch
    with Image.open(file) as opened:
        image = opened.convert("RGB")
    if image.width > WIDEST * sharp:
        height = round(image.height * WIDEST * sharp / image.width)
        image = image.resize((round(WIDEST * sharp), height), Image.Resampling.LANCZOS)
    data, kind = _encoded(image, "PNG"), "png"
    if len(data) > HEAVIEST * sharp**2:
        smaller = _encoded(image, "JPEG", quality=90, subsampling=0, optimize=True)
        data, kind = (smaller, "jpeg") if len(smaller) < len(data) else (data, kind)
    return Picture(data, kind, (round(image.width / sharp), round(image.height / sharp)), alt, caption, plot)


def shown(value: Any) -> str:
    """Write a value as a person reads it.

    >>> shown(0.123456), shown(None), shown(True), shown(26815488)
    ('0.1235', '–', 'yes', '26,815,488')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    return str(value)


def _svg_size(data: bytes, inch: int) -> tuple[int, int]:
    """Return how large matplotlib says that a figure is, in points, as pixels of the page."""
    found = SVG_SIZE.search(data)
    if found is None:
        raise DataError("a figure says not how large it is")
    width, height = (round(float(points) * inch / 72) for points in found.groups())
    return width, height


@cache
def _macros() -> Any:
    """Return the template's macros, opened once."""
    surroundings = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    surroundings.filters |= {"shown": shown, "around_options": OPTION.split}
    return surroundings.get_template("page.html.j2").module


def _column_kind(values: Sequence[Any]) -> str:
    return "number" if all(_is_number(value) for value in values) else _if_short(map(shown, values))


def _if_short(texts: Iterable[str]) -> str:
    return "short" if all(len(text) <= SHORT for text in texts) else ""


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, form, **options)
    return written.getvalue()
