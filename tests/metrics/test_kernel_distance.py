"""Kernel distance against its definition, against torch-fidelity on the same features, and its interval."""

import itertools

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.metrics import kernel_distance as room
from iin_cli.metrics.kernel_distance import KernelSums, kernel_distance


def rows(count, dim=6, seed=0, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator) + shift


def measured(a, b, **options):
    return kernel_distance(KernelSums(a), KernelSums(b), **options)


def mmd(a, b):
    """The unbiased MMD², pair by pair."""
    k = lambda x, y: (float(x.double() @ y.double()) / len(x) + 1) ** 3  # noqa: E731
    within = [np.mean([k(x, y) for x, y in itertools.permutations(each, 2)]) for each in (a, b)]
    return sum(within) - 2 * np.mean([k(x, y) for x in a for y in b])


def test_it_is_the_definition_whatever_the_blocks(monkeypatch):
    monkeypatch.setattr(room, "BLOCK_ROWS", 5)
    a, b = rows(12), rows(12, seed=1, shift=0.5)
    found = measured(a, b)
    assert found.value == pytest.approx(mmd(a, b), rel=1e-12)
    # One subset of everything: there is nothing to vary.
    assert (found.std, found.subset_size) == (0, 12)
    assert measured(b, a).value == pytest.approx(found.value, rel=1e-12)
    own = KernelSums(a).row_sums
    assert own.tolist() == pytest.approx([mmd_row(a, place) for place in range(12)])


def mmd_row(a, place):
    return sum((float(a[place].double() @ a[other].double()) / 6 + 1) ** 3 for other in range(len(a)) if other != place)


def test_the_error_is_that_of_leaving_out_one_image():
    a, b = rows(9), rows(7, seed=1, shift=0.5)
    variance = 0.0
    for own, other in ((a, b), (b, a)):
        left = np.array([mmd(torch.cat((own[:i], own[i + 1 :])), other) for i in range(len(own))])
        variance += (len(own) - 1) / len(own) * np.square(left - left.mean()).sum()
    found = measured(a, b)
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * variance**0.5, rel=1e-9)


def test_sets_of_one_source_differ_by_nothing_and_others_by_much():
    close = measured(rows(300), rows(200, seed=1))
    far = measured(rows(300), rows(200, seed=1, shift=0.5))
    assert close.low < 0 < close.high
    assert far.low > close.high


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_equals_torch_fidelity(dtype):
    reference = pytest.importorskip("torch_fidelity.metric_kid")
    a, b = rows(150, 32), rows(130, 32, seed=1, shift=0.2)
    options = {"kid_subsets": 9, "kid_subset_size": 80, "rng_seed": 2020, "verbose": False}
    theirs = reference.kid_features_to_metric(a.to(dtype), b.to(dtype), **options)
    ours = measured(a, b, subsets=9, subset_size=80)
    assert ours.value == pytest.approx(theirs["kernel_inception_distance_mean"], abs=1e-6)
    assert ours.std == pytest.approx(theirs["kernel_inception_distance_std"], abs=1e-6)


def test_what_cannot_be_compared():
    with pytest.raises(DataError, match="features of size 6 and 5 cannot be compared"):
        measured(rows(9), rows(9, 5))
    with pytest.raises(DataError, match="at least 2 images, there are 1"):
        KernelSums(rows(1))
    with pytest.raises(DataError, match="subsets of 10 images cannot be drawn from 9"):
        measured(rows(20), rows(9), subset_size=10)
