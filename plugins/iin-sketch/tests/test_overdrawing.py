"""Strokes over images: as strong as said, in the image's colours, at one place for both sketches, alone or together."""

import numpy as np
import pytest

from iin_sketch.curvature import turning
from iin_sketch.overdrawing import LEAST_CONTRAST, STRENGTH, Overdrawing, _allowed
from iin_sketch.sketches import check_pair, shipped_pair


@pytest.fixture(scope="module")
def sketches():
    return check_pair(*shipped_pair())


@pytest.fixture(scope="module")
def images():
    """Four images 64² of grey noise as strong everywhere, far from black and white, where strokes would be cut off."""
    noise = np.random.default_rng(0).uniform(110, 140, (4, 64, 64, 1))
    return np.repeat(noise, 3, axis=3).round().astype(np.uint8)


def test_strokes_are_as_strong_as_local_contrast(sketches, images):
    drawn = Overdrawing(sketches, 64).draw(images, 0)
    assert drawn.dtype == np.uint8
    assert drawn.shape == images.shape
    change = drawn.astype(float) - images
    # Any place of a sketch has about the deviation of the whole, and noise the same contrast at every place.
    assert change.std((1, 2)) / images.std((1, 2)) == pytest.approx(np.full((4, 3), STRENGTH), rel=0.35)


def test_details_are_drawn_over_less_than_plain_ground():
    generator = np.random.default_rng(0)
    calm, lively = _allowed(np.where(np.arange(64)[:, None] < 24, 3.0, 0.3) * generator.normal(size=(64, 64)))[[60, 4]]
    assert lively.mean() < 0.6 * calm.mean()
    assert _allowed(np.zeros((64, 64))) == pytest.approx(LEAST_CONTRAST)


def test_all_channels_take_the_same_strokes(sketches, images):
    change = Overdrawing(sketches, 64).draw(images, 1).astype(float) - images
    flat = change.reshape(4, -1, 3)
    for image in flat:
        assert np.corrcoef(image.T).min() > 0.95


def test_an_image_decides_the_place_for_itself_and_for_both_sketches(sketches, images):
    drawing = Overdrawing((sketches[0], sketches[0]), 64)
    together = drawing.draw(images, 0)
    assert np.array_equal(together[2:3], drawing.draw(images[2:3], 0))
    assert np.array_equal(together, drawing.draw(images, 1))
    changes = together.astype(float) - images
    assert np.corrcoef(changes[0].ravel(), changes[1].ravel())[0, 1] < 0.9


def test_the_two_sketches_draw_differently(sketches, images):
    drawing = Overdrawing(sketches, 64)
    a, b = (drawing.draw(images, number).astype(float) for number in (0, 1))
    assert np.abs(a - b).mean() > 1


def test_contours_of_plain_images_turn_as_those_of_the_sketch(sketches):
    y, x = np.mgrid[:128, :128] / 128 - 0.5
    halves = np.stack([60 + 120 * (np.cos(angle) * x + np.sin(angle) * y > 0) for angle in range(6)])
    images = np.repeat(halves[..., None], 3, axis=3).astype(np.uint8)
    drawing = Overdrawing(sketches, 128)
    round_, angular = (np.array([turning(image).sharp for image in drawing.draw(images, number)]) for number in (0, 1))
    assert (angular > round_).all()
    assert (angular - round_).mean() > 0.05


@pytest.mark.parametrize("side", [8, 28, 300])
def test_images_of_any_size(sketches, side):
    noise = np.random.default_rng(1).integers(0, 256, (2, side, side, 3), np.uint8)
    drawing = Overdrawing(sketches, side)
    assert drawing.draw(noise, 1).shape == noise.shape
    assert drawing.draw(noise[:0], 1).shape == (0, side, side, 3)


def test_a_flat_image_is_drawn_faintly(sketches):
    flat = np.full((1, 64, 64, 3), 200, np.uint8)
    assert np.abs(Overdrawing(sketches, 64).draw(flat, 0).astype(int) - 200).max() <= 3
