"""Turning of contours against closed forms: h/r along a circle, corners alone along a square; sketches told apart."""

import numpy as np
import pytest

from iin_sketch.curvature import turning, turning_angles
from iin_sketch.strokes import stroke_drawing


def circle(radius):
    angles = np.linspace(0, 2 * np.pi, 2000)
    return radius * np.stack((np.cos(angles), np.sin(angles)), axis=1)


@pytest.mark.parametrize("radius", [4.0, 20.0])
def test_a_circle_turns_by_the_step_over_its_radius(radius):
    angles = turning_angles(circle(radius), 0.5)
    assert angles.sum() == pytest.approx(2 * np.pi, rel=1e-3)
    assert angles == pytest.approx(0.5 / radius, rel=0.05)


def test_a_square_turns_in_its_corners_alone():
    corners = np.array([[0, 0], [16, 0], [16, 16], [0, 16], [0, 0]], float)
    angles = turning_angles(corners, 1.0)
    assert np.sort(angles)[-4:] == pytest.approx(np.pi / 2)
    assert np.sort(angles)[:-4] == pytest.approx(0, abs=1e-9)
    # An open line of the same corners does not turn where it starts.
    assert turning_angles(corners[:-1], 1.0).sum() == pytest.approx(np.pi)


def test_specks_and_blank_images_have_no_contours():
    assert not len(turning_angles(circle(1.0), 1.0))
    assert np.isnan(turning(np.full((64, 64), 7, np.uint8)).sharp)


@pytest.mark.parametrize("side", [96, 256])
def test_a_cone_has_round_contours_and_a_pyramid_has_corners_alone(side):
    y, x = np.mgrid[:side, :side] / side - 0.5
    cone, pyramid = (turning(-255 * distance) for distance in (np.hypot(x, y), np.maximum(abs(x), abs(y))))
    assert cone.sharp == 0
    # The levels cut circles that hold 0.1 to 0.9 of the square; the largest ones are cut at its rim.
    radii = np.sqrt(np.linspace(0.1, 0.7, 7) / np.pi)
    assert cone.mean == pytest.approx(len(radii) / radii.sum() / 64, rel=0.1)
    assert pyramid.sharp > 0.4


def test_angular_drawings_turn_sharper_than_round_ones_by_several_deviations():
    sharp = np.array([[turning(stroke_drawing(level, seed, 128)).sharp for seed in range(4)] for level in (0.0, 1.0)])
    assert sharp[0].min() > sharp[1].max() + 0.1
    colours = np.repeat(stroke_drawing(0.0, 1, 128)[..., None], 3, axis=2)
    assert turning(colours).sharp == pytest.approx(turning(colours[..., 0]).sharp, abs=0.05)
