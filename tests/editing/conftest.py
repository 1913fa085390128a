import pytest
import torch

from iin_cli.distributed import noise
from iin_cli.interpretation.pieces import in_pieces


@pytest.fixture(scope="session")
def latents():
    """Return the latents z (M, N) that a prior makes of seeds, cut into pieces as `generate` cuts them."""

    def make(prior, seeds):
        take = lambda rows: noise(seeds[rows], prior.noise_dim)  # noqa: E731
        return torch.cat(list(in_pieces(len(seeds), take, prior.draw, torch.device("cpu"))))

    return make
