"""Pairs that have nothing in common, and items of different sources."""

import numpy as np
import pytest

from iin_cli.data import open_dataset
from iin_cli.errors import DataError
from iin_cli.measures.audit.material import disjoint_pairs, distinct_items
from iin_cli.plugin_api import Groups


def grouped(ids):
    ids = np.asarray(ids, np.int64)
    return Groups(np.arange(len(ids)), np.zeros(len(ids), np.int64), ids)


def test_pairs_are_of_one_group_and_no_item_is_in_two():
    groups = grouped(np.random.default_rng(0).integers(0, 7, 101))
    a, b = disjoint_pairs(groups, 1000, 0)
    assert (groups.group_ids[a] == groups.group_ids[b]).all()
    rows = np.concatenate((a, b))
    assert len(np.unique(rows)) == len(rows)
    assert len(a) == sum(np.bincount(groups.group_ids) // 2)


def test_every_group_is_heard_before_any_is_heard_twice():
    groups = grouped([0] * 50 + list(range(1, 11)) * 2)
    a, _ = disjoint_pairs(groups, 11, 0)
    assert sorted(groups.group_ids[a]) == list(range(11))
    few, _ = disjoint_pairs(groups, 5, 1)
    assert len(set(groups.group_ids[few])) == 5
    assert set(groups.group_ids[few]) != {0, 1, 2, 3, 4}


def test_single_items_make_no_pair():
    with pytest.raises(DataError, match="no two"):
        disjoint_pairs(grouped([0, 1, 2]), 5, 0)


def test_items_are_of_different_sources():
    dataset = open_dataset("colordigits")

    class Pool:
        items = dataset.splits["test"]

        def __len__(self):
            return len(self.items)

    pool = Pool()
    pool.dataset = dataset
    rows = distinct_items(pool, 100, 0)
    assert len(np.unique(dataset.sources[pool.items[rows]])) == len(rows) == 100
    everything = distinct_items(pool, 10**6, 0)
    assert len(everything) == len(np.unique(dataset.sources[pool.items]))
