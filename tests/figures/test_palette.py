"""Colours that are told apart: also by people who lack one kind of cone."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from iin_cli.figures.palette import CATEGORIES, GAIN, LOSS, category, shaded

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB; `all` sees everything.
SIGHT = {
    "all": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colors, sight):
    """CIE L*a*b* of sRGB colours (C, 3) as someone sees them."""
    rgb = np.array(colors)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.array(SIGHT[sight]).T, 0, 1) @ TO_XYZ.T / TO_XYZ.sum(1)
    f = np.where(xyz > 0.008856, np.cbrt(np.maximum(xyz, 1e-9)), 7.787 * xyz + 16 / 116)
    return np.stack((116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])), 1)


def closest(colors, sight):
    return min(np.linalg.norm(one - other) for one, other in combinations(lab(colors, sight), 2))


@pytest.mark.parametrize("sight", SIGHT)
def test_categories_are_told_apart(sight):
    assert closest([to_rgb(color) for color in CATEGORIES], sight) > 15
    assert closest([to_rgb(GAIN), to_rgb(LOSS)], sight) > 50


def test_the_measure_would_refuse_the_usual_colours():
    usual = [colormaps["tab10"](place)[:3] for place in range(10)]
    assert min(closest(usual, sight) for sight in SIGHT) < 8


def test_all_are_darker_than_the_paper():
    assert max(lab([to_rgb(color) for color in CATEGORIES], "all")[:, 0]) < 85


def test_after_ten_they_begin_again_in_a_darker_shade():
    assert category(13) == category(3) == CATEGORIES[3]
    assert shaded(3) == pytest.approx(to_rgb(CATEGORIES[3]))
    assert shaded(13) == pytest.approx(0.55 * np.array(to_rgb(CATEGORIES[3])))
    assert len({shaded(number) for number in range(20)}) == 20
