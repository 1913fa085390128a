"""A page to read: one HTML file that needs nothing else, on a phone, in the dark and on paper.

No scripts, no addresses: pictures are data URIs, and the page's own policy forbids to load anything. Every text is
escaped here, so that a class called `<script>` is a name and nothing more.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
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
    "Pictures",
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
LEAST_PART = 0.62
# Where even that is wider than a phone, the caption says so; one that is little wider is drawn to fit after all.
PHONE, LEAST_ON_PHONE = 330, 0.55
# Columns of texts no longer than this are not broken into lines.
SHORT = 26
# A table of more columns than a phone has room for is stacked there, row under row, unless it has more rows than this
# and no long texts; of no more rows than the third it is kept on one printed page.
NARROW, STACKED, KEPT_TOGETHER = 3, 6, 16
# A sign before a line break is no place to break an option at.
OPTION = re.compile(r"(?<!\S)--?[\w-]+")


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
        texts = {key: shown(value) for key, value in self.facts.items()}
        lines = (f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in texts.items())
        return f"<dl{_class(_if_short(texts.values()))}>{''.join(lines)}</dl>"


@dataclass(frozen=True)
class Table:
    """Rows that map column to value; the first column heads its row."""

    title: str
    rows: Sequence[Mapping[str, Any]]

    def html(self, mark: str) -> str:
        """Return the block's HTML, which scrolls inside itself where it is wider than the page.

        Roles are said outright, since a browser forgets that a stacked table is one.
        """
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        classes = {column: _column_class([row.get(column) for row in self.rows]) for column in columns}
        head = "".join(
            f'<th scope="col" role="columnheader"{_class(classes[column])}>{escape(_heading(column))}</th>'
            for column in columns
        )
        body = "".join(f'<tr role="row">{_cells(row, columns, classes)}</tr>' for row in self.rows)
        kinds, has_texts = ["scroll"], "" in classes.values()
        kinds += ["stack"] if len(columns) > NARROW and (has_texts or len(self.rows) <= STACKED) else []
        kinds += ["whole"] if len(self.rows) <= KEPT_TOGETHER else []
        return (
            f'<p class="caption" id="{mark}">{escape(self.title)}</p>'
            f'<div class="{" ".join(kinds)}" role="region" aria-labelledby="{mark}" tabindex="0">'
            f'<table role="table" aria-labelledby="{mark}">'
            f'<thead role="rowgroup"><tr role="row">{head}</tr></thead><tbody role="rowgroup">{body}</tbody>'
            "</table></div>"
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
        scrolls = self.plot and LEAST_ON_PHONE * width > PHONE
        least = round(LEAST_PART * width) if scrolls else 0
        kinds = [*(["plot"] if self.plot else []), *(["wide"] if scrolls else [])]
        figure = f"<figure{_class(' '.join(kinds))}>"
        return (
            f'{figure}<div class="scroll" role="group" aria-labelledby="{mark}" tabindex="0">'
            f'<img src="{address}" alt="{escape(self.alt)}" width="{width}" height="{height}" '
            f'style="--wide: {width}px; --least: {least}px"/></div>'
            f'<figcaption id="{mark}">{escape(self.caption)}</figcaption></figure>'
        )


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side where there is room."""

    pictures: Sequence[Picture]

    def html(self, mark: str) -> str:
        """Return the block's HTML."""
        parts = (picture.html(f"{mark}-{number}") for number, picture in enumerate(self.pictures, 1))
        return f'<div class="pictures">{"".join(parts)}</div>'


@dataclass(frozen=True)
class Commands:
    """Command lines to copy: one click marks a whole line. `title` folds them away."""

    lines: Sequence[str]
    title: str = ""

    def html(self, mark: str) -> str:
        """Return the block's HTML."""
        code = "".join(f"<pre><code>{_unbroken(line)}</code></pre>" for line in self.lines)
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
    cells = [f'<th scope="row" role="rowheader"{_class(classes[first])}>{escape(shown(row.get(first)))}</th>']
    for column in others:
        value = row.get(column)
        kind = _class(f"{classes[column]} none".strip() if value is None else classes[column])
        # Stacked, a cell has no head above it and says itself what it is.
        label = escape(_heading(column))
        cells.append(f'<td role="cell"{kind} data-label="{label}"><span>{escape(shown(value))}</span></td>')
    return "".join(cells)


def _heading(column: str) -> str:
    return column.replace("_", " ")


def _column_class(values: Sequence[Any]) -> str:
    return "number" if all(_is_number(value) for value in values) else _if_short(map(shown, values))


def _if_short(texts: Iterable[str]) -> str:
    return "short" if all(len(text) <= SHORT for text in texts) else ""


def _unbroken(line: str) -> str:
    """Escape a command line such that no option is broken after its hyphens."""
    parts, end = [], 0
    for option in OPTION.finditer(line):
        parts += [escape(line[end : option.start()]), f"<span>{escape(option[0])}</span>"]
        end = option.end()
    return "".join([*parts, escape(line[end:])])


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, form, **options)
    return written.getvalue()
