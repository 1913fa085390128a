"""A page to read: one HTML file that needs nothing else, on a phone, in the dark and on paper.

No scripts, no addresses: pictures are data URIs, and the page's own policy forbids to load anything. Every text is
escaped here, so that a class called `<script>` is a name and nothing more.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

__all__ = [
    "Bar",
    "Block",
    "Commands",
    "Facts",
    "Failure",
    "Heading",
    "Picture",
    "Section",
    "Table",
    "Text",
    "page",
    "picture_of",
]

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# Wider pictures gain nothing on a screen; larger files are taken as JPEG where that is smaller.
WIDEST, HEAVIEST = 2000, 300_000
# A plot drawn smaller than this part of its size has letters too small to read: it scrolls in its frame instead.
LEAST_PART = 0.65
# Columns of texts no longer than this are not broken into lines.
SHORT = 26


class Block(Protocol):
    """A part of a section."""

    def html(self, mark: str) -> str:
        """Return the block's HTML; `mark` begins with a letter, is the block's own, and begins its ids."""
        ...


@dataclass(frozen=True)
class Section:
    """A part of the page with its entry in the table of contents."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Text:
    """A paragraph; `kind` is `lead`, `soft` (secondary) or empty."""

    text: str
    kind: str = ""

    def html(self, mark: str) -> str:
        """Return the block's HTML."""
        return f"<p{_class(self.kind)}>{escape(self.text)}</p>"


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str

    def html(self, mark: str) -> str:
        """Return the block's HTML."""
        return f"<h3>{escape(self.text)}</h3>"


@dataclass(frozen=True)
class Failure:
    """What could not be made, and why."""

    what: str
    why: str

    def html(self, mark: str) -> str:
        """Return the block's HTML."""
        return f'<p class="fault"><strong>{escape(self.what)}</strong>: {escape(self.why)}</p>'


@dataclass(frozen=True)
class Facts:
    """Names and what they are, one a line."""

    facts: Mapping[str, Any]

    def html(self, mark: str) -> str:
        """Return the block's HTML."""
        lines = (f"<dt>{escape(key)}</dt><dd>{escape(shown(value))}</dd>" for key, value in self.facts.items())
        return f"<dl>{''.join(lines)}</dl>"


@dataclass(frozen=True)
class Table:
    """Rows that map column to value; the first column heads its row."""

    title: str
    rows: Sequence[Mapping[str, Any]]

    def html(self, mark: str) -> str:
        """Return the block's HTML, which scrolls inside itself where it is wider than the page."""
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        classes = {column: _class(_column_class([row.get(column) for row in self.rows])) for column in columns}
        head = "".join(
            f'<th scope="col"{classes[column]}>{escape(column.replace("_", " "))}</th>' for column in columns
        )
        body = "".join(f"<tr>{_cells(row, columns, classes)}</tr>" for row in self.rows)
        return (
            f'<div class="scroll" role="region" aria-labelledby="{mark}" tabindex="0"><table>'
            f'<caption id="{mark}">{escape(self.title)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )


@dataclass(frozen=True)
class Picture:
    """A picture with a text for who cannot see it; `data` is a whole PNG or JPEG file, `size` width and height.

    A `plot` holds letters to be read, and is never drawn too small for that.
    """

    data: bytes
    kind: str
    size: tuple[int, int]
    alt: str
    caption: str
    plot: bool = False

    def html(self, mark: str) -> str:
        """Return the block's HTML: a white card, since the pictures are white, in light and dark alike."""
        address = f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}"
        width, height = self.size
        least = round(LEAST_PART * width) if self.plot else 0
        figure = f"<figure{_class('plot' if self.plot else '')}>"
        return (
            f'{figure}<div class="scroll" role="group" aria-labelledby="{mark}" tabindex="0">'
            f'<img src="{address}" alt="{escape(self.alt)}" width="{width}" height="{height}" '
            f'style="--wide: {width}px; --least: {least}px"/></div>'
            f'<figcaption id="{mark}">{escape(self.caption)}</figcaption></figure>'
        )


