"""Groups of an image and its variants."""

import numpy as np
import pytest

from iin_cli.concepts.image_ops import blur_concept, greyscale, greyscale_concept, rotation_concept
from iin_cli.errors import DataError
from iin_cli.plugin_api import Dataset


class Painted(Dataset):
    name = "painted"
    native_size = 6

    def __init__(self, pixels):
        self.pixels = pixels

    def images(self, indices, size, interpolation="bicubic"):
        assert size == self.native_size
        return self.pixels[indices]


def painting(items=40, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (items, 6, 6, 3), dtype=np.uint8)


def test_a_group_is_an_image_and_its_variants():
    groups = greyscale_concept().groups(Painted(painting()), np.array([5, 9, 2]), seed=0)
    assert groups.indices.tolist() == [5, 5, 9, 9, 2, 2]
    assert groups.variants.tolist() == [0, 1, 0, 1, 0, 1]
    assert groups.group_ids.tolist() == [5, 5, 9, 9, 2, 2]
    groups = rotation_concept().groups(Painted(painting()), np.array([5, 9]), seed=0)
    assert groups.indices.tolist() == groups.group_ids.tolist() == [5] * 5 + [9] * 5
    assert groups.variants.tolist() == [0, 1, 2, 3, 4] * 2
    assert {array.dtype for array in (groups.indices, groups.variants, groups.group_ids)} == {np.dtype(np.int64)}


def test_variants_are_drawn_of_the_datasets_images():
    dataset, concept = Painted(painting()), greyscale_concept()
    drawn = concept.draw(dataset, np.array([3, 1]), 6, "bicubic", 1)
    np.testing.assert_array_equal(drawn, greyscale(dataset.pixels[[3, 1]]))
    np.testing.assert_array_equal(concept.draw(dataset, np.array([3]), 6, "bicubic", 0), dataset.pixels[[3]])


@pytest.mark.parametrize(
    ("concept", "pixels", "message"),
    [
        (greyscale_concept(), greyscale(painting()), "greyscale changes nothing in painted"),
        (rotation_concept("10"), np.full((40, 6, 6, 3), 9, np.uint8), r"changes nothing in painted \(-10°\)"),
        (blur_concept("0.01"), painting(), "blur 0.005%"),
    ],
)
def test_images_that_stay_as_they_are_are_refused(concept, pixels, message):
    with pytest.raises(DataError, match=message):
        concept.groups(Painted(pixels), np.arange(40), seed=0)


def test_no_images_are_refused():
    with pytest.raises(DataError, match="none of painted were given"):
        greyscale_concept().groups(Painted(painting()), np.array([], dtype=np.int64), seed=0)
