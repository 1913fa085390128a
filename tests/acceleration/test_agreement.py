"""Agreement of bfloat16 with float32: closed forms of its figures, and networks that keep or lose their answers."""

import math

import pytest
import torch
from torch import nn

from iin_cli.acceleration.agreement import LEAST_AGREEMENT, measure_agreement, top_agreement
from iin_cli.plugin_api import Backbone

SIDE = 4


class Linear(nn.Module, Backbone):
    """E takes the brightness of every channel; G tells two classes by logits that lie `gap` apart."""

    name, image_size, latent_dim = "linear", SIDE, 3

    def __init__(self, gap=1.0, classes=("a", "b"), posterior_std=None, broken=False):
        super().__init__()
        self.classes, self.gap, self.posterior_std, self.broken = classes, gap, posterior_std, broken
        self.mix = nn.Linear(3, 3, bias=False)
        self.mix.weight.data.copy_(torch.tensor([[1.0, 0.3, 0.0], [0.0, 1.0, 0.7], [0.1, 0.0, 1.0]]))

    def encode(self, images):
        if self.broken and torch.is_autocast_enabled("cpu"):
            raise RuntimeError("no such kernel\nfor BFloat16")
        return self.mix(images.mean((2, 3)))

    def posterior(self, images):
        mean = self.encode(images)
        return mean, None if self.posterior_std is None else torch.full_like(mean, 2 * math.log(self.posterior_std))

    def decode(self, z):
        if self.classes is None:
            return z[:, :, None, None].expand(-1, 3, SIDE, SIDE)
        return torch.stack((z[:, 0], z[:, 0] + self.gap * z[:, 1].sign()), 1) * 1.0

    @classmethod
    def from_config(cls, config):
        raise NotImplementedError


def images(count=32):
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_flips_are_counted_or_foreseen():
    plain = torch.tensor([[0.0, 1.0], [0.0, 4.0]])
    assert top_agreement(plain, plain) == 1
    # One image changes by 2: that is more than one of the two gaps, and half of such changes narrow it.
    assert top_agreement(plain, plain + torch.tensor([[0.0, 0.0], [0.0, 2.0]])) == 1 - 0.5 / 4
    assert top_agreement(plain, torch.tensor([[1.0, 0.0], [0.0, 4.0]])) == 0.5
    # A single logit stands for two classes.
    assert top_agreement(torch.tensor([[1.0], [-1.0]]), torch.tensor([[1.0], [1.0]])) == 0.5


def test_rounding_is_measured_in_stds_of_a_latent():
    found = measure_agreement(Linear(), images())
    assert found.images == 32
    # bfloat16 keeps 8 bits of each product and of the sum.
    assert 2**-11 < found.latent_error < 2**-6
    assert found.classes == 1
    assert found.image_error is None


def test_a_class_that_hangs_on_the_last_bits_does_not_stay():
    class Close(Linear):
        def decode(self, z):
            return torch.stack((z[:, 0], z[:, 0].round(decimals=3)), 1)

    found = measure_agreement(Close(), images())
    assert found.classes < LEAST_AGREEMENT
    assert not found.holds
    assert "keeps the class of" in str(found)


def test_a_network_that_draws_is_judged_by_its_pixels_and_its_posterior():
    wide, narrow = (measure_agreement(Linear(classes=None, posterior_std=std), images()) for std in (1.0, 1e-4))
    assert wide.classes is None
    assert wide.image_error < 2**-8
    assert (wide.holds, narrow.holds) == (True, False)
    assert narrow.latent_error > 100 * wide.latent_error


def test_images_that_are_all_alike_have_no_std():
    found = measure_agreement(Linear(), torch.ones(1, 3, SIDE, SIDE))
    assert found.failure is None
    assert found.latent_error < 2**-6


@pytest.mark.parametrize("broken", [True, False])
def test_a_network_that_fails_says_how(broken):
    backbone = Linear(broken=broken)
    if not broken:
        backbone.mix.weight.data[0, 0] = 3.4e38
    found = measure_agreement(backbone, images())
    assert not found.holds
    assert found.failure == ("RuntimeError: no such kernel for BFloat16" if broken else "its latents are not finite")
