"""The page's blocks: whole HTML, escaped, named, and to be read in both schemes."""

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from iin_cli.figures.canvas import new_figure
from iin_cli.figures.saving import save_figure
from iin_cli.report import page as module
from iin_cli.report.page import (
    Commands,
    Facts,
    Fault,
    Heading,
    Picture,
    Pictures,
    Section,
    SizeBar,
    Table,
    Text,
    page,
    picture_of,
)

HOSTILE = """<script>alert(1)</script>"'&"""
STYLE = page("", [], []).partition("<style>")[2].partition("</style>")[0]


def parsed(text):
    """Parse a page; it is written so that an XML parser, which forgives nothing, reads it too."""
    return ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>"))


def of_block(block):
    """Parse one block."""
    return ElementTree.fromstring(f"<div>{block.html('t')}</div>")


def png(width, height, noisy=False):
    pixels = np.full((height, width, 3), 200, np.uint8)
    if noisy:
        pixels = np.random.default_rng(0).integers(0, 256, pixels.shape, np.uint8)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


@pytest.fixture
def whole():
    blocks = [
        Text(HOSTILE, "lead"),
        Heading(HOSTILE),
        Facts({HOSTILE: HOSTILE}),
        Table(HOSTILE, [{HOSTILE: HOSTILE, "n": 1, "other": None}]),
        Fault(HOSTILE, HOSTILE),
        Commands([HOSTILE], HOSTILE),
        Commands([HOSTILE]),
        SizeBar({HOSTILE: 1, "residual": 3}, "residual"),
        Picture(png(4, 4), "png", (4, 4), HOSTILE, HOSTILE),
        Pictures([Picture(png(4, 4), "png", (4, 4), HOSTILE, HOSTILE)] * 2),
    ]
    return page(HOSTILE, blocks, [Section(HOSTILE, blocks), Section("again", blocks)])


def test_every_text_is_escaped_and_every_tag_closed(whole):
    tree = parsed(whole)
    assert "<script" not in whole
    assert "script" not in {element.tag for element in tree.iter()}
    texts = "".join(tree.itertext())
    assert texts.count(HOSTILE) > 20
    assert {image.get("alt") for image in tree.iter("img")} == {HOSTILE}


def test_ids_are_unique_and_all_that_is_referred_to_is_there(whole):
    ids = re.findall(r' id="([^"]*)"', whole)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'aria-labelledby="([^"]*)"', whole)) <= set(ids)
    assert re.findall(r'href="#([^"]*)"', whole) == ["s1", "s2"]
    assert set(re.findall(r'href="#([^"]*)"', whole)) <= set(ids)


def test_a_table_shows_numbers_right_and_what_is_missing_as_a_dash():
    rows = [{"name": "a", "x": 0.123456, "note": "short"}, {"name": "b", "x": float("nan"), "note": "long " * 20}]
    found = of_block(Table("title", rows))
    table = next(found.iter("table"))
    assert [head.get("class") for head in table.iter("th") if head.get("scope") == "col"] == ["short", "number", None]
    cells = [["".join(cell.itertext()) for cell in row] for row in table.find("tbody")]
    assert cells[0] == ["a", "0.1235", "short"]
    assert cells[1][1] == "–"
    assert (found.find("p").text, found.find("p").get("id"), table.get("aria-labelledby")) == ("title", "t", "t")


def test_rows_may_lack_columns():
    table = next(of_block(Table("t", [{"a": 1}, {"a": 2, "b": "x"}])).iter("table"))
    assert [["".join(cell.itertext()) for cell in row] for row in table.find("tbody")] == [["1", "–"], ["2", "x"]]


@pytest.mark.parametrize(("columns", "rows", "kinds"), [(3, 2, "whole"), (4, 6, "stack whole"), (4, 17, "")])
def test_a_wide_table_of_few_rows_is_stacked_on_a_phone_and_each_cell_says_what_it_is(columns, rows, kinds):
    found = of_block(Table("t", [{f"a_{column}": 1 for column in range(columns)}] * rows))
    assert found.find("div").get("class").split() == ["scroll", *kinds.split()]
    labels = [cell.get("data-label") for cell in next(found.iter("tbody"))[0].iter("td")]
    assert labels == [f"a {column}" for column in range(1, columns)]
    # A browser takes no stacked table for a table unless it is told so.
    roles = {element.tag: element.get("role") for element in found.iter() if element.tag in ("table", "tr", "td")}
    assert roles == {"table": "table", "tr": "row", "td": "cell"}


