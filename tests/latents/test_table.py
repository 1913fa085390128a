"""Rows of a table are those of its blocks; pairs to fit to and pairs held out have no row in common."""

import numpy as np
import pytest

from iin_cli.errors import DataError
from iin_cli.latents.cache import Latents
from iin_cli.latents.pairs import step_generator
from iin_cli.latents.table import ConceptPairs, LatentTable


def test_a_table_gathers_from_its_blocks():
    blocks = [Latents(np.full((n, 2), n, np.float32), np.full((n, 2), np.log(4), np.float32)) for n in (3, 1, 2)]
    table = LatentTable(blocks)
    rows = np.array([5, 0, 3, 2])
    assert table.mean(rows)[:, 0].tolist() == [2, 3, 1, 3]
    assert table.sample(rows, np.ones((4, 2), np.float32))[:, 1].tolist() == [4, 5, 3, 5]
    point = LatentTable([Latents(blocks[0].mean, None)])
    assert point.sample(np.array([1]), np.empty((0, 0))).tolist() == [[3, 3]]


def test_pairs_are_of_rows_on_one_side():
    rows, groups, held_out = np.arange(10, 40), np.arange(30) % 3, np.arange(40) >= 34
    pairs = ConceptPairs.of("x", "share", rows, groups, held_out, np.arange(40))
    for sampler, expected in ((pairs.fit, rows[:24]), (pairs.held_out, rows[24:])):
        a, b = sampler.draw(500, step_generator(0, 0, 0))
        assert set(a) == set(b) == set(expected)
        assert (groups[a - 10] == groups[b - 10]).all()
    assert ConceptPairs.of("x", "share", rows, groups, np.zeros(40, bool), np.arange(40)).held_out is None
    with pytest.raises(DataError, match="concept x makes no pair"):
        ConceptPairs.of("x", "share", rows, groups, np.ones(40, bool), np.arange(40))
