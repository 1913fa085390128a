"""Pairs that have nothing in common, items of different sources, and how a concept is found by its factor's name."""

import numpy as np
import pytest

from iin_cli.data import open_dataset
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.memory import MemoryDataset
from iin_cli.measures.audit.material import concept_of_factor, disjoint_pairs, distinct_items, given_concepts
from iin_cli.plugin_api import Groups
from iin_cli.translator.factors import Factors


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


def test_a_factors_name_says_its_concept():
    shapes, digits = open_dataset("shapes"), open_dataset("digits")
    share = Factors.of({"roundness_": 1, "roundness": 1, "digit": 1, "gone": 1, "residual": 1})
    differ = Factors.of({"hue": 1, "greyscale": 1, "residual": 1}, relations={"hue": "differ", "greyscale": "differ"})
    assert concept_of_factor("digit", share, digits) == "digit"
    assert concept_of_factor("greyscale", differ, digits) == "greyscale"
    assert concept_of_factor("hue", differ, shapes) == "redraw:hue"
    assert concept_of_factor("hue", Factors.of({"hue": 1, "residual": 1}), shapes) == "attribute:hue"
    measured = MemoryDataset(np.zeros((3, 8, 8), np.uint8), {"color": [0.1, 0.5, 0.2]})
    # Only labels are paired by the concept of that name.
    assert concept_of_factor("color", Factors.of({"color": 1, "residual": 1}), measured) == "attribute:color"
    with pytest.raises(DataError, match=r"no label 'gone'.*--concept"):
        concept_of_factor("gone", share, digits)


def test_a_concept_that_is_no_factor():
    with pytest.raises(UsageError, match=r"no factor 'class'.*choose from: color, digit"):
        given_concepts(["class"], Factors.of({"digit": 1, "color": 1, "residual": 1}))
