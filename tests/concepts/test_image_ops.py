"""Differ concepts from image operations."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2.functional import rgb_to_grayscale

from iin_cli.concepts.image_ops import OPERATIONS, ImageOperation, greyscale, greyscale_concept
from iin_cli.errors import DataError, UsageError
from iin_cli.plugin_api import Dataset


class Painted(Dataset):
    name = "painted"
    native_size = 6

    def __init__(self, pixels):
        self.pixels = pixels

    def images(self, indices, size):
        assert size == self.native_size
        return self.pixels[indices]


def painting(items=40, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (items, 6, 6, 3), dtype=np.uint8)


def test_greyscale_is_torchvisions_luma():
    images = painting()
    wanted = rgb_to_grayscale(torch.from_numpy(images).permute(0, 3, 1, 2).float(), num_output_channels=3)
    assert np.abs(greyscale(images) - wanted.permute(0, 2, 3, 1).numpy()).max() <= 0.6


def test_greyscale_is_grey_keeps_greys_and_is_idempotent():
    grey = greyscale(painting())
    assert (grey == grey[..., :1]).all()
    np.testing.assert_array_equal(greyscale(grey), grey)
    ramp = np.arange(256, dtype=np.uint8)[None, None, :, None].repeat(3, axis=-1)
    np.testing.assert_array_equal(greyscale(ramp), ramp)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_keeps_shape_and_type_and_its_input(name):
    images = painting()
    before = images.copy()
    drawn = ImageOperation(name).render(images, 1)
    assert (drawn.shape, drawn.dtype) == (images.shape, np.uint8)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(ImageOperation(name).render(images, 0), images)
    with pytest.raises(UsageError, match="no variant 2"):
        ImageOperation(name).render(images, 2)


def test_a_group_is_an_image_and_its_variant():
    groups = greyscale_concept().groups(Painted(painting()), np.array([5, 9, 2]), seed=0)
    assert groups.indices.tolist() == [5, 5, 9, 9, 2, 2]
    assert groups.variants.tolist() == [0, 1, 0, 1, 0, 1]
    assert groups.group_ids.tolist() == [5, 5, 9, 9, 2, 2]


def test_what_the_concept_says_of_itself():
    concept = greyscale_concept()
    assert (concept.concept, concept.relation, concept.fingerprint) == ("greyscale", "differ", "greyscale-1")
    with pytest.raises(UsageError, match="takes no argument"):
        greyscale_concept("x")


def test_images_that_are_grey_already_are_refused():
    with pytest.raises(DataError, match="greyscale changes nothing in painted"):
        greyscale_concept().groups(Painted(greyscale(painting())), np.arange(40), seed=0)


def test_no_images_are_refused():
    with pytest.raises(DataError, match="none of painted were given"):
        greyscale_concept().groups(Painted(painting()), np.array([], dtype=np.int64), seed=0)
