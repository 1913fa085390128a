"""Differ concepts from image operations."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2.functional import gaussian_blur, rgb_to_grayscale

from iin_cli.concepts.image_ops import (
    OPERATIONS,
    ImageOperation,
    blur,
    blur_concept,
    brighten,
    brightness_concept,
    greyscale,
    greyscale_concept,
    rotate,
    rotation_concept,
)
from iin_cli.errors import UsageError

SIDE = 33


def painting(items=40, side=6, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (items, side, side, 3), dtype=np.uint8)


def channels_first(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


def test_greyscale_is_torchvisions_luma():
    images = painting()
    wanted = rgb_to_grayscale(channels_first(images), num_output_channels=3)
    assert np.abs(greyscale(images) - wanted.permute(0, 2, 3, 1).numpy()).max() <= 0.6


def test_greyscale_is_grey_keeps_greys_and_is_idempotent():
    grey = greyscale(painting())
    assert (grey == grey[..., :1]).all()
    np.testing.assert_array_equal(greyscale(grey), grey)
    ramp = np.arange(256, dtype=np.uint8)[None, None, :, None].repeat(3, axis=-1)
    np.testing.assert_array_equal(greyscale(ramp), ramp)


@pytest.mark.parametrize("amount", [3.0, 8.0])
def test_blur_is_the_gaussian_of_that_part_of_the_side(amount):
    line = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    line[:, :, SIDE // 2] = 255
    profile = blur(line, amount)[0, 0, :, 0].astype(float)
    places = np.arange(SIDE) - SIDE // 2
    variance = (profile * places**2).sum() / profile.sum()
    assert profile.sum() == pytest.approx(255, rel=0.03)
    assert variance == pytest.approx((amount / 100 * SIDE) ** 2, rel=0.1)


def test_blur_in_two_passes_is_blur_in_one():
    images = painting(3, SIDE)
    sigma = 0.05 * SIDE
    width = 2 * int(np.ceil(3 * sigma)) + 1
    wanted = gaussian_blur(channels_first(images), [width, width], [sigma, sigma]).permute(0, 2, 3, 1).numpy()
    assert np.abs(blur(images, 5.0) - wanted).max() <= 0.51


@pytest.mark.parametrize("amount", [-0.5, -0.25, 0.25, 0.5])
def test_brightness_multiplies_and_stops_at_white(amount):
    images = painting()
    wanted = np.clip(images * (1 + amount), 0, 255)
    assert np.abs(brighten(images, amount) - wanted).max() <= 0.51


def test_a_quarter_turn_is_exact_and_counter_clockwise():
    images = painting(3, SIDE)
    np.testing.assert_array_equal(rotate(images, 90.0), np.rot90(images, 1, axes=(1, 2)))
    np.testing.assert_array_equal(rotate(images, -90.0), np.rot90(images, -1, axes=(1, 2)))


def test_turning_back_undoes_turning():
    y, x = np.mgrid[0:48, 0:48] / 47
    smooth = np.stack((x, y, (x + y) / 2), axis=-1)[None]
    images = np.rint(40 + 160 * smooth).astype(np.uint8)
    back = rotate(rotate(images, 20.0), -20.0)
    assert np.abs(back.astype(int) - images)[:, 12:36, 12:36].max() <= 2
    assert np.abs(rotate(images, 20.0).astype(int) - images).max() > 20


@pytest.mark.parametrize("angle", [-30.0, 15.0, 45.0, 100.0])
def test_corners_hold_nothing_that_the_image_does_not(angle):
    images = painting(3, SIDE) // 2 + 100
    assert rotate(images, angle).min() >= 100
    np.testing.assert_array_equal(rotate(np.full_like(images, 255), angle), 255)


def test_a_border_of_one_colour_goes_on_whatever_lies_near_it():
    images = np.full((2, 32, 32, 3), (20, 60, 90), np.uint8)
    # Two pixels from the border: mirrored, it would show again in the corners.
    images[:, 2:30, 2:30] = (250, 10, 10)
    images[1, 0, :16] = 255
    turned = rotate(images, 45.0)
    corners = [(0, 0), (0, 31), (31, 0), (31, 31)]
    assert all(turned[0, y, x].tolist() == [20, 60, 90] for y, x in corners)
    assert any(turned[1, y, x].tolist() != [20, 60, 90] for y, x in corners)
    np.testing.assert_array_equal(turned[:1], rotate(images[:1], 45.0))


@pytest.mark.parametrize("name", sorted(OPERATIONS))
@pytest.mark.parametrize("side", [2, 32])
def test_every_operation_keeps_shape_and_type_and_its_input(name, side):
    images = painting(4, side)
    before = images.copy()
    concept = ImageOperation(name)
    drawn = [concept.render(images, variant) for variant in range(concept.variants + 1)]
    assert {(each.shape, each.dtype) for each in drawn} == {(images.shape, np.dtype(np.uint8))}
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(drawn[0], images)
    for variant in (-1, concept.variants + 1):
        with pytest.raises(UsageError, match=f"no variant {variant}"):
            concept.render(images, variant)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_image_is_drawn_the_same_whatever_is_drawn_beside_it(name):
    images = painting(3, 16)
    concept = ImageOperation(name)
    for variant in range(1, concept.variants + 1):
        alone = np.concatenate([concept.render(images[[place]], variant) for place in range(3)])
        np.testing.assert_array_equal(concept.render(images, variant), alone)


@pytest.mark.parametrize(
    ("factory", "argument", "amounts", "names"),
    [
        (greyscale_concept, None, (1.0,), ["greyscale"]),
        (blur_concept, None, (2.0, 4.0), ["blur 2%", "blur 4%"]),
        (blur_concept, "2.5", (1.25, 2.5), ["blur 1.25%", "blur 2.5%"]),
        (brightness_concept, None, (-0.5, -0.25, 0.25, 0.5), ["-50%", "-25%", "+25%", "+50%"]),
        (rotation_concept, "45", (-45.0, -22.5, 22.5, 45.0), ["-45°", "-22.5°", "+22.5°", "+45°"]),
    ],
)
def test_the_argument_is_the_strongest_variant(factory, argument, amounts, names):
    concept = factory(argument) if argument else factory()
    assert concept.amounts == amounts
    assert [concept.variant_name(variant) for variant in range(concept.variants + 1)] == ["image", *names]
    assert concept.relation == "differ"


def test_fingerprints_tell_apart_what_is_drawn_otherwise():
    assert greyscale_concept().fingerprint == "greyscale-1"
    made = [blur_concept(), blur_concept("4"), blur_concept("4.0000001"), rotation_concept("4")]
    assert made[0].fingerprint == made[1].fingerprint
    assert len({concept.fingerprint for concept in made}) == 3


@pytest.mark.parametrize(
    ("factory", "argument", "message"),
    [
        (blur_concept, "strong", r"blur:strong: 'strong' is not a number between 0 and 25; write blur:4 \(per cent"),
        (blur_concept, "", "write blur:4"),
        (blur_concept, "25", "between 0 and 25"),
        (brightness_concept, "nan", "write brightness:0.5"),
        (brightness_concept, "1", "between 0 and 1"),
        (rotation_concept, "-30", "write rotation:30"),
        (rotation_concept, "0", "between 0 and 180"),
    ],
)
def test_bad_arguments_say_what_to_write(factory, argument, message):
    with pytest.raises(UsageError, match=message):
        factory(argument)