def test_a_table_with_sentences_is_stacked_however_long():
    found = of_block(Table("t", [{"a": 1, "b": 2, "c": 3, "why": "because " * 5}] * 30))
    assert found.find("div").get("class") == "scroll stack"


def test_a_command_line_is_whole_and_its_options_are_not_broken():
    line = "iin swap -t 'a -b' --max-seconds 3 --out x-y.png"
    code = next(of_block(Commands([line])).iter("code"))
    assert "".join(code.itertext()) == line
    assert {"-t", "--max-seconds", "--out"} <= {span.text for span in code.iter("span")}
    assert "y.png" not in "".join(span.text for span in code.iter("span"))


def test_only_short_facts_stand_in_two_columns_on_a_phone():
    assert of_block(Facts({"a": 1, "b": "x"})).find("dl").get("class") == "short"
    assert of_block(Facts({"a": 1, "b": "x" * 40})).find("dl").get("class") is None


def test_a_picture_is_the_files_own_pixels(tmp_path):
    (tmp_path / "a.png").write_bytes(png(30, 20))
    picture = picture_of(tmp_path / "a.png", "alt", "caption")
    assert (picture.kind, picture.size) == ("png", (30, 20))
    image = next(ElementTree.fromstring(picture.html("p")).iter("img"))
    head, _, data = image.get("src").partition(",")
    assert head == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), np.full((20, 30, 3), 200))


def test_a_wide_picture_is_made_narrower_and_a_heavy_one_lighter(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WIDEST", 300)
    monkeypatch.setattr(module, "HEAVIEST", 10_000)
    (tmp_path / "a.png").write_bytes(png(600, 200, noisy=True))
    picture = picture_of(tmp_path / "a.png", "alt", "caption")
    assert picture.size == (300, 100)
    assert (picture.kind, picture.data[:2]) == ("jpeg", b"\xff\xd8")
    assert len(picture.data) < len(png(300, 100, noisy=True))


def test_a_picture_is_as_large_on_the_page_whatever_its_format_and_dots(tmp_path):
    figure = new_figure(3, 2)
    for name, dpi in (("a.png", None), ("b.png", 260), ("c.svg", None)):
        save_figure(tmp_path / name, figure, dpi)
    usual, sharp = (
        picture_of(tmp_path / f"{name}.png", "", "", True, dpi=dpi) for name, dpi in (("a", None), ("b", 260))
    )
    drawn = picture_of(tmp_path / "c.svg", "alt", "", True)
    assert usual.size == sharp.size == drawn.size == (390, 260)
    with Image.open(io.BytesIO(sharp.data)) as image:
        assert image.size == (780, 520)
    assert drawn.address.startswith("data:image/svg+xml;base64,")
    assert drawn.data == (tmp_path / "c.svg").read_bytes()


def test_only_a_plot_keeps_a_least_width():
    given = (png(4, 4), "png", (1000, 400), "alt", "caption")
    assert "--least: 0px" in Picture(*given).html("p")
    plot = Picture(*given, plot=True).html("p")
    assert "--least: 620px" in plot
    # And where that is more than a phone has, the caption says so.
    assert 'class="plot wide"' in plot
    assert 'class="plot"' in Picture(png(4, 4), "png", (400, 400), "alt", "caption", plot=True).html("p")


def test_the_style_asks_for_nothing_from_elsewhere(whole):
    assert len(STYLE) > 1000
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert "http" not in STYLE
    assert "default-src 'none'" in whole
    assert STYLE.count("{") == STYLE.count("}")


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(scheme):
    """Contrast of at least 4.5 : 1, the level AA of WCAG 2."""
    colors = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", STYLE.split(":root {")[1 + scheme].partition("}")[0]))
    behind = [(ink, on) for ink in ("ink", "soft", "accent") for on in ("paper", "card", "code")]
    for ink, on in [*behind, ("ink", "fault-card"), ("fault", "fault-card")]:
        dark, bright = sorted((luminance(colors[ink]), luminance(colors[on])))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (ink, on)
