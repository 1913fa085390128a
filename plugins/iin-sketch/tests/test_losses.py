"""Losses against closed forms: nothing at identity, the squared shift of a mean, the squared change of a deviation."""

import pytest
import torch

from iin_sketch.losses import WEIGHTS, content_loss, feature_loss, style_loss

ONES = (1.0,) * 5


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, side, side, generator=generator) for side in (16, 12, 8, 6, 4)]


def test_weights_are_the_papers():
    assert WEIGHTS == {"content": 1, "style": 5, "identity": 50, "identity_features": 1, "realism": 1}


def test_nothing_is_lost_at_identity(maps):
    assert content_loss(maps, maps) == 0
    assert style_loss(maps, maps, ONES) == 0
    assert feature_loss(maps, maps) == 0


def test_style_is_mean_and_deviation(maps):
    shifted = [m + 0.5 for m in maps]
    assert style_loss(shifted, maps, ONES) == pytest.approx(5 * 0.25, rel=1e-4)
    assert style_loss(shifted, maps, (2, 0, 0, 0, 0)) == pytest.approx(4 * 0.25, rel=1e-4)
    centred = [m - m.mean((2, 3), keepdim=True) for m in maps]
    deviations = [m.std((2, 3), correction=0) for m in centred]
    tripled = style_loss([3 * m for m in centred], centred, ONES)
    assert tripled == pytest.approx(sum(float((2 * d).square().mean()) for d in deviations), rel=1e-4)


def test_style_knows_no_places(maps):
    assert style_loss([m.flip(2, 3) for m in maps], maps, ONES) < 1e-10


def test_content_knows_no_style(maps):
    assert content_loss([3 * m + 1 for m in maps], maps) < 1e-4
    assert content_loss([m.flip(3) for m in maps], maps) > 0.5


def test_content_looks_at_the_two_deepest_maps_only(maps):
    shallow = [torch.zeros_like(m) for m in maps[:3]]
    assert content_loss([*shallow, *maps[3:]], maps) == 0
    # Of independent normalised maps the mean squared difference is 2.
    opposite = content_loss([-m for m in maps], maps)
    assert opposite == pytest.approx(2 * 4, rel=1e-3)


def test_a_flat_map_has_a_gradient(maps):
    flat = [torch.zeros_like(m).requires_grad_() for m in maps]
    gradients = torch.autograd.grad(style_loss(flat, maps, ONES), flat)
    assert all(torch.isfinite(g).all() for g in gradients)
