"""Sizes of factors at one layer: by the spectrum, and by Eq 11 from variances and from correlations."""

import numpy as np
import pytest
import torch

from iin_cli.sizing import layer_sizes as room
from iin_cli.sizing.layer_sizes import PairedItems, layer_sizes
from iin_cli.translator.dims import allocate, score


@pytest.fixture
def layer():
    """Features of which the first two say the kind, the first one loudly; and a label that nothing says."""
    generator = np.random.default_rng(0)
    kind = np.arange(600) % 6
    noise = generator.permutation(kind)
    centers = generator.standard_normal((6, 2)) * 2
    z = generator.standard_normal((600, 10))
    z[:, :2] += centers[kind]
    z[:, 0] *= 10
    rows = np.arange(600)
    items = [PairedItems(name, "share", rows, groups, rows) for name, groups in (("kind", kind), ("noise", noise))]
    return torch.from_numpy(z).float(), items


def pair_score(z, groups, estimator):
    a, b = (np.concatenate(part) for part in zip(*map(both, np.unique(groups), [groups] * 9), strict=False))
    return score(z[a], z[b], "share", estimator)


def both(value, groups):
    mine = np.flatnonzero(groups == value)
    a, b = np.meshgrid(mine, mine)
    other = a != b
    return a[other], b[other]


def test_both_readings_of_eq_11_are_those_of_all_pairs(layer):
    z, items = layer
    found = layer_sizes(z, items)
    for reading, estimator in (("code", "variance"), ("paper", "correlation")):
        wanted = {own.name: pair_score(z, own.groups, estimator) for own in items}
        assert found.scores[reading] == pytest.approx(wanted, abs=1e-5)
        assert getattr(found, reading) == allocate(wanted, 10)
    # One loud direction makes most of the variance, and a tenth of the correlations.
    assert found.scores["code"]["kind"] > 2 * found.scores["paper"]["kind"]


def test_the_spectrum_counts_directions_and_none_of_an_absent_concept(layer):
    found = layer_sizes(*layer)
    assert found.spectrum == {"kind": 2, "noise": 0}
    assert found.explained["kind"] > 0.5 > found.explained["noise"]


def test_a_wide_layer_is_read_in_its_leading_components(layer, monkeypatch):
    z, items = layer
    monkeypatch.setattr(room, "SPECTRUM_WIDTH", 6)
    for width in (40, 700):
        wide = torch.cat((z, 0.01 * torch.randn(600, width, generator=torch.Generator().manual_seed(0))), 1)
        assert layer_sizes(wide, items).spectrum == {"kind": 2, "noise": 0}


def test_a_layer_that_is_dead_or_too_narrow_has_no_sizes(layer):
    z, items = layer
    dead = layer_sizes(torch.zeros(600, 10), items)
    assert (dead.spectrum, dead.code, dead.scores["code"]) == (None, None, {})
    narrow = layer_sizes(z[:, :2], items)
    assert (narrow.spectrum, narrow.code) == (None, None)
