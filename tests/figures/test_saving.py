"""Figures as files: the format that the name says, fonts that editors read, equal bytes."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from iin_cli.errors import UsageError
from iin_cli.figures.canvas import new_figure
from iin_cli.figures.grids import Sheet
from iin_cli.figures.saving import save_figure, save_page


def figure(text="σ → $1 é"):
    drawn = new_figure(3, 2)
    panel = drawn.subplots()
    panel.plot([0, 1], [0, 1], label=text)
    panel.set_title(text)
    panel.legend()
    return drawn


def sheet():
    cells = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), dtype=np.uint8)
    return Sheet(cells, ["first", "second"], ["a", "b", "c"], (), (), row_title="rows", column_title="columns")


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
@pytest.mark.parametrize("make", [figure, sheet])
def test_equal_figures_are_equal_files(tmp_path, make, ending):
    for name in ("a", "b"):
        file, drawn = tmp_path / f"{name}.{ending}", make()
        save_page(file, drawn) if isinstance(drawn, Sheet) else save_figure(file, drawn)
    content = (tmp_path / f"a.{ending}").read_bytes()
    assert content == (tmp_path / f"b.{ending}").read_bytes()
    assert not re.search(rb"20[2-9]\d-\d\d-\d\d|CreationDate|dc:date", content)
    assert content.startswith({"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[ending])


def test_fonts_are_embedded_as_truetype(tmp_path):
    for name in ("figure", "sheet"):
        file = tmp_path / f"{name}.pdf"
        save_figure(file, figure()) if name == "figure" else save_page(file, sheet())
        content = file.read_bytes()
        assert b"/FontFile2" in content
        assert b"/CIDFontType2" in content
        assert b"/Type3" not in content


def test_a_figure_saved_in_a_notebook_has_the_same_fonts(tmp_path):
    figure().savefig(tmp_path / "mine.pdf")
    assert b"/FontFile2" in (tmp_path / "mine.pdf").read_bytes()


def test_dots_per_inch(tmp_path):
    save_figure(tmp_path / "small.png", figure(), 50)
    save_figure(tmp_path / "large.png", figure(), 200)
    with Image.open(tmp_path / "small.png") as small, Image.open(tmp_path / "large.png") as large:
        assert (small.size, large.size) == ((150, 100), (600, 400))
        assert large.info["dpi"] == pytest.approx((200, 200), abs=0.1)


def test_a_sheet_of_more_dots_has_larger_letters_and_pixels_by_whole_factors(tmp_path):
    save_page(tmp_path / "screen.png", sheet())
    save_page(tmp_path / "print.png", sheet(), 300)
    with Image.open(tmp_path / "screen.png") as screen, Image.open(tmp_path / "print.png") as printed:
        assert printed.width == pytest.approx(3 * screen.width, rel=0.02)
        assert printed.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        corner = np.asarray(printed)[-12 - 6 : -6, -12 - 6 : -6]
    # The last pixel of the last image, 4 · 3 = 12 dots wide.
    assert (corner == sheet().cells[1, 2, -1, -1]).all()


def embedded(file):
    """The picture within an SVG, whose rows matplotlib writes from below."""
    data = re.search(r'xlink:href="data:image/png;base64,([^"]+)"', file.read_text(encoding="utf-8"))
    with Image.open(io.BytesIO(base64.b64decode(data[1]))) as image:
        return np.asarray(image.convert("RGB"))[::-1]


def test_no_pixel_of_an_svg_is_wider_than_another(tmp_path):
    save_page(tmp_path / "sheet.svg", sheet(), 300)
    # Labels are text; the images are those of the screen.
    assert (embedded(tmp_path / "sheet.svg")[-4 - 2 : -2, -4 - 2 : -2] == sheet().cells[1, 2, -1, -1]).all()
    image = sheet().cells[0, 0]
    save_page(tmp_path / "one.svg", image)
    assert np.array_equal(embedded(tmp_path / "one.svg"), image)


def test_one_image_keeps_its_pixels_and_is_as_large_as_its_dots_say(tmp_path):
    image = sheet().cells[0, 0]
    for ending in ("png", "svg"):
        save_page(tmp_path / f"a.{ending}", image, 50)
    with Image.open(tmp_path / "a.png") as written:
        assert np.array_equal(np.asarray(written), image)
        assert written.info["dpi"] == pytest.approx((50, 50), abs=0.1)
    assert np.array_equal(embedded(tmp_path / "a.svg"), image)
    # 16 pixels are 0.32 inches, of 72 points each.
    assert 'width="23.04pt" height="23.04pt"' in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_a_sheet_as_a_figure_has_its_labels_as_text(tmp_path):
    page = sheet().figure()
    assert sorted(text.get_text() for text in page.texts) == ["a", "b", "c", "columns", "first", "rows", "second"]
    height, width = sheet().pixels().shape[:2]
    assert page.get_size_inches().tolist() == pytest.approx([width / 100, height / 100])


def test_one_image_stays_pixel_by_pixel(tmp_path):
    pixels = sheet().cells[0, 0]
    save_page(tmp_path / "one.png", pixels, 300)
    with Image.open(tmp_path / "one.png") as image:
        assert (np.asarray(image) == pixels).all()
    save_page(tmp_path / "one.pdf", pixels)
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for ending in ("png", "pdf"):
        with pytest.raises(UsageError, match="cannot write"):
            save_figure(tmp_path / "file" / f"x.{ending}", figure())
