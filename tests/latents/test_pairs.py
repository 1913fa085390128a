"""Fresh pairs: of one group, never of an item with itself, and the same for the same (seed, step, number)."""

import numpy as np
import pytest

from iin_cli.errors import DataError
from iin_cli.latents.pairs import PairSampler, step_generator

GROUPS = np.array([7, 3, 7, 9, 3, 7, 5, 3, 7])
ROWS = np.arange(100, 109)


@pytest.fixture
def sampler():
    return PairSampler.of(ROWS, GROUPS, "digit")


def test_pairs_are_two_items_of_one_group(sampler):
    a, b = sampler.draw(2000, step_generator(0, 0, 0))
    group = dict(zip(ROWS, GROUPS, strict=True))
    assert all(group[x] == group[y] and x != y for x, y in zip(a, b, strict=True))
    # Items 103 and 106 are alone in their groups.
    assert set(a) == set(b) == set(ROWS) - {103, 106}


def test_items_and_their_partners_are_uniform(sampler):
    a, b = sampler.draw(70_000, step_generator(1, 0, 0))
    counts = np.bincount(a - 100)
    np.testing.assert_allclose(counts[counts > 0], 10_000, rtol=0.05)
    of_first = np.bincount(b[a == 100] - 100, minlength=9)
    np.testing.assert_allclose(of_first[[2, 5, 8]], len(b[a == 100]) / 3, rtol=0.08)


def test_a_longer_draw_begins_with_the_shorter(sampler):
    long, short = sampler.draw(50, step_generator(3, 1, 7)), sampler.draw(8, step_generator(3, 1, 7))
    for side in (0, 1):
        np.testing.assert_array_equal(long[side][:8], short[side])


def test_seed_stream_and_step_each_change_the_draw():
    base = step_generator(1, 2, 3).random(4)
    np.testing.assert_array_equal(base, step_generator(1, 2, 3).random(4))
    for other in ((0, 2, 3), (1, 0, 3), (1, 2, 4)):
        assert not np.array_equal(base, step_generator(*other).random(4))


def test_steps_do_not_overlap():
    drawn = np.concatenate([step_generator(1, 0, step).random(1000) for step in range(20)])
    assert len(np.unique(drawn)) == len(drawn)


def test_no_pair_at_all():
    with pytest.raises(DataError, match="concept hue makes no pair"):
        PairSampler.of(np.arange(3), np.arange(3), "hue")
    with pytest.raises(DataError):
        PairSampler.of(np.arange(0), np.arange(0), "hue")
