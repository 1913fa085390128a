"""Effects of real edits against planted ones."""

import numpy as np
import pytest

from iin_cli.metrics.reality import EditFigures, real_effect, share_interval


def figures(moved, reproduced):
    moved, reproduced = np.asarray(moved, float), np.asarray(reproduced, float)
    return EditFigures(moved, reproduced, reproduced, np.zeros(len(moved)))


def test_a_share_is_of_what_moves_and_not_of_the_images():
    moved = np.arange(40) < 20
    reproduced = np.arange(40) < 15
    images = np.arange(40)
    found = real_effect(figures(moved, reproduced), images, np.full(40, "greyscale"))
    assert (found.edited.value, found.edited.items, found.moving) == (0.5, 40, 20)
    assert found.share.value == pytest.approx(0.75)
    assert found.share.low < 0.75 < found.share.high
    assert found.by_chance.value == 0
    assert found.variants == {}


def test_an_image_counts_once_however_often_it_is_edited():
    # Image 0 is edited four times, the others once.
    image = np.array([0, 0, 0, 0, 1, 2, 3, 4, 5, 6])
    moved = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    variant = np.array(["a", "b", "c", "d", *["a"] * 6])
    found = real_effect(figures(moved, moved), image, variant)
    assert (found.edited.value, found.edited.items) == (pytest.approx(1 / 7), 7)
    assert list(found.variants) == ["a", "b", "c", "d"]
    assert (found.variants["a"].edited.value, found.variants["b"].edited.items) == (pytest.approx(1 / 7), 1)
    assert set(found.as_dict()["variants"]["a"]) == {"edited", "exchanged", "share", "share_by_chance", "moving"}


def test_of_too_few_moving_images_no_share_is_told():
    assert share_interval(np.ones(5), np.ones(5)) is None
    assert share_interval(np.zeros(50), np.zeros(50)) is None
    assert share_interval(np.zeros(6), np.ones(6)).value == 0
    # An exchange that leads away from the edited image reproduces less than nothing.
    assert share_interval(np.full(6, -0.5), np.ones(6)).value == -0.5
