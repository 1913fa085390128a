import numpy as np
import pytest
import torch

from iin_cli.editing.attributes import Attribute
from iin_cli.editing.axes import Axis, LabelAxis
from iin_cli.editing.walk_paths import AttributeWalk, GridWalk, LinearWalk, Wandering
from iin_cli.errors import UsageError
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import Inputs
from iin_cli.translator.edit import OUWalk

SMILING = LabelAxis((Attribute("Smiling"),))


def inputs(seed, count=2):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return Inputs(pixels, tuple(f"{seed}/{index}" for index in range(count)))


def test_both_linear_walks_share_their_ends_and_are_straight_in_their_space(files):
    opened = open_translator(files.of_images)
    walks = LinearWalk(("digit",), steps=5).between(opened, inputs(0), inputs(1)).z
    interpretable, latent = walks["interpretable"], walks["latent"]
    torch.testing.assert_close(interpretable[0], latent[0])
    torch.testing.assert_close(interpretable[-1], latent[-1])
    torch.testing.assert_close(latent[2], (latent[0] + latent[-1]) / 2)
    z_tilde = torch.stack([opened.translator(z)[0] for z in interpretable])
    torch.testing.assert_close(z_tilde[2], (z_tilde[0] + z_tilde[-1]) / 2, atol=1e-4, rtol=1e-4)
    rest = slice(opened.factors.slice("digit").stop, None)
    torch.testing.assert_close(z_tilde[:, :, rest], z_tilde[:1, :, rest].expand(5, -1, -1), atol=1e-4, rtol=1e-4)
    start = opened.network.encode_pixels(inputs(0).pixels)
    torch.testing.assert_close(interpretable[0], start, atol=1e-4, rtol=1e-4)


def test_an_ou_walk_of_an_image_does_not_depend_on_those_beside_it(files):
    opened = open_translator(files.of_images)
    mode = Wandering(steps=6, ou=OUWalk("digit"))
    both = mode.wander(opened, inputs(0), 11).z["interpretable"]
    first = Inputs(inputs(0).pixels[:1], ("one",))
    alone = mode.wander(opened, first, 11).z["interpretable"]
    assert torch.equal(both[:, :1], alone)
    z_tilde = torch.stack([opened.translator(z)[0] for z in both])
    moving = opened.factors.slice("digit")
    assert (z_tilde[1:, :, moving] - z_tilde[:-1, :, moving]).abs().min() > 1e-4
    rest = slice(moving.stop, None)
    torch.testing.assert_close(z_tilde[:, :, rest], z_tilde[:1, :, rest].expand(6, -1, -1), atol=1e-4, rtol=1e-4)


def back(opened, z):
    return torch.stack([opened.translator(rows)[0] for rows in z])


def test_the_film_of_a_line_has_the_same_ends_and_more_points(files):
    opened = open_translator(files.of_images)
    mode = LinearWalk(("digit",), steps=3)
    walks = mode.between(opened, inputs(0), inputs(1), film=True)
    for kind, z in walks.z.items():
        assert walks.film[kind].shape == (25, 2, 8)
        torch.testing.assert_close(walks.film[kind][[0, 12, 24]], z, atol=1e-5, rtol=1e-5)
    assert mode.between(opened, inputs(0), inputs(1)).film == {}


def test_an_attribute_walk_adds_minus_the_axis_of_equation_14(files):
    opened = open_translator(files.of_images)
    axis = torch.linspace(-0.4, 0.4, 8)
    mode = AttributeWalk(axis=SMILING, strength=(-1.0, 2.0), steps=4)
    walks = mode.along(opened, inputs(0), Axis(axis, ()), film=True)
    assert walks.strengths == (-1, 0, 1, 2)
    z_tilde = back(opened, walks.z["interpretable"])
    start = opened.transform(opened.network.encode_pixels(inputs(0).pixels))
    for step, strength in enumerate(walks.strengths):
        torch.testing.assert_close(z_tilde[step], start - strength * axis, atol=1e-4, rtol=1e-4)
    assert (len(walks.film_strengths), walks.film_strengths[0], walks.film_strengths[-1]) == (25, -1, 2)
    torch.testing.assert_close(walks.film["interpretable"][-1], walks.z["interpretable"][-1], atol=1e-5, rtol=1e-5)


def test_a_grid_meets_its_corners_and_is_flat_between_them(files):
    opened = open_translator(files.of_images)
    corners = inputs(0, 4)
    walks = GridWalk(steps=3).spread(opened, corners, film=True)
    z = walks.z["interpretable"]
    encoded = opened.network.encode_pixels(corners.pixels)
    # Columns come first: a column is a point of the walks from left to right.
    for corner, place in enumerate(((0, 0), (2, 0), (0, 2), (2, 2))):
        torch.testing.assert_close(z[place], encoded[corner], atol=1e-4, rtol=1e-4)
    z_tilde = back(opened, z)
    torch.testing.assert_close(z_tilde[1, 1], opened.transform(encoded).mean(0), atol=1e-4, rtol=1e-4)
    tour = walks.film["interpretable"]
    assert tour.shape == (96, 1, 8)
    for corner, point in ((0, 0), (1, 24), (3, 48), (2, 72)):
        torch.testing.assert_close(tour[point, 0], encoded[corner], atol=1e-4, rtol=1e-4)


def test_a_grid_of_one_factor_leaves_the_others_the_first_corners(files):
    opened = open_translator(files.of_images)
    z_tilde = back(opened, GridWalk(("color",), steps=3).spread(opened, inputs(0, 4)).z["interpretable"])
    moving = opened.factors.slice("color")
    still = [index for index in range(8) if not moving.start <= index < moving.stop]
    expected = z_tilde[:1, :1, still].expand(3, 3, -1)
    torch.testing.assert_close(z_tilde[:, :, still], expected, atol=1e-4, rtol=1e-4)
    assert (z_tilde[0, 0, moving] - z_tilde[2, 2, moving]).abs().max() > 1e-2


@pytest.mark.parametrize("count", [1, 5])
def test_a_grid_has_four_corners(files, count):
    with pytest.raises(UsageError, match=f"gives {count}"):
        GridWalk(("color",), steps=3).spread(open_translator(files.of_images), inputs(0, count))


def test_strength_0_is_among_the_usual_points(files):
    images, classes = open_translator(files.of_images), open_translator(files.of_classes)
    attribute = AttributeWalk(axis=SMILING)
    assert [mode.points(images) for mode in (LinearWalk(), attribute)] == [8, 7]
    assert [mode.points(classes) for mode in (Wandering(), attribute)] == [50, 51]


@pytest.mark.parametrize("strength", [(3, -3), (1, 1), (0, float("inf"))])
def test_a_strength_goes_from_less_to_more(strength):
    assert AttributeWalk(axis=SMILING, strength=(-1, 2)).strength == (-1, 2)
    with pytest.raises(UsageError, match="from less to more"):
        AttributeWalk(axis=SMILING, strength=strength)


def test_a_walk_checks_itself(opened):
    for make, words in (
        (lambda: LinearWalk(steps=1), "at least 2 steps"),
        (lambda: Wandering(ou=OUWalk("digit", center="moon")), "origin, input"),
        (lambda: Wandering().moving(opened), "which factor"),
        (lambda: GridWalk(("shape",)).moving(opened), "no factor 'shape'"),
    ):
        with pytest.raises(UsageError, match=words):
            make()
    assert LinearWalk().moving(opened) == opened.factors.names
    assert Wandering(ou=OUWalk("color")).factors == ("color",)
    assert AttributeWalk(("digit",), axis=SMILING).label == "walk-attribute-digit-Smiling"
