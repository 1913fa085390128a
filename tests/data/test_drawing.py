"""Drawn shapes: areas in closed form, outlines against Pillow's, and what may not change them."""

import colorsys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from iin_cli.data.drawing import BACKGROUND, KINDS, Figures, as_rgb, paint

NAMES = [kind.name for kind in KINDS]
WHITE = (255.0, 255.0, 255.0)


def figure(kind, size=0.4, roundness=0.0, turn=0.0, x=0.0, y=0.0, color=WHITE):
    values = {"radius": size, "roundness": roundness, "turn": turn, "x": x, "y": y}
    return Figures(
        np.array([NAMES.index(kind)]),
        **{name: np.array([value]) for name, value in values.items()},
        colors=np.array([color]),
    )


def joined(*figures):
    return Figures(
        *(np.concatenate([getattr(each, name) for each in figures]) for name in Figures.__dataclass_fields__)
    )


def covered(figures, size):
    """Share of each pixel that is inside, from the grey levels."""
    return (paint(figures, size)[..., 0].astype(float) - BACKGROUND) / (255 - BACKGROUND)


def sharp_area(kind):
    return {
        "triangle": 3 * np.sqrt(3) / 4,
        "square": 2.0,
        "bar": 4 * 0.92 * 0.38,
        "cross": 8 * 0.94 * 0.32 - 4 * 0.32**2,
        "star": 5 * 0.5 * np.sin(np.pi / 5),
    }[kind]


def outward_corners(kind):
    """How many corners point outwards, and half the angle inside them."""
    tip = np.arctan2(0.5 * np.sin(np.pi / 5), 1 - 0.5 * np.cos(np.pi / 5))
    right = np.pi / 4
    return {"triangle": (3, np.pi / 6), "square": (4, right), "bar": (4, right), "cross": (8, right), "star": (5, tip)}[
        kind
    ]


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("roundness", [0.0, 0.5, 1.0])
def test_the_area_is_that_of_corners_of_the_stated_radius(kind, roundness):
    corner = roundness * KINDS[NAMES.index(kind)].softest
    count, half = outward_corners(kind)
    # A circle of radius r in a corner takes away the two right triangles of its tangents but for the sector between.
    area = sharp_area(kind) - count * corner**2 * (1 / np.tan(half) - (np.pi / 2 - half))
    measured = covered(figure(kind, 0.4, roundness, turn=11.0, x=0.013), 200).sum() / 200**2
    assert measured == pytest.approx(area * 0.4**2, rel=2e-3)


@pytest.mark.parametrize("kind", NAMES)
def test_sharp_outlines_are_polygons(kind):
    size, scale = 32, 64
    shape = KINDS[NAMES.index(kind)]
    half = shape.vertices @ np.array([1, 1j])
    sector = np.concatenate([half, np.conj(half[:0:-1]) * np.exp(2j * np.pi / shape.folds)])
    turns = np.exp(2j * np.pi * np.arange(shape.folds) / shape.folds)[:, None]
    points = (sector * turns).ravel() * 0.4 * np.exp(1j * (shape.upright + np.radians(20.0)))
    drawing = Image.new("L", (size * scale, size * scale))
    corners = [((0.5 + point.real) * size * scale - 0.5, (0.5 - point.imag) * size * scale - 0.5) for point in points]
    ImageDraw.Draw(drawing).polygon(corners, fill=255)
    wanted = np.asarray(drawing.reduce(scale)) / 255
    assert np.abs(covered(figure(kind, 0.4, turn=20.0), size)[0] - wanted).max() < 0.05


def test_the_corner_lies_where_its_circle_ends():
    size, corner = 400, KINDS[NAMES.index("square")].softest * 0.4
    half_side = 0.4 / np.sqrt(2)
    reach = np.sqrt(2) * (half_side - corner) + corner
    diagonal = covered(figure("square", 0.4, 1.0), size)[0].diagonal()
    assert np.sqrt(2) * diagonal.sum() / size == pytest.approx(2 * reach, abs=2 / size)


def test_rounding_never_reaches_beyond_the_sharp_shape_and_is_seen_at_32():
    for kind in NAMES:
        sharp, softer, soft = (covered(figure(kind, 0.35, roundness), 32) for roundness in (0.0, 0.5, 1.0))
        assert (soft <= softer + 0.02).all()
        assert (softer <= sharp + 0.02).all()
        assert np.abs(sharp - soft).max() > 0.5


def test_shapes_stand_upright():
    rows, columns = np.nonzero(covered(figure("triangle"), 65)[0] > 0.5)
    assert columns[rows.argmin()] == 32
    assert np.ptp(columns[rows == rows.max()]) > 30
    wide = np.argwhere(covered(figure("bar"), 64)[0] > 0.5)
    assert np.ptp(wide[:, 1]) > 2 * np.ptp(wide[:, 0])


def test_places_are_right_and_down_and_turns_counter_clockwise():
    rows, columns = np.nonzero(covered(figure("cross", 0.2, x=0.25, y=-0.125), 64)[0] > 0.5)
    assert (columns.mean(), rows.mean()) == pytest.approx((47.5, 23.5), abs=0.2)
    turned = covered(figure("bar", turn=30.0), 64)[0]
    assert turned[32 - 10, 32 + 18] > 0.9
    assert turned[32 + 10, 32 + 18] == 0


@pytest.mark.parametrize("kind", NAMES)
def test_edges_are_smooth_and_moving_a_shape_keeps_its_area(kind):
    areas = [covered(figure(kind, 0.3, 0.3, x=shift / 32, y=shift / 50), 32).sum() for shift in (0, 0.21, 0.5, 0.83)]
    np.testing.assert_allclose(areas, areas[0], rtol=5e-3)
    levels = covered(figure(kind, 0.3, 0.3, turn=13.0), 32)
    assert len(np.unique(levels[(levels > 0) & (levels < 1)])) > 10


def test_a_whole_period_changes_nothing():
    for kind in KINDS:
        period = 360 / kind.folds
        first, second = (covered(figure(kind.name, 0.37, 0.4, turn=turn), 48) for turn in (7.0, 7.0 + period))
        np.testing.assert_allclose(first, second, atol=0.02)


def test_neighbours_in_a_batch_have_no_part_in_a_picture():
    generator = np.random.default_rng(0)
    shapes = [figure(kind, *generator.uniform((0.2, 0, -30), (0.4, 1, 30))) for kind in NAMES * 8]
    together = paint(joined(*shapes), 48)
    for alone, drawn in zip(shapes, together, strict=True):
        np.testing.assert_array_equal(paint(alone, 48)[0], drawn)


def test_colours_are_those_of_hsv():
    hue, saturation = np.random.default_rng(0).random((2, 50))
    wanted = [colorsys.hsv_to_rgb(h, s, 0.92) for h, s in zip(hue, saturation, strict=True)]
    np.testing.assert_allclose(as_rgb(hue, saturation), 255 * np.array(wanted), atol=1e-9)
    image = paint(figure("square", color=(200.0, 100.0, 7.0)), 16)[0]
    assert image[8, 8].tolist() == [200, 100, 7]
    assert image[0, 0].tolist() == [BACKGROUND] * 3
