"""Marginal Gaussianisation: what it makes Gaussian, and that it stays tame."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from iin_cli.translator.gaussianise import STEEPEST, Gaussianise


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def nll(layer: Gaussianise, z: Tensor) -> float:
    z_tilde, log_det = layer(z)
    return float((0.5 * z_tilde.square().sum(1) - log_det).mean())


@pytest.mark.parametrize("draw", [lambda u: -u.log(), lambda u: u, lambda u: torch.where(u < 0.5, u - 3, u + 3)])
def test_other_rows_of_the_same_shape_become_gaussian(draw):
    layer, other = Gaussianise(3), draw(uniform(4000, 3, seed=1))
    layer.fit(draw(uniform(4000, 3)))
    z_tilde = layer(other)[0]
    assert z_tilde.mean(0).abs().max() < 0.1
    assert (z_tilde.std(0) - 1).abs().max() < 0.1
    assert z_tilde.pow(3).mean(0).abs().max() < 0.6
    standard = (other - other.mean(0)) / other.std(0)
    scaled = Gaussianise(3)
    scaled.fit(draw(uniform(4000, 3)))
    before = float(0.5 * standard.square().sum(1).mean() + other.std(0).log().sum())
    assert nll(scaled, other) < before


def test_gaussian_rows_stay_what_they_are():
    layer = Gaussianise(2)
    z = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0))
    layer.fit(z)
    assert (layer(z)[0] - z).abs().max() < 0.25


def test_slopes_are_bounded_where_rows_are_equal_or_far_away():
    layer = Gaussianise(1)
    z = torch.cat((torch.zeros(900), torch.linspace(0, 1e6, 100)))[:, None]
    layer.fit(z)
    slopes = layer(torch.linspace(-10, 1e6, 500)[:, None])[1].exp()
    assert slopes.max() <= STEEPEST * 1.001
    assert slopes.min() >= 1 / STEEPEST / 1.001
    assert torch.isfinite(layer(z)[0]).all()
    assert torch.allclose(layer.inverse(layer(z)[0]), z, rtol=1e-4, atol=1e-3)
