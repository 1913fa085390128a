"""Pair correlations against those the pairs were drawn with."""

import numpy as np
import pytest

from iin_cli.errors import DataError
from iin_cli.metrics.bootstrap import Resampling
from iin_cli.metrics.correlation import PairCorrelation

PLAIN = Resampling()
BLOCKS = (slice(0, 3), slice(3, 8))


def pairs(count, rho, seed=0):
    generator = np.random.default_rng(seed)
    a = generator.standard_normal((count, 8))
    b = rho * a + np.sqrt(1 - rho**2) * generator.standard_normal((count, 8))
    return a, b


RHO = np.array([0.9] * 3 + [0.0] * 5)


def test_the_correlation_is_the_one_pairs_were_drawn_with_whatever_their_scale():
    a, b = pairs(1500, RHO)
    found = PairCorrelation(5 * a + 100, 0.1 * b - 7, PLAIN)
    alike, apart = (found.block(where) for where in BLOCKS)
    assert alike.low < 0.9 < alike.high
    assert apart.low < 0 < apart.high
    assert alike.high - alike.low < 0.03
    assert alike.value == pytest.approx(np.mean([np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(3)]), abs=1e-5)


def test_the_interval_is_as_wide_as_the_scatter_of_new_pairs():
    values = [PairCorrelation(*pairs(200, RHO, seed), PLAIN).block(BLOCKS[0]).value for seed in range(1, 40)]
    interval = PairCorrelation(*pairs(200, RHO), PLAIN).block(BLOCKS[0])
    assert 0.6 < (interval.high - interval.low) / (2 * 1.96 * np.std(values)) < 1.6


def test_rotating_a_block_changes_nothing():
    a, b = pairs(4000, RHO)
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
    plain, turned = PairCorrelation(a, b, PLAIN), PairCorrelation(a[:, :3] @ turn, b[:, :3] @ turn, PLAIN)
    assert turned.block(BLOCKS[0]).value == pytest.approx(plain.block(BLOCKS[0]).value, abs=0.01)


def test_shuffled_pairs_have_no_correlation():
    null = PairCorrelation(*pairs(300, RHO), PLAIN).shuffled(BLOCKS[0])
    assert abs(null.value) < 0.02
    assert null.low < 0 < null.high < 0.2


def test_the_gap_is_the_greatest_deviation():
    found = PairCorrelation(*pairs(2000, RHO), PLAIN)
    assert found.gap(BLOCKS, (0.9, 0.0)).value < 0.03
    assert found.gap(BLOCKS, (0.9, 0.5)).value == pytest.approx(0.5, abs=0.03)


def test_dead_dimensions_are_left_out_and_two_pairs_are_too_few():
    a, b = pairs(500, RHO)
    a[:, 1] = 3.0
    assert PairCorrelation(a, b, PLAIN).block(BLOCKS[0]).value == pytest.approx(0.9, abs=0.03)
    with pytest.raises(DataError, match="2 pairs are too few"):
        PairCorrelation(a[:2], b[:2], PLAIN)
