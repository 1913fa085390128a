"""Pair likelihood against torch.distributions with the covariance written out."""

import itertools
import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from iin_cli.errors import UsageError
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator
from iin_cli.translator.likelihood import (
    bits_per_dim,
    correlations,
    marginal_pair_nll,
    mask_posterior,
    nll,
    pair_nll,
)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


FACTORS = Factors.of(
    {"digit": 2, "grey": 1, "residual": 3}, {"digit": 0.9, "grey": 0.5, "residual": 0.7}, {"grey": "differ"}
)


@pytest.mark.parametrize("mask", [(0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1)])
def test_pairs_are_jointly_gaussian_with_that_covariance(mask):
    a, b = noise(5, 6), noise(5, 6, seed=1)
    log_det_a, log_det_b = noise(5, seed=2), noise(5, seed=3)
    rho = correlations(FACTORS, mask).double()
    covariance = torch.eye(12, dtype=torch.float64)
    covariance[:6, 6:] = covariance[6:, :6] = torch.diag(rho)
    joint = MultivariateNormal(torch.zeros(12, dtype=torch.float64), covariance)
    expected = -(joint.log_prob(torch.cat([a, b], 1)) + log_det_a + log_det_b)
    torch.testing.assert_close(pair_nll(a, log_det_a, b, log_det_b, rho), expected)


def test_a_pair_has_no_first_and_second():
    a, b, zero = noise(5, 6), noise(5, 6, seed=1), torch.zeros(5, dtype=torch.float64)
    rho = correlations(FACTORS, (1, 0, 1)).double()
    torch.testing.assert_close(pair_nll(a, zero, b, zero, rho), pair_nll(b, zero, a, zero, rho))


def test_pairs_that_share_nothing_are_two_singles():
    a, b, log_det = noise(5, 6), noise(5, 6, seed=1), noise(5, seed=2)
    apart = nll(a, log_det) + nll(b, 2 * log_det)
    torch.testing.assert_close(pair_nll(a, log_det, b, 2 * log_det, torch.zeros(6, dtype=torch.float64)), apart)


def test_equation_12_is_a_normal_under_a_change_of_variables():
    z_tilde, log_det = noise(4, 3), noise(4, seed=1)
    expected = -(Normal(0.0, 1.0).log_prob(z_tilde).sum(1) + log_det)
    torch.testing.assert_close(nll(z_tilde, log_det), expected)


def test_a_translator_s_density_integrates_to_one():
    """exp(−NLL) over a grid of the plane: the likelihood is one of z, not of z̃."""
    translator = Translator(2, blocks=2, hidden=4, depth=1, seed=0).double()
    axis = torch.linspace(-25, 25, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        density = torch.exp(-nll(*translator(grid)))
    assert density.sum().item() * (axis[1] - axis[0]).item() ** 2 == pytest.approx(1, abs=0.02)


def test_masks_spread_over_dimensions():
    assert correlations(FACTORS, FACTORS.mask("digit")).tolist() == pytest.approx([0.9, 0.9, 0, 0, 0, 0])
    assert correlations(FACTORS, FACTORS.mask("grey")).tolist() == pytest.approx([0.9, 0.9, 0, 0.7, 0.7, 0.7])
    rows = correlations(FACTORS, torch.tensor([[1, 0, 0], [0, 1, 0]], dtype=torch.uint8))
    assert rows.shape == (2, 6)
    assert rows[1].tolist() == pytest.approx([0, 0, 0.5, 0, 0, 0])


def test_one_mask_per_pair_is_the_same_as_pair_by_pair():
    a, b, zero = noise(2, 6), noise(2, 6, seed=1), torch.zeros(2, dtype=torch.float64)
    masks = torch.tensor([[1, 0, 0], [1, 0, 1]])
    together = pair_nll(a, zero, b, zero, correlations(FACTORS, masks).double())
    for row in (0, 1):
        rho = correlations(FACTORS, masks[row]).double()
        torch.testing.assert_close(pair_nll(a, zero, b, zero, rho)[row], together[row])


def test_a_mask_of_another_width_is_refused():
    with pytest.raises(UsageError, match="2 columns for 3 factors"):
        correlations(FACTORS, (1, 0))


def test_bits_per_dim():
    assert bits_per_dim(8 * math.log(2), 4) == pytest.approx(2)


def test_what_is_not_known_of_a_pair_is_summed_over():
    """Against the sum of exp(−pair_nll) over all masks, each with its prior."""
    a, b, zero = torch.randn(5, 6), torch.randn(5, 6), torch.zeros(5)
    prior = torch.rand(5, 3) * 0.8 + 0.1
    total = torch.zeros(5, dtype=torch.float64)
    shared = torch.zeros(5, 3, dtype=torch.float64)
    for mask in itertools.product((0, 1), repeat=3):
        chosen = torch.tensor(mask)
        chance = torch.where(chosen.bool(), prior, 1 - prior).prod(1).double()
        joint = chance * (-pair_nll(a, zero, b, zero, correlations(FACTORS, mask)).double()).exp()
        total += joint
        shared += joint[:, None] * chosen
    found = marginal_pair_nll(a, zero, b, zero, FACTORS, prior)
    torch.testing.assert_close(found.double(), -total.log(), atol=1e-4, rtol=1e-5)
    posterior = mask_posterior(a, b, FACTORS, prior).double()
    torch.testing.assert_close(posterior, shared / total[:, None], atol=1e-5, rtol=1e-4)


def test_what_is_not_known_is_summed_over_without_tensors_from_elsewhere(monkeypatch):
    """A captured step may not move any to its GPU."""
    z, prior = torch.randn(2, 4, 6), torch.rand(4, 3)
    zero = torch.zeros(4)
    for name in ("tensor", "as_tensor"):
        monkeypatch.setattr(torch, name, None)
    assert marginal_pair_nll(z[0], zero, z[1], zero, FACTORS, prior).isfinite().all()


def test_what_is_known_needs_no_sum_and_has_slopes():
    z = torch.randn(2, 4, 6, requires_grad=True)
    zero, mask = torch.zeros(4), torch.tensor([[1.0, 0.0, 1.0]]).expand(4, -1)
    found = marginal_pair_nll(z[0], zero, z[1], zero, FACTORS, mask)
    torch.testing.assert_close(found, pair_nll(z[0], zero, z[1], zero, correlations(FACTORS, [1, 0, 1])))
    found.sum().backward()
    assert z.grad.isfinite().all()
    assert mask_posterior(z[0], z[1], FACTORS, mask)[:, 1].max() == 0