@dataclass(frozen=True)
class Commands:
    """Command lines to copy: one click marks a whole line. `title` folds them away."""

    lines: Sequence[str]
    title: str = ""

    def html(self, mark: str) -> str:
        """Return the block's HTML."""
        code = "".join(f"<pre><code>{escape(line)}</code></pre>" for line in self.lines)
        return f'<details open=""><summary>{escape(self.title)}</summary>{code}</details>' if self.title else code


@dataclass(frozen=True)
class Bar:
    """Sizes beside each other, in proportion; the one called `rest` is grey."""

    sizes: Mapping[str, int]
    rest: str

    def html(self, mark: str) -> str:
        """Return the block's HTML."""
        colors = {name: "rest" if name == self.rest else f"c{i % 8}" for i, name in enumerate(self.sizes)}
        total = sum(self.sizes.values())
        parts = "".join(
            f'<span class="{colors[name]}" style="flex-grow: {size}"></span>' for name, size in self.sizes.items()
        )
        key = "".join(
            f'<li><i class="{colors[name]}" aria-hidden="true"></i>{escape(name)} {size} ({size / total:.0%})</li>'
            for name, size in self.sizes.items()
        )
        # The list below it says in words what the bar shows.
        return f'<div class="bar" aria-hidden="true">{parts}</div><ul class="key">{key}</ul>'


def page(title: str, opening: Sequence[Block], sections: Sequence[Section]) -> str:
    """Return the whole page: `opening`, a table of contents, the sections."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    contents = "".join(
        f'<li><a href="#s{number}">{escape(section.title)}</a></li>' for number, section in enumerate(sections, 1)
    )
    body = "\n".join(
        f'<section aria-labelledby="s{number}"><h2 id="s{number}">{escape(section.title)}</h2>\n'
        f"{_blocks(section.blocks, f's{number}')}\n</section>"
        for number, section in enumerate(sections, 1)
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        '<meta name="color-scheme" content="light dark"/>\n'
        # Without one a browser asks the server for an icon.
        f'<link rel="icon" href="data:,"/>\n<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n'
        f"<body>\n<header>\n<h1>{escape(title)}</h1>\n{_blocks(opening, 'top')}\n</header>\n"
        f'<nav aria-label="Contents"><p>Contents</p><ol>{contents}</ol></nav>\n'
        f"<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def picture_of(file: Path, alt: str, caption: str, plot: bool = False) -> Picture:
    """Read an image file as a picture no larger than a page has use for."""
    with Image.open(file) as opened:
        image = opened.convert("RGB")
    if image.width > WIDEST:
        image = image.resize((WIDEST, round(image.height * WIDEST / image.width)), Image.Resampling.LANCZOS)
    data, kind = _encoded(image, "PNG", optimize=True), "png"
    if len(data) > HEAVIEST:
        smaller = _encoded(image, "JPEG", quality=90, subsampling=0, optimize=True)
        data, kind = (smaller, "jpeg") if len(smaller) < len(data) else (data, kind)
    return Picture(data, kind, image.size, alt, caption, plot)


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


def _blocks(blocks: Sequence[Block], mark: str) -> str:
    return "\n".join(block.html(f"{mark}-{number}") for number, block in enumerate(blocks, 1))


def _cells(row: Mapping[str, Any], columns: Sequence[str], classes: Mapping[str, str]) -> str:
    first, *others = columns
    head = f'<th scope="row"{classes[first]}>{escape(shown(row.get(first)))}</th>'
    return head + "".join(f"<td{classes[column]}>{escape(shown(row.get(column)))}</td>" for column in others)


def _column_class(values: Sequence[Any]) -> str:
    if all(_is_number(value) for value in values):
        return "number"
    return "short" if all(len(shown(value)) <= SHORT for value in values) else ""


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, form, **options)
    return written.getvalue()
