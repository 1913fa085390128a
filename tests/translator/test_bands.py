"""Bootstrap bands of the pair spectrum: they hold the truth, and shrink as pairs become more."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from iin_cli.translator.bands import bands
from iin_cli.translator.pair_moments import PairedRows, moments

ONE = torch.eye(1, dtype=torch.float64)


def shared(seed: int, count: int, correlation: float = 0.5) -> PairedRows:
    """Return pairs of one number that correlate."""
    generator = np.random.default_rng(seed)
    both = generator.normal(size=count)[:, None]
    own = generator.normal(size=(count, 2))
    z = correlation**0.5 * both + (1 - correlation) ** 0.5 * own
    return PairedRows("side", "share", torch.from_numpy(z.reshape(-1, 1)).float(), np.repeat(np.arange(count), 2))


def rendered(seed: int, count: int) -> PairedRows:
    """Return things and their renderings, which differ by as much as the things do: half of it is explained."""
    generator = np.random.default_rng(seed)
    z = generator.normal(size=(2, count))
    return PairedRows("grey", "differ", torch.from_numpy(z.reshape(-1, 1)).float(), np.tile(np.arange(count), 2))


@pytest.mark.parametrize(("make", "truth"), [(shared, 0.5), (rendered, 0.5)])
def test_bands_hold_the_truth_nine_times_in_ten(make, truth):
    held = 0
    for seed in range(40):
        rows = make(seed, 300)
        low, high = bands(rows, moments(rows.z, [rows], [], rows.z), ONE, 200, seed)[0]
        held += low < truth < high
    assert held >= 34


def test_bands_shrink_as_the_square_root_of_the_pairs():
    widths = []
    for count in (200, 3200):
        rows = shared(0, count)
        low, high = bands(rows, moments(rows.z, [rows], [], rows.z), ONE, 300, 0)[0]
        widths.append(high - low)
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.3)


def test_one_seed_one_band():
    rows = shared(0, 100)
    known = moments(rows.z, [rows], [], rows.z)
    assert (bands(rows, known, ONE, 50, 1) == bands(rows, known, ONE, 50, 1)).all()
