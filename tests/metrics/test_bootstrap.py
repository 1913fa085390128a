"""Intervals against what is known of means."""

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from iin_cli.errors import DataError
from iin_cli.metrics.bootstrap import Interval, Resampling, bootstrap, mean_interval


def test_the_interval_of_a_mean_is_the_normal_one():
    values = np.random.default_rng(0).standard_normal(400)
    found = mean_interval(values, Resampling())
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.items == 400
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_it_holds_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(1)
    found = [mean_interval(generator.standard_normal(60), Resampling(300)) for _ in range(200)]
    assert 0.90 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 0.98


@pytest.mark.parametrize("items", [2, 30, 500])
def test_it_is_scipys_percentile_interval(items):
    values = np.random.default_rng(items).standard_normal((items, 2))

    def correlation(chosen):
        return np.corrcoef(values[chosen].T)[0, 1] if items > 2 else values[chosen].mean()

    found = bootstrap(correlation, items, Resampling(300, seed=5))
    theirs = scipy_bootstrap(
        (np.arange(items),), correlation, vectorized=False, n_resamples=300, method="percentile", rng=5
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_what_belongs_together_is_drawn_together():
    # Fifty points of each of ten items say no more than ten items do.
    each = np.repeat(np.random.default_rng(2).standard_normal((10, 1)), 50, axis=1)
    found, of_one = (mean_interval(values, Resampling()) for values in (each, each[:, 0]))
    assert found.items == 10
    assert (found.low, found.high) == pytest.approx((of_one.low, of_one.high))


def test_any_statistic_and_resamples_that_have_none():
    labels = np.array([0] * 3 + [1] * 27)

    def rate(chosen):
        return np.nan if (labels[chosen] == 0).sum() == 0 else labels[chosen].mean()

    found = bootstrap(rate, 30, Resampling(200))
    assert found.value == pytest.approx(0.9)
    assert found.high < 1


def test_one_seed_one_interval():
    values = np.arange(30.0)
    assert mean_interval(values, Resampling(seed=3)) == mean_interval(values, Resampling(seed=3))
    assert mean_interval(values, Resampling(seed=3)) != mean_interval(values, Resampling(seed=4))


def test_nothing_to_measure():
    with pytest.raises(DataError, match="at least one item"):
        mean_interval(np.zeros(0), Resampling())
    with pytest.raises(DataError, match="not finite"):
        bootstrap(lambda chosen: float("nan"), 3, Resampling())


def test_an_interval_in_words_and_as_json():
    low = Interval(0.1, 0.0, 0.2, 9)
    assert str(low) == "0.100 [0.000, 0.200]"
    assert low.as_dict() == {"value": 0.1, "low": 0.0, "high": 0.2, "items": 9}
