"""Dimensions of the factors (Eq 11): closed forms, and sums that always are N."""

import itertools
import math

import pytest
import torch

from iin_cli.errors import DataError, UsageError
from iin_cli.translator.dims import allocate, allocate_calibrated, complete, score


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("estimator", ["variance", "correlation"])
def test_equal_pairs_share_everything_and_independent_ones_nothing(estimator):
    z = noise(20_000, 5)
    assert score(z, z, "share", estimator) == pytest.approx(1)
    assert score(z, noise(20_000, 5, seed=1), "share", estimator) == pytest.approx(0, abs=0.02)
    assert score(z, z, "differ", estimator) == pytest.approx(0)


def test_what_is_common_is_weighed_by_variance_or_counted():
    """One component of variance 9 is common, three of variance 1 are not: 9/12 of the variance, 1/4 of the count."""
    common = noise(50_000, 1) * 3
    a, b = (torch.cat([common, noise(50_000, 3, seed=seed)], 1) for seed in (1, 2))
    assert score(a, b, "share", "variance") == pytest.approx(9 / 12, abs=0.01)
    assert score(a, b, "share", "correlation") == pytest.approx(1 / 4, abs=0.01)
    assert score(a, b, "differ", "variance") == pytest.approx(3 / 12, abs=0.01)


def test_a_mean_is_no_variance_and_dead_components_do_not_count():
    z = torch.cat([noise(1000, 2) + 100, torch.full((1000, 3), 7.0)], 1)
    assert score(z, z, "share", "correlation") == pytest.approx(1)
    assert score(z, z, "share", "variance") == pytest.approx(1)


def test_scores_of_nothing_are_refused():
    with pytest.raises(DataError, match="do not vary"):
        score(torch.ones(5, 3), torch.ones(5, 3), "share")
    with pytest.raises(DataError, match="1 pairs are too few"):
        score(torch.ones(1, 3), torch.ones(1, 3), "share")


@pytest.mark.parametrize(
    ("wanted", "dim"), [({"digit": 12, "color": 19}, 64), ({"digit": 22, "color": 11}, 64), ({"hue": 100}, 256)]
)
def test_the_softmax_gives_back_the_sizes_it_is_the_softmax_of(wanted, dim):
    """Table 1's sizes as scores: s_F = 1 + log(N_F / N_residual)."""
    rest = dim - sum(wanted.values())
    scores = {name: 1 + math.log((size + 0.01) / rest) for name, size in wanted.items()}
    assert allocate(scores, dim) == {**wanted, "residual": rest}


def test_equal_scores_get_equal_parts():
    assert allocate({"a": 1.0, "b": 1.0, "c": 1.0}, 16) == {"a": 4, "b": 4, "c": 4, "residual": 4}


@pytest.mark.parametrize("dim", [3, 4, 10, 64])
def test_sizes_always_sum_to_n_and_leave_none_empty(dim):
    for values in itertools.product([-5.0, 0.0, 0.5, 1.0, 5.0], repeat=2):
        sizes = allocate(dict(zip("ab", values, strict=True)), dim)
        assert sum(sizes.values()) == dim
        assert min(sizes.values()) >= 1
        assert list(sizes) == ["a", "b", "residual"]


def test_as_many_concepts_as_fit():
    scores = {str(number): 0.0 for number in range(9)}
    assert set(allocate({**scores, "0": 1.0}, 10).values()) == {1}
    with pytest.raises(UsageError, match="9 concepts and a residual do not fit into 9"):
        allocate(scores, 9)


def test_the_residual_takes_the_rest():
    assert complete({"digit": 13, "color": 17}, 64) == {"digit": 13, "color": 17, "residual": 34}
    assert complete({"residual": 34, "digit": 13, "color": 17}, 64) == {"digit": 13, "color": 17, "residual": 34}
    assert complete({}, 5) == {"residual": 5}


def test_sizes_that_do_not_sum_are_refused():
    with pytest.raises(UsageError, match="do not sum to the latent's 64"):
        complete({"digit": 13, "residual": 50}, 64)
    with pytest.raises(UsageError, match="leave 0 of 30"):
        complete({"digit": 13, "color": 17}, 30)


@pytest.mark.parametrize("concepts", [1, 2, 5])
def test_calibrated_sizes_give_what_is_not_there_the_one_it_must_have(concepts):
    names = [f"noise {number}" for number in range(concepts)]
    assert allocate_calibrated(dict.fromkeys(names, 0.0), 64) == {**dict.fromkeys(names, 1), "residual": 64 - concepts}
    assert allocate_calibrated(dict.fromkeys(names, -0.3), 64) == allocate_calibrated(dict.fromkeys(names, 0.0), 64)
    # Eq 11 gives each N / (K + e).
    assert allocate({names[0]: 0.0}, 64)[names[0]] == math.floor(64 / (1 + math.e))


def test_calibrated_sizes_of_what_is_everything_are_equal_and_grow_with_the_score():
    assert allocate_calibrated({"a": 1.0, "b": 1.0, "c": 1.0}, 16) == {"a": 4, "b": 4, "c": 4, "residual": 4}
    sizes = [allocate_calibrated({"a": score, "b": 0.0}, 64)["a"] for score in (0.0, 0.1, 0.2, 0.5, 0.9)]
    assert sizes == sorted(set(sizes))
    assert sizes[3] == math.floor(64 * math.expm1(0.5) / (math.expm1(0.5) + math.expm1(1)))
    # An absent one does not thin out the others.
    assert allocate_calibrated({"a": 0.5}, 64)["a"] == sizes[3]


def test_calibrated_sizes_always_sum_to_n():
    for values in itertools.product([-1.0, 0.0, 0.5, 5.0], repeat=3):
        sizes = allocate_calibrated(dict(zip("abc", values, strict=True)), 5)
        assert sum(sizes.values()) == 5
        assert min(sizes.values()) >= 1
    with pytest.raises(UsageError, match="2 concepts and a residual do not fit into 2"):
        allocate_calibrated({"a": 0.0, "b": 0.0}, 2)
