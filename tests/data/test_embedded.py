"""The digits that come with scikit-learn."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from iin_cli.data.embedded import open_colordigits, open_digits


@pytest.fixture(scope="module")
def digits():
    return open_digits()


@pytest.fixture(scope="module")
def colordigits():
    return open_colordigits()


def test_digits_are_the_originals_drawn_larger(digits):
    originals = load_digits()
    np.testing.assert_array_equal(digits.labels["digit"].values, originals.target)
    assert digits.labels["class"].names == tuple("0123456789")
    images = digits.images(np.arange(100), 32)
    assert images.shape == (100, 32, 32, 3)
    assert digits.native_size == 32
    # The mean of every 4² block of the drawing is close to the pixel it came from.
    blocks = images[..., 0].reshape(100, 8, 4, 8, 4).mean(axis=(2, 4))
    assert np.corrcoef(blocks.ravel(), originals.images[:100].ravel())[0, 1] > 0.99


def test_a_fifth_of_every_digit_is_the_test_split(digits):
    train, test = digits.splits["train"], digits.splits["test"]
    assert not set(train) & set(test)
    assert len(train) + len(test) == 1797
    share = np.bincount(digits.labels["digit"].values[test]) / np.bincount(digits.labels["digit"].values)
    np.testing.assert_allclose(share, 0.2, atol=0.003)


def test_colordigits_draws_every_digit_in_sixteen_colours(digits, colordigits):
    assert np.bincount(colordigits.sources).tolist() == [16] * 1797
    train, test = (colordigits.sources[colordigits.splits[split]] for split in ("train", "test"))
    assert not set(train) & set(test)
    assert set(test) == set(digits.splits["test"])
    np.testing.assert_array_equal(
        colordigits.labels["class"].values, digits.labels["class"].values[colordigits.sources]
    )


def test_a_colour_never_meets_the_same_digit_image_twice(colordigits):
    ids = colordigits.labels["color"].values
    pairs = np.stack([ids, colordigits.sources], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(ids)
    assert set(np.bincount(ids)) == {8, 9}
    assert not set(ids[colordigits.splits["train"]]) & set(ids[colordigits.splits["test"]])


def test_colours_say_nothing_of_the_digit(colordigits):
    digit = colordigits.labels["digit"].values
    means = np.stack([colordigits.colors[digit == value].mean(axis=0) for value in range(10)])
    np.testing.assert_allclose(means, 0.5, atol=0.05)


def test_opening_twice_gives_the_same(colordigits):
    again = open_colordigits()
    assert again.fingerprint == colordigits.fingerprint
    np.testing.assert_array_equal(again.images(np.array([7, 20000]), 32), colordigits.images(np.array([7, 20000]), 32))
