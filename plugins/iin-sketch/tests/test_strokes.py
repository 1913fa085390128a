"""Stroke drawings: alike in ink, different in corners, and the two shipped ones are what the script draws."""

import numpy as np
import pytest
from PIL import Image

from iin_sketch.sketches import shipped_pair
from iin_sketch.strokes import draw_shipped, family, rounded, stroke_drawing

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def sharpest_turn(points):
    edges = np.roll(points, -1, axis=0) - points
    edges /= np.linalg.norm(edges, axis=1, keepdims=True)
    return np.degrees(np.arccos((edges * np.roll(edges, -1, axis=0)).sum(1).clip(-1, 1))).max()


def test_rounding_leaves_no_corner_or_every_one():
    assert np.array_equal(rounded(SQUARE, 0.0), SQUARE)
    assert sharpest_turn(SQUARE) == pytest.approx(90)
    assert sharpest_turn(rounded(SQUARE, 1.0)) < 10
    assert 10 < sharpest_turn(rounded(SQUARE, 0.3)) < 80


def test_a_quarter_is_cut_from_both_ends_of_an_edge():
    once_more = rounded(SQUARE, 1.0)
    assert len(once_more) == 4 * 2**4
    # Cutting corners keeps the polygon inside, and the middle of every edge on it.
    assert once_more.min() == pytest.approx(0)
    assert once_more.max() == pytest.approx(1)
    assert np.allclose(once_more.mean(0), 0.5)


def test_an_open_line_keeps_its_ends():
    line = rounded(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]]), 1.0, closed=False)
    assert line[0].tolist() == [0, 0]
    assert line[-1].tolist() == [2, 0]
    assert line[:, 1].max() < 1


def test_drawings_depend_on_seed_and_roundness_alone():
    one = stroke_drawing(0.5, 7, 64)
    assert one.dtype == np.uint8
    assert one.shape == (64, 64)
    assert np.array_equal(one, stroke_drawing(0.5, 7, 64))
    assert not np.array_equal(one, stroke_drawing(0.5, 8, 64))
    assert not np.array_equal(one, stroke_drawing(0.0, 7, 64))


def test_ink_tells_nothing_of_roundness():
    drawn = family(5, 3, 64)
    assert drawn.shape == (5, 64, 64)
    ink = 1 - drawn.mean((1, 2)) / 255
    assert ink.min() > 0.3
    assert ink.max() < 0.45


def test_the_shipped_sketches_are_drawn_by_the_script(tmp_path):
    draw_shipped(tmp_path)
    for path in shipped_pair():
        shipped, drawn = (np.asarray(Image.open(file)).astype(float) for file in (path, tmp_path / path.name))
        assert shipped.shape == (256, 256)
        # Pillow's edges may move by a fraction of a pixel between versions.
        assert np.abs(shipped - drawn).mean() < 1.5
