"""Normality figures: nothing to find in normal samples, closed forms for others, no change under rotation."""

import numpy as np
import pytest

from iin_cli.errors import DataError
from iin_cli.metrics.bootstrap import Resampling
from iin_cli.metrics.gaussianity import covariance_error, distance_to_normal, energy_coefficient, mean_error

PLAIN = Resampling()
FIGURES = (mean_error, covariance_error, energy_coefficient)


def normal(count, dim, seed=0):
    return np.random.default_rng(seed).standard_normal((count, dim))


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("shape", [(400, 5), (60, 150), (60, 1)])
def test_a_normal_block_is_found_normal_however_few_items_it_has(figure, shape):
    found, null = figure(normal(*shape), PLAIN), figure.null(*shape, Resampling(seed=1))
    assert found.low <= 0.02
    assert found.low < found.value < found.high
    assert null.low <= 0 <= null.high
    assert null.low - 0.1 < found.value < null.high + 0.1


def test_closed_forms():
    block = normal(1000, 8)
    shifted = mean_error(block + 0.5, PLAIN)
    assert shifted.low < 0.25 < shifted.high
    # Eigenvalues 4 are 3 away from 1.
    wide = covariance_error(2 * block, PLAIN)
    assert wide.low < 9 < wide.high
    # A point mass at 0: E‖x − Y‖ = E‖Y‖ = m, E‖Y − Y'‖ = √2 m, so (2m − √2 m)/2m.
    assert energy_coefficient(np.zeros((50, 8)), PLAIN).value == pytest.approx(1 - np.sqrt(0.5), abs=1e-6)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_rotation_changes_nothing_and_heavy_tails_are_seen(figure):
    block = np.random.default_rng(0).standard_t(3, (300, 4)) + 0.3
    turn, _ = np.linalg.qr(normal(4, 4))
    assert figure(block @ turn, PLAIN).value == pytest.approx(figure(block, PLAIN).value, rel=1e-6, abs=1e-9)
    assert figure(block, PLAIN).low > figure.null(300, 4, PLAIN).high


@pytest.mark.parametrize(("dim", "norm"), [(1, 0.0), (1, 2.0), (30, 5.0), (500, 60.0)])
def test_the_distance_to_a_normal_point_is_its_mean_over_many(dim, norm):
    point = np.zeros(dim)
    point[0] = norm
    sampled = np.linalg.norm(point - normal(20_000, dim), axis=1)
    error = 4 * sampled.std() / np.sqrt(len(sampled))
    assert distance_to_normal(np.array([norm]), dim)[0] == pytest.approx(sampled.mean(), abs=error)


def test_two_items_are_too_few():
    with pytest.raises(DataError, match="2 items are too few"):
        mean_error(normal(2, 3), PLAIN)
