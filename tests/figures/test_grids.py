import os
import stat

import numpy as np
import pytest
from PIL import Image

from iin_cli.errors import UsageError
from iin_cli.figures.grids import GAP, Sheet, header_sheet, image_grid, letters, shortened
from iin_cli.figures.saving import save_png


def cells(rows, columns, size=64, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, size, size, 3), dtype=np.uint8)


def test_every_image_is_there_whole_and_the_gaps_are_white():
    images = cells(2, 3)
    page = image_grid(images)
    assert page.shape == (2 * 64 + 3 * GAP, 3 * 64 + 4 * GAP, 3)
    for row in range(2):
        for column in range(3):
            y, x = GAP + row * (64 + GAP), GAP + column * (64 + GAP)
            assert (page[y : y + 64, x : x + 64] == images[row, column]).all()
    total = images.astype(int).sum() + 255 * (page.size - images.size)
    assert page.astype(int).sum() == total


def test_small_images_are_enlarged_without_blur():
    images = cells(1, 1, size=20)
    page = image_grid(images)
    assert page.shape[0] == 80 + 2 * GAP
    assert (page[GAP : GAP + 80 : 4, GAP : GAP + 80 : 4] == images[0, 0]).all()
    assert len(np.unique(page.reshape(-1, 3), axis=0)) <= len(np.unique(images.reshape(-1, 3), axis=0)) + 1


def test_the_smallest_side_can_be_asked_for():
    images = cells(1, 2, size=20)
    assert image_grid(images, smallest=128).shape[0] == 140 + 2 * GAP
    assert image_grid(images, smallest=10).shape[0] == 20 + 2 * GAP


def test_labels_take_room_of_their_own():
    images = cells(2, 2)
    page = image_grid(images, ["first", "second"], ["a", "b"])
    plain = image_grid(images)
    top, left = page.shape[0] - plain.shape[0], page.shape[1] - plain.shape[1]
    assert top > 0 < left
    assert (page[top + GAP :, left + GAP :] == plain[GAP:, GAP:]).all()
    assert page[:, : left + GAP].min() < 128
    assert page[: top + GAP].min() < 128


def test_the_grid_of_fig_2_has_targets_left_sources_above_and_edits_between():
    targets, sources = cells(1, 2)[0], cells(1, 3, seed=1)[0]
    edited = cells(2, 3, seed=2)
    page = header_sheet(targets, sources, edited).pixels()
    found = {}
    for name, image in {"target": targets[1], "source": sources[2], "edit": edited[1, 2]}.items():
        window = np.lib.stride_tricks.sliding_window_view(page, image.shape)[:, :, 0]
        y, x = np.argwhere((window[:, :, 0, 0] == image[0, 0]).all(-1) & (window == image).all((2, 3, 4)))[0]
        found[name] = (int(y), int(x))
    assert found["edit"] == (found["target"][0], found["source"][1])
    assert found["target"][1] < found["edit"][1]
    assert found["source"][0] < found["edit"][0]


def test_long_labels_are_cut_in_their_middle_and_none_reaches_the_next_column():
    font = letters(11)
    name = "n02099601_10829_293_131.jpg"
    cut = shortened(font, name, 100)
    assert font.getlength(cut) <= 100
    head, end = cut.split("…")
    assert name.startswith(head)
    assert name.endswith(end)
    assert abs(len(head) - len(end)) <= 1
    assert shortened(font, "cat", 100) == "cat"
    page = Sheet(cells(1, 2), (), [name, name]).pixels()
    above = page[: page.shape[0] - 64 - GAP].min((0, 2))
    # White between the two.
    assert above[GAP + 64 - 2 : 2 * GAP + 64 + 2].min() == 255
    assert above.min() < 128
    wide = Sheet(cells(1, 1), ["x" * 500]).pixels()
    assert wide.shape[1] < 64 + 240


def test_titles_stand_over_what_they_are_of():
    targets, sources = cells(1, 2)[0], cells(1, 3, seed=1)[0]
    plain = header_sheet(targets, sources, cells(2, 3, seed=2), "ab", "cde", "").pixels()
    titled = header_sheet(targets, sources, cells(2, 3, seed=2), "ab", "cde", "digit of").pixels()
    added = titled.shape[0] - plain.shape[0]
    assert added > 10
    assert (titled[added + 30 :, 40:] == plain[30:, 40:]).all()
    dark = np.flatnonzero(titled[:added].min((0, 2)) < 128)
    # The middle of the three columns of sources, of which each is 64 wide.
    assert (dark.min() + dark.max()) / 2 == pytest.approx(titled.shape[1] - GAP - (3 * 64 + 2 * GAP) / 2, abs=3)


def test_saved_whole_with_the_mode_of_the_umask(tmp_path):
    page = image_grid(cells(1, 2))
    save_png(tmp_path / "grid.png", page)
    assert (np.asarray(Image.open(tmp_path / "grid.png")) == page).all()
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "grid.png").stat().st_mode) == 0o666 & ~umask
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        save_png(tmp_path / "file" / "grid.png", page)
