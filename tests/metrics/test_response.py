"""Responses against closed forms, comparisons against what is planted in them."""

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.metrics.bootstrap import Resampling, mean_interval
from iin_cli.metrics.response import (
    LESS,
    MORE,
    TOO_FEW,
    UNDECIDED,
    class_response,
    compare,
    image_response,
    mean_intervals,
    negative_rate,
    quantiles,
    random_subspace,
)


def figures(mean, seed, shape):
    return np.abs(np.random.default_rng(seed).normal(mean, 0.1, shape))


def test_many_means_at_once_are_those_of_the_bootstrap():
    values = figures(1, 0, (40, 3))
    for found, column in zip(mean_intervals(values, seed=4), values.T, strict=True):
        one = mean_interval(column, Resampling(seed=4))
        assert (found.value, found.low, found.high, found.items) == pytest.approx(
            (one.value, one.low, one.high, one.items)
        )


@pytest.mark.parametrize(("mean", "verdict"), [(1.2, MORE), (0.8, LESS), (1.0, UNDECIDED)])
def test_the_verdict_says_on_which_side_of_chance_a_factor_lies(mean, verdict):
    (found,) = compare(figures(mean, 0, (60, 1)), figures(1, 1, (3, 60, 1)))
    assert found.verdict == verdict
    assert found.ratio.value == pytest.approx(found.factor.value / found.control.value)
    assert found.difference.value == pytest.approx(found.factor.value - found.control.value)
    assert np.mean(found.controls) == pytest.approx(found.control.value)


def test_images_are_paired_with_their_own_controls():
    # What an image does to both of them says nothing of the difference.
    of_image = np.random.default_rng(0).uniform(0, 10, (80, 1))
    (found,) = compare(of_image + 0.1, of_image[None])
    assert found.verdict == MORE
    assert found.difference.high - found.difference.low < 1e-6
    assert found.factor.high - found.factor.low > 1


def test_subspaces_that_differ_widen_the_interval():
    factor, control = figures(1.05, 0, (200, 1)), figures(1, 1, (3, 200, 1))
    assert compare(factor, control)[0].verdict == MORE
    unlike = control + np.array([-0.5, 0, 0.5]).reshape(3, 1, 1)
    assert compare(factor, unlike)[0].verdict == UNDECIDED


def test_too_few_images_and_no_change_give_no_verdict():
    assert compare(np.ones((5, 1)), np.zeros((3, 5, 1)))[0].verdict == TOO_FEW
    (still,) = compare(np.zeros((60, 1)), np.zeros((3, 60, 1)))
    assert (still.verdict, still.ratio) == (UNDECIDED, None)
    (equal,) = compare(np.full((60, 1), 0.3), np.full((3, 60, 1), 0.3))
    assert equal.verdict == UNDECIDED
    assert equal.as_dict()["ratio"]["value"] == pytest.approx(1)
    # The figure itself stands where JSON holds every figure.
    assert equal.as_dict()["value"] == equal.factor.value


def test_what_cannot_be_compared_is_told():
    with pytest.raises(DataError, match="not finite"):
        compare(np.full((6, 1), np.nan), np.ones((3, 6, 1)))
    with pytest.raises(DataError, match="at least one"):
        mean_intervals(np.ones((0, 2)))


def test_flips_and_divergence_of_known_probabilities():
    start = torch.tensor([[0.75, 0.25], [0.75, 0.25]]).log()
    points = torch.tensor([[[0.75, 0.25], [0.25, 0.75]], [[0.75, 0.25], [0.75, 0.25]]]).log()
    found = class_response(start, points)
    assert found["flip_rate"].ravel() == pytest.approx([0.5, 0])
    # KL(p ‖ q) = Σ p log(p / q), here of one point of two.
    assert found["kl"].ravel() == pytest.approx([0.5 * (0.75 * np.log(3) - 0.25 * np.log(3)), 0], abs=1e-6)
    assert found["change"] == pytest.approx(np.array([[0.5 * np.log(3)] * 2, [0, 0]]), abs=1e-6)
    assert found["log_probability"][1] == pytest.approx(np.log([0.75, 0.25]))


def test_one_class_alone_never_flips():
    found = class_response(torch.zeros(3, 1), torch.zeros(3, 4, 1))
    assert not any(values.any() for values in found.values())


def test_the_change_of_an_image_is_in_units_of_full_brightness():
    start = torch.full((1, 3, 4, 4), -1.0)
    points = start[:, None].repeat(1, 2, 1, 1, 1)
    # Red goes all the way, and beyond white there is nothing.
    points[0, 0, 0] = 5.0
    found, single = image_response(start, points)
    assert found["absolute_change"][0] == pytest.approx([1 / 6, 0.5, 0, 0])
    assert found["squared_change"][0] == pytest.approx([1 / 6, 0.5, 0, 0])
    assert single[0] == pytest.approx(np.array([[1 / 3, 1, 0, 0], [0, 0, 0, 0]]))


def test_only_features_that_are_never_negative_are_judged():
    z = torch.tensor([[[-1.0, -1.0, 1.0], [-0.01, -1.0, 1.0]]])
    found = negative_rate(z, torch.tensor([True, False, True]), torch.full((3,), 0.1))
    assert found.tolist() == [[0.25]]


def test_a_random_subspace_is_orthonormal_and_as_likely_as_any_other():
    basis = random_subspace(9, 4, seed=1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(4), atol=1e-5, rtol=0)
    assert torch.equal(basis, random_subspace(9, 4, seed=1))
    projections = torch.stack([b.T @ b for b in (random_subspace(9, 4, seed) for seed in range(400))])
    # The mean projection on a uniform subspace is (size / dim) · I.
    torch.testing.assert_close(projections.mean(0), torch.eye(9) * 4 / 9, atol=0.06, rtol=0)


def test_quantiles_are_named_after_their_level():
    assert quantiles(np.arange(101, dtype=np.float32)[:, None])[0] == pytest.approx(
        {"0.05": 5, "0.25": 25, "0.5": 50, "0.75": 75, "0.95": 95}
    )
