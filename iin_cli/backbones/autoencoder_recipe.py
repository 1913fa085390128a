"""Training of the autoencoder: negative ELBO with a learned variance, then PatchGAN and feature similarity.

The loop owns data, clock and checkpoints; a recipe owns losses, optimisers and schedules.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ..plugin_api import BatchPart, Recipe
from .discriminator import PatchDiscriminator, discriminator_loss, feature_similarity
from .encoder_decoder import VariationalNetwork
from .recipes import cosine_rate, pool_first_statistics, training_precision

__all__ = ["AutoencoderRecipe", "nelbo"]

# A unit of the latent is active when its mean varies by more than this over the images (Burda et al. 2016).
ACTIVE_VARIANCE = 0.01


def nelbo(
    images: Tensor, reconstruction: Tensor, mean: Tensor, log_variance: Tensor, pixel_log_variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Negative ELBO in nats per image as (−log p(x|z), KL(q(z|x) ‖ N(0, 1))), each the mean over the batch.

    The likelihood is Gaussian with one variance v for all D pixels: ‖x − x̂‖² / 2v + ½ D log 2πv. A learned v settles at
    the mean squared error, so the two terms need no weight between them (Rybkin et al. 2021).

    Args:
        images, reconstruction: (B, 3, S, S).
        mean, log_variance: (B, N) of q(z|x).
        pixel_log_variance: log v, a scalar.

    >>> zeros = torch.zeros(1, 2)
    >>> [float(term) for term in nelbo(zeros, zeros, zeros, zeros, -torch.tensor(2 * math.pi).log())]
    [0.0, 0.0]
    """
    squared = (images - reconstruction).square().flatten(1).sum(1).mean()
    pixels = images[0].numel()
    rec = 0.5 * (squared / pixel_log_variance.exp() + pixels * (pixel_log_variance + math.log(2 * math.pi)))
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return rec, kl


