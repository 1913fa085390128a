"""How the backbones are trained: losses, optimisers, schedules (the loop owns data, clock and checkpoints)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..plugin_api import Recipe
from .discriminator import PatchDiscriminator, discriminator_loss, feature_similarity

if TYPE_CHECKING:
    from .autoencoder import Autoencoder
    from .classifier import Classifier

__all__ = ["AutoencoderRecipe", "ClassifierRecipe", "autoencoder_steps", "classifier_steps", "training_precision"]


def training_precision(device: torch.device) -> torch.autocast:
    """Return the autocast context to train under on `device`: bfloat16 where the hardware multiplies it faster."""
    if device.type == "cpu":
        fast = torch.ops.mkldnn._is_mkldnn_bf16_supported() and _has_bf16_instructions()
    else:
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast)


def _has_bf16_instructions() -> bool:
    # Without them oneDNN emulates bfloat16, which is slower than float32.
    abilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16") or abilities.get("bf16"))


def _learning_rate(fraction: float, peak: float, warm_up: float = 0.02) -> float:
    # A short rise keeps Adam's first, noisy steps small; a cosine to 2 % of the peak settles the weights.
    if fraction < warm_up:
        return peak * (fraction / warm_up * 0.9 + 0.1)
    progress = (fraction - warm_up) / (1 - warm_up)
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))


def autoencoder_steps(image_size: int, train_items: int | None) -> int:
    """Return the default number of steps for a data set of `train_items` images of side `image_size`."""
    return 3000


def classifier_steps(train_items: int | None) -> int:
    """Return the default number of steps for a data set of `train_items` images."""
    return 1500


class AutoencoderRecipe(Recipe):
    """Gaussian likelihood with learned variance + KL, and later a PatchGAN with its features as similarity.

    The negative ELBO in nats per image: D·(½ log 2πσ² ) + ‖x − x̂‖²/2σ² + KL(q(z|x) ‖ N(0, 1)), with log σ² learned (one
    scalar). With σ learned the two terms balance themselves and the posterior does not collapse on dark images.
    """

    peak_rate = 1e-3
    gan_start = 0.6
    similarity_weight = 1.0
    gan_weight = 0.5
    beta = 1.0

    def __init__(self, backbone: Autoencoder, steps: int, seed: int, batch_size: int = 128) -> None:
        self.batch_size = batch_size
        self.steps = steps
        self.backbone = backbone
        generator = torch.Generator().manual_seed(seed)
        self.generator = generator
        self.log_variance = nn.Parameter(torch.tensor(-3.0))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.discriminator = PatchDiscriminator(32 if backbone.image_size <= 32 else 64)
        self.optimizer = torch.optim.Adam(
            [{"params": list(backbone.parameters())}, {"params": [self.log_variance]}], lr=1e-3, betas=(0.9, 0.99)
        )
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.9))

    def _nelbo(self, images: Tensor, reconstruction: Tensor, mean: Tensor, log_variance: Tensor) -> tuple[Tensor, ...]:
        pixels = images[0].numel()
        squared = (images - reconstruction).square().flatten(1).sum(1).mean()
        level = self.log_variance.to(images.device)
        nll = 0.5 * (squared / level.exp() + pixels * (level + math.log(2 * math.pi)))
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        return nll, kl, squared / pixels

    def step(self, images: Tensor, labels: Tensor | None, fraction: float) -> dict[str, float]:
        """One step of Adam on the autoencoder and, after the warm-up, one on the discriminator."""
        device = images.device
        rate = _learning_rate(fraction, self.peak_rate)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.param_groups[1]["lr"] = 10 * rate
        images = images.contiguous(memory_format=torch.channels_last)
        self.backbone.train()
        with training_precision(device):
            mean, log_variance = self.backbone.posterior(images)
            noise = torch.randn(mean.shape, generator=self.generator).to(device)
            z = mean + noise * (0.5 * log_variance).exp()
            reconstruction = self.backbone.decode(z).float()
        leaf = reconstruction.detach().requires_grad_()
        nll, kl, mse = self._nelbo(images, leaf, mean, log_variance)
        shown = {"rec": nll.item(), "mse": mse.item(), "kl": kl.item(), "log_variance": self.log_variance.item()}
        (gradient,) = torch.autograd.grad(nll, leaf, retain_graph=True)
        if fraction >= self.gan_start:
            gradient, more = self._adversary(images, reconstruction, leaf, gradient, fraction)
            shown |= more
        self.optimizer.zero_grad(set_to_none=True)
        (level_gradient,) = torch.autograd.grad(nll, self.log_variance)
        self.log_variance.grad = level_gradient / images[0].numel()
        torch.autograd.backward([reconstruction, self.beta * kl], [gradient, torch.ones_like(kl)])
        shown["grad"] = float(nn.utils.clip_grad_norm_(self.backbone.parameters(), 1e4))
        self.optimizer.step()
        return shown

    def _adversary(self, images: Tensor, reconstruction: Tensor, leaf: Tensor, gradient: Tensor, fraction: float):
        self.discriminator_optimizer.param_groups[0]["lr"] = 2e-4 * min(
            1.0, 0.05 + (1 - fraction) / (1 - self.gan_start)
        )
        with training_precision(images.device):
            fake, fake_features = self.discriminator(leaf)
            real, real_features = self.discriminator(images)
        fake, real = fake.float(), real.float()
        similarity = feature_similarity(real_features, fake_features)
        (g_gan,) = torch.autograd.grad(-fake.mean(), leaf, retain_graph=True)
        (g_sim,) = torch.autograd.grad(similarity, leaf, retain_graph=True)
        d_loss = discriminator_loss(real, fake)
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        d_loss.backward(inputs=list(self.discriminator.parameters()))
        self.discriminator_optimizer.step()
        last = self.backbone.decoder.image.weight

        def norm(g):
            return torch.autograd.grad(reconstruction, last, g, retain_graph=True)[0].norm()

        base = norm(gradient)
        w_gan = self.gan_weight * base / norm(g_gan).clamp_min(1e-8)
        w_sim = self.similarity_weight * base / norm(g_sim).clamp_min(1e-8)
        total = gradient + w_gan * g_gan + w_sim * g_sim
        return total, {
            "gan": -fake.mean().item(),
            "disc": d_loss.item(),
            "similarity": similarity.item(),
            "w_gan": w_gan.item(),
        }

    @torch.no_grad()
    def validate(self, images: Tensor, labels: Tensor | None) -> dict[str, float]:
        """Held-out negative ELBO at the posterior's mean; `active` counts latent units whose mean varies."""
        self.backbone.eval()
        mean, log_variance = self.backbone.posterior(images)
        nll, kl, mse = self._nelbo(images, self.backbone.decode(mean), mean, log_variance)
        active = int((mean.var(0) > 0.01).sum())
        return {
            "score": float(nll + kl),
            "mse": float(mse),
            "kl": float(kl),
            "active": active,
            "collapsed": float(active == 0),
        }

    def state_dict(self) -> dict[str, Any]:
        """Discriminator, optimisers, learned variance and the state of the noise."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "log_variance": self.log_variance.detach().clone(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        with torch.no_grad():
            self.log_variance.copy_(state["log_variance"])
        self.generator.set_state(state["generator"])


class ClassifierRecipe(Recipe):
    """Softmax cross-entropy with Adam."""

    peak_rate = 1e-3
    label_smoothing = 0.0
    weight_decay = 0.0

    def __init__(self, backbone: Classifier, steps: int, seed: int, batch_size: int = 128) -> None:
        self.batch_size = batch_size
        self.steps = steps
        self.backbone = backbone
        self.optimizer = torch.optim.AdamW(
            backbone.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=self.weight_decay
        )

    def step(self, images: Tensor, labels: Tensor | None, fraction: float) -> dict[str, float]:
        """One step of Adam on softmax cross-entropy."""
        self.optimizer.param_groups[0]["lr"] = _learning_rate(fraction, self.peak_rate)
        images = images.contiguous(memory_format=torch.channels_last)
        self.backbone.train()
        with training_precision(images.device):
            logits = self.backbone(images).float()
        loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.item(), "accuracy": float((logits.argmax(1) == labels).float().mean())}

    @torch.no_grad()
    def validate(self, images: Tensor, labels: Tensor | None) -> dict[str, float]:
        """Held-out cross-entropy (nats) and accuracy."""
        self.backbone.eval()
        logits = self.backbone(images)
        loss = F.cross_entropy(logits, labels)
        return {"score": float(loss), "accuracy": float((logits.argmax(1) == labels).float().mean())}

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's state."""
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.optimizer.load_state_dict(state["optimizer"])
