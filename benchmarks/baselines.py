"""Priors the paper compares a translator with, fitted to the same latents: a Gaussian mixture and a two-stage VAE.

Both are maps of noise, as `iin_cli.editing.priors.Prior` asks, so that image i depends on its seed alone.
"""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

__all__ = ["MixturePrior", "TwoStagePrior"]

# Fraction of a two-stage VAE's training after which its divergence has full weight.
WARM_UP = 0.3


class MixturePrior:
    """A mixture of Gaussians with full covariances, by expectation maximisation (scikit-learn).

    Args:
        z: latents (M, N).
        components: how many Gaussians.
    """

    name = "Gaussian mixture"

    def __init__(self, z: Tensor, components: int = 10, seed: int = 0) -> None:
        mixture = GaussianMixture(components, reg_covar=1e-4, random_state=seed, max_iter=200).fit(z.double().numpy())
        self.cumulative = torch.from_numpy(np.cumsum(mixture.weights_)).float()
        self.means = torch.from_numpy(mixture.means_).float()
        self.factors = torch.linalg.cholesky(torch.from_numpy(mixture.covariances_)).float()
        self.noise_dim = z.shape[1] + 1

    def draw(self, noise: Tensor) -> Tensor:
        """Choose a component by the first number of each row, and colour the others by its covariance."""
        chance = 0.5 * (1 + torch.erf(noise[:, 0] / math.sqrt(2)))
        chosen = torch.searchsorted(self.cumulative, chance.cpu()).clamp_max(len(self.means) - 1)
        means, factors = self.means[chosen].to(noise.device), self.factors[chosen].to(noise.device)
        return means + torch.einsum("bij,bj->bi", factors, noise[:, 1:])


class TwoStagePrior(nn.Module):
    """A second VAE on the latents of the first (Dai and Wipf 2019): N units, three layers of 1,024, learned variance.

    Args:
        z: latents (M, N).
        seconds: how long it is trained.
    """

    name = "two-stage VAE"

    def __init__(self, z: Tensor, seconds: float, seed: int = 0, hidden: int = 1024, batch: int = 500) -> None:
        super().__init__()
        dim = z.shape[1]
        self.noise_dim = 2 * dim
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = _layers(dim, hidden, 2 * dim)
            self.decoder = _layers(dim, hidden, dim)
        self.log_variance = nn.Parameter(torch.zeros(()))
        optimizer = torch.optim.Adam(self.parameters(), lr=1e-3)
        started = time.monotonic()
        while (done := (time.monotonic() - started) / seconds) < 1:
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))
            rows = z[torch.randint(len(z), (batch,), generator=generator)]
            # A divergence of full weight from the start leaves the code unused for good.
            weight = min(1.0, 0.02 + done / WARM_UP)
            loss = self._negative_elbo(rows, torch.randn(batch, dim, generator=generator), weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        self.requires_grad_(False)

    def _negative_elbo(self, z: Tensor, noise: Tensor, weight: float) -> Tensor:
        mean, log_variance = self.encoder(z).chunk(2, 1)
        again = self.decoder(mean + noise * (0.5 * log_variance).exp())
        squared = (z - again).square().sum(1).mean()
        likelihood = 0.5 * (squared * (-self.log_variance).exp() + z.shape[1] * self.log_variance)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        return likelihood + weight * divergence

    def draw(self, noise: Tensor) -> Tensor:
        """Decode the first half of each row, and add the learned noise by the second."""
        code, own = noise.chunk(2, 1)
        return self.decoder(code) + own * (0.5 * self.log_variance).exp()


def _layers(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    sizes = [inputs, hidden, hidden, hidden]
    inner = [
        layer for size, next_size in itertools.pairwise(sizes) for layer in (nn.Linear(size, next_size), nn.ReLU())
    ]
    return nn.Sequential(*inner, nn.Linear(hidden, outputs))
