"""Dimensions of the factors (Eq 11): closed forms, and sums that always are N."""

import itertools
import math

import pytest
import torch

from iin_cli.errors import DataError, UsageError
from iin_cli.translator.dims import allocate, complete, score


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
