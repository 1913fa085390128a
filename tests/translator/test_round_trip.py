"""The round trip is judged in units of the latents, so by the same figure whatever these are."""

import pytest
import torch

from iin_cli.translator.flow import Translator
from iin_cli.translator.round_trip import in_stds, round_trip_error


class Off(Translator):
    """Returns latents that are off by a part of `by`."""

    by = 0.0

    def inverse(self, z_tilde):
        return super().inverse(z_tilde) + self.by


def latents(scale):
    z = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).double()
    return (scale * (z - z.mean(0)) / z.std(0, correction=0)).float()


@pytest.mark.parametrize("scale", [2.0**-27, 1.0, 3000.0, 1e8])
def test_the_unit_of_latents_changes_nothing(scale):
    translator = Off(4, 1, 8, 1, 0)
    translator.initialize(latents(scale))
    assert round_trip_error(translator, latents(scale)) < 1e-5
    translator.by = 1e-2 * scale
    assert round_trip_error(translator, latents(scale)) == pytest.approx(1e-2, rel=1e-2)


def test_every_component_counts_by_its_own_std():
    z = latents(1.0) * torch.tensor([1.0, 1.0, 0.01, 0.0])
    error = torch.full((1, 4), 1e-3)
    worst = in_stds(error, z)[0]
    assert worst[:3].tolist() == pytest.approx([1e-3, 1e-3, 0.1], rel=1e-3)
    # A dead component has no unit of its own.
    assert worst[3] == pytest.approx(1e-3 / (1e-3 * (2.0001 / 4) ** 0.5), rel=1e-3)


def test_one_latent_or_equal_ones_have_no_std():
    assert in_stds(torch.full((1, 2), 0.5), torch.full((1, 2), 5.0)).tolist() == [[pytest.approx(0.1)] * 2]
    assert in_stds(torch.zeros(3, 2), torch.zeros(3, 2)).isfinite().all()