class _Reconstruction(nn.Module):
    """Encoder, sampling and decoder in one forward pass, as data-parallel training needs them."""

    def __init__(self, backbone: VariationalNetwork) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map images (B, 3, S, S) and noise (B, N) to mean and log-variance (B, N), and the image before its tanh."""
        mean, log_variance = self.backbone.posterior(images)
        raw = self.backbone.decoder.before_tanh(mean + noise * (0.5 * log_variance).exp())
        return mean, log_variance, raw


class _Judgement(nn.Module):
    """The discriminator on reconstructions and on images, in one forward pass."""

    def __init__(self, discriminator: PatchDiscriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, fake: Tensor, real: Tensor) -> tuple[Tensor, list[Tensor], Tensor, list[Tensor]]:
        """Return logits and features of `fake`, then of `real`, both (B, 3, S, S)."""
        return *self.discriminator(fake), *self.discriminator(real)


class AutoencoderRecipe(Recipe):
    """Adam on the negative ELBO; from `gan_start` on also a PatchGAN and similarity in its features.

    Both adversarial terms are weighted by the ratio of gradient norms at the decoder's last layer (VQGAN), so that they
    change what the pixels look like without outweighing the likelihood.

    Attributes:
        peak_rate: Adam's highest learning rate; beta: weight of the KL, reached after `kl_warm_up` of the run.
        gan_start: fraction of the run before the discriminator joins.
        gan_weight, similarity_weight: gradient norms relative to the likelihood's.
        least_log_variance: floor of the learned log v. Without it v keeps falling on simple images and the KL exceeds
            150 nats: all units then code pixel detail, and little room is left for what a person would name.
        tanh_floor: least slope of the decoder's tanh in the backward pass, see `step`.
    """

    # The negative ELBO worsens when the GAN joins, and the images improve.
    keep: ClassVar[Literal["best", "last"]] = "last"
    peak_rate: float = 8e-4
    beta: float = 10.0
    kl_warm_up: float = 0.1
    gan_start: float = 0.8
    gan_weight: float = 0.5
    similarity_weight: float = 1.0
    tanh_floor: float = 0.25
    least_log_variance: float = -3.0
    discriminator_rate: float = 2e-4

    def __init__(self, backbone: VariationalNetwork, steps: int, seed: int, batch_size: int = 128) -> None:
        self.batch_size = batch_size
        self.steps = steps
        self.backbone = backbone
        self.generator = torch.Generator().manual_seed(seed)
        self.pixel_log_variance = nn.Parameter(torch.tensor(-3.0))
        self.discriminator = PatchDiscriminator(32 if backbone.image_size <= 32 else 64, self.generator)
        groups = [{"params": list(backbone.parameters())}, {"params": [self.pixel_log_variance]}]
        self.optimizer = torch.optim.Adam(groups, lr=self.peak_rate, betas=(0.9, 0.99))
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=self.discriminator_rate, betas=(0.5, 0.9)
        )
        self.batch_part: BatchPart | None = None
        self.reconstruct: nn.Module = _Reconstruction(backbone)
        self.judge: nn.Module = _Judgement(self.discriminator)

    def distribute(self, part: BatchPart) -> None:
        """Train on this process's rows of every batch, with the gradients that one process would have.

        The actnorms' initial statistics, the noise, and the norms over the batch (of the gradients that weight the
        adversarial terms, and of the discriminator's features) are those of one process, too.
        """
        self._move(next(self.backbone.parameters()).device)
        self.batch_part = part
        pool_first_statistics(self.backbone, part)
        self.reconstruct, self.judge = part.replicate(self.reconstruct), part.replicate(self.judge)

    def step(self, images: Tensor, labels: Tensor | None, fraction: float) -> dict[str, float]:
        """Take one step on images (B, 3, S, S); returns rec and kl (nats), log_variance and then the GAN's terms."""
        self._schedule(fraction)
        self._move(images.device)
        images = images.contiguous(memory_format=torch.channels_last)

        # Encode, sample with noise drawn on the CPU so that the device does not matter, decode.
        self.backbone.train()
        noise = self._noise(len(images)).to(images.device)
        with training_precision(images.device):
            mean, log_variance, raw = self.reconstruct(images, noise)

        # Take the losses' gradient at the image: the discriminator is then passed only once.
        reconstruction = raw.detach().tanh().requires_grad_()
        rec, kl = nelbo(images, reconstruction, mean, log_variance, self.pixel_log_variance)
        level_gradient, gradient = torch.autograd.grad(rec, [self.pixel_log_variance, reconstruction])
        # A saturated tanh passes no gradient: without a floor dark images turn black within ten steps and stay black.
        slope = (1 - reconstruction.detach().square()).clamp_min(self.tanh_floor)
        shown = {"rec": rec.item(), "kl": kl.item(), "log_variance": self.pixel_log_variance.item()}
        if fraction >= self.gan_start:
            gradient, terms = self._adversary(images, raw, reconstruction, gradient, slope)
            shown |= terms

        # Backpropagate through decoder and encoder.
        self.optimizer.zero_grad(set_to_none=True)
        beta = self.beta * min(1.0, 0.02 + fraction / self.kl_warm_up)
        torch.autograd.backward(
            [raw, beta * kl], [self._weighted(gradient * slope), self._weighted(torch.ones_like(kl))]
        )
        self.pixel_log_variance.grad = self._whole(level_gradient)
        self.optimizer.step()
        with torch.no_grad():
            self.pixel_log_variance.clamp_(min=self.least_log_variance)
        return shown

    def _noise(self, rows: int) -> Tensor:
        if self.batch_part is None:
            return torch.randn((rows, self.backbone.latent_dim), generator=self.generator)
        return torch.randn((self.batch_part.total, self.backbone.latent_dim), generator=self.generator)[
            self.batch_part.rows
        ]

    def _weighted(self, value: Tensor) -> Tensor:
        """Weight a loss or gradient, a mean over this process's rows, by their fraction of the batch."""
        return value if self.batch_part is None else value * self.batch_part.weight

    def _whole(self, value: Tensor) -> Tensor:
        """Turn a mean over this process's rows into the mean over the whole batch."""
        return value if self.batch_part is None else self.batch_part.mean(value)

    def _schedule(self, fraction: float) -> None:
        rate = cosine_rate(fraction, self.peak_rate)
        weights, level = self.optimizer.param_groups
        # This scalar has to keep up with the error of all pixels, so it learns faster than the weights.
        weights["lr"], level["lr"] = rate, 10 * rate
        left = min(1.0, (1 - fraction) / max(1 - self.gan_start, 1e-6))
        self.discriminator_optimizer.param_groups[0]["lr"] = self.discriminator_rate * max(left, 0.05)

    def _move(self, device: torch.device) -> None:
        if self.pixel_log_variance.device != device:
            self.discriminator.to(device)
            self.pixel_log_variance.data = self.pixel_log_variance.data.to(device)

    def _adversary(
        self, images: Tensor, raw: Tensor, reconstruction: Tensor, gradient: Tensor, slope: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """Step the discriminator; return the image gradient with both adversarial terms added, and what to show."""
        with training_precision(images.device):
            fake, fake_features, real, real_features = self.judge(reconstruction, images)
        gan, similarity = -fake.float().mean(), feature_similarity(real_features, fake_features, self._whole)
        (gan_gradient,) = torch.autograd.grad(gan, reconstruction, retain_graph=True)
        (similarity_gradient,) = torch.autograd.grad(similarity, reconstruction, retain_graph=True)

        loss = discriminator_loss(real.float(), fake.float())
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        self._weighted(loss).backward(inputs=list(self.discriminator.parameters()))
        self.discriminator_optimizer.step()

        size = self._last_layer_norm(raw, gradient * slope)
        gan_scale = self.gan_weight * size / self._last_layer_norm(raw, gan_gradient * slope)
        similarity_scale = self.similarity_weight * size / self._last_layer_norm(raw, similarity_gradient * slope)
        gradient = gradient + gan_scale * gan_gradient + similarity_scale * similarity_gradient
        terms = {"gan": gan, "similarity": similarity, "discriminator": loss, "gan_scale": gan_scale}
        return gradient, {name: term.item() for name, term in terms.items()}

    def _last_layer_norm(self, raw: Tensor, gradient: Tensor) -> Tensor:
        # The backward pass covers the last layer only, so it costs little.
        (in_weight,) = torch.autograd.grad(raw, self.backbone.decoder.image.weight, gradient, retain_graph=True)
        return self._whole(in_weight).norm().clamp_min(1e-8)

    @torch.no_grad()
    def validate(self, images: Tensor, labels: Tensor | None) -> dict[str, float]:
        """Measure the negative ELBO at the posterior's mean (`score`), mean squared error, KL and active units.

        `active` counts latent units whose mean has a variance over 0.01 across the images; `collapsed` is 1 when no
        unit is active.
        """
        self.backbone.eval()
        self._move(images.device)
        sums = {"score": 0.0, "mse": 0.0, "kl": 0.0}
        means = []
        for batch in images.split(self.batch_size):
            mean, log_variance = self.backbone.posterior(batch)
            reconstruction = self.backbone.decode(mean)
            rec, kl = nelbo(batch, reconstruction, mean, log_variance, self.pixel_log_variance)
            terms = {"score": rec + kl, "mse": (batch - reconstruction).square().mean(), "kl": kl}
            for name, term in terms.items():
                sums[name] += term.item() * len(batch) / len(images)
            means.append(mean)
        active = int((torch.cat(means).var(0, correction=0) > ACTIVE_VARIANCE).sum())
        return {**sums, "active": active, "collapsed": int(active == 0)}

    def state_dict(self) -> dict[str, Any]:
        """Return the states of discriminator, optimisers, learned variance and noise generator."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "pixel_log_variance": self.pixel_log_variance.detach().clone(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        # Optimisers put their moments where the parameters are, so the parameters move first.
        self._move(next(self.backbone.parameters()).device)
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        with torch.no_grad():
            self.pixel_log_variance.copy_(state["pixel_log_variance"])
        self.generator.set_state(state["generator"].cpu())
