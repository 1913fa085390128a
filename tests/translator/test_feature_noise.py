"""Declared feature noise: its size, and how alike it is in both members of a pair."""

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.translator.feature_noise import FLOOR, FeatureNoise


def test_a_dead_feature_gets_the_floor():
    z = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 4.0, 0.0])
    std = FeatureNoise.of(z, 0.2).std
    torch.testing.assert_close(std[:2], 0.2 * z.std(0, correction=0)[:2])
    assert std[2].item() == pytest.approx(0.2 * FLOOR * z[:, 0].std().item(), rel=0.01)


def test_latents_that_do_not_vary_are_refused():
    with pytest.raises(DataError, match="do not vary"):
        FeatureNoise.of(torch.ones(5, 2), 0.2)


def test_members_of_a_pair_are_as_alike_as_asked():
    noise, zero = FeatureNoise(torch.tensor([0.5, 2.0])), torch.zeros(50_000, 2)
    a, b = noise.add_to_pairs(zero, zero, 0.9, np.random.default_rng(0))
    for side in (a, b):
        torch.testing.assert_close(side.std(0), noise.std, rtol=0.02, atol=0)
    torch.testing.assert_close((a * b).mean(0) / noise.std**2, torch.full((2,), 0.9), rtol=0.03, atol=0)


def test_no_noise_is_false():
    assert not FeatureNoise.none(3)
    assert FeatureNoise(torch.tensor([0.0, 1.0]))
