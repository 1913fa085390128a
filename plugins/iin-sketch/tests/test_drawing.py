"""Drawing: the change alone is resized, so what the network leaves alone stays as sharp as it was."""

import numpy as np
import pytest
import torch

from iin_sketch.drawing import SketchDrawing, sketch_side
from iin_sketch.networks import Stylizer
from iin_sketch.sketches import check_pair, shipped_pair


@pytest.fixture
def sketches():
    return check_pair(*shipped_pair())


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 50, 50, 3), np.uint8)


def test_what_is_not_drawn_stays_pixel_for_pixel(sketches, images):
    drawing = SketchDrawing(Stylizer(4, 4, 32), sketches, 50)
    assert drawing.side == 32
    assert np.array_equal(drawing.draw(images, 0), images)


def test_the_two_sketches_draw_differently_and_repeatably(stylizer, sketches, images):
    drawing = SketchDrawing(stylizer, sketches, 50)
    a, b = drawing.draw(images, 0), drawing.draw(images, 1)
    assert a.dtype == np.uint8
    assert a.shape == images.shape
    assert not np.array_equal(a, images)
    assert not np.array_equal(a, b)
    assert np.array_equal(a, drawing.draw(images, 0))


def test_what_the_sketches_differ_in_is_drawn_threefold(stylizer, sketches, images, monkeypatch):
    # Faint strokes, so that nothing is cut off at black or white.
    stylizer.decoder.head.weight.mul_(0.02)
    grey = 96 + images // 4
    drawing = SketchDrawing(stylizer, sketches, 50)

    def drawn():
        a, b = (drawing.draw(grey, sketch).astype(float) for sketch in (0, 1))
        return (a + b) / 2, a - b

    middle, difference = drawn()
    monkeypatch.setattr("iin_sketch.drawing.CONTRAST", 0.0)
    middle_before, difference_before = drawn()
    assert np.abs(middle - middle_before).max() <= 1
    assert np.abs(difference).sum() > 0
    assert np.abs(difference - 3 * difference_before).max() <= 4


def test_an_image_does_not_depend_on_its_neighbours(stylizer, sketches, images):
    drawing = SketchDrawing(stylizer, sketches, 50)
    alone = drawing.draw(images[1:2], 1)
    assert np.abs(alone.astype(int) - drawing.draw(images, 1)[1:2]).max() <= 1


def test_batches_of_any_length(stylizer, sketches):
    drawing = SketchDrawing(stylizer, sketches, 32)
    many = np.random.default_rng(1).integers(0, 256, (33, 32, 32, 3), np.uint8)
    assert drawing.draw(many, 0).shape == many.shape
    assert drawing.draw(many[:0], 0).shape == (0, 32, 32, 3)


def test_constant_and_grey_images(stylizer, sketches):
    drawing = SketchDrawing(stylizer, sketches, 32)
    flat = np.full((1, 32, 32, 3), 200, np.uint8)
    # A flat image has no contrast to draw with: what is drawn is as faint as the floor of the deviation.
    assert np.abs(drawing.draw(flat, 0).astype(int) - 200).mean() < 10
    grey = np.repeat(np.random.default_rng(2).integers(0, 256, (1, 32, 32, 1), np.uint8), 3, axis=3)
    assert drawing.draw(grey, 0).shape == grey.shape


def test_the_image_size_bounds_the_side(sketches):
    assert SketchDrawing(Stylizer(4, 4, 64), sketches, 224).side == 64
    assert SketchDrawing(Stylizer(4, 4, 64), sketches, 28).side == 32
    assert (sketch_side(32), sketch_side(128)) == (64, 128)


def test_styles_are_encoded_once(sketches, images):
    stylizer = Stylizer(4, 4, 32)
    drawing = SketchDrawing(stylizer, sketches, 50)
    calls = []
    stylizer.style = lambda *_: calls.append(1)
    drawing.draw(images, 0)
    assert not calls
    assert drawing.styles[0].fourth.shape == (2, 32, 8, 8)
    assert torch.isfinite(drawing.styles[1].fifth).all()
