"""Training of a stylizer, step by step (paper A.4), on crops of the content and of drawings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from iin_cli.backbones.discriminator import PatchDiscriminator, discriminator_loss
from iin_cli.latents.cache import as_images
from iin_cli.latents.pairs import step_generator
from iin_cli.plugin_api import Dataset, Interpolation
from torch import Tensor, nn
from torch.nn import functional as F

from .losses import WEIGHTS, content_loss, feature_loss, style_loss
from .networks import Canonical, Stylizer, canonical, style_features
from .sketches import StyleBank

__all__ = ["Content", "StylizerTraining"]

LEARNING_RATE = 2e-3
WARM_UP = 0.02
MOST_GRADIENT = 1.0
# Held-out images for the score, which shows whether a run goes wrong but not which step to keep.
VALIDATION_IMAGES = 16
VALIDATION_STREAM = 9


@dataclass(frozen=True)
class Content:
    """Images to stylize: items `indices` (M,) of `dataset`, read at `side` and cut to crops of `crop`."""

    dataset: Dataset
    indices: np.ndarray
    side: int
    crop: int
    interpolation: Interpolation = "bicubic"

    def crops(self, count: int, generator: np.random.Generator) -> Canonical:
        """Read `count` images and cut a crop of each, mirrored at random."""
        chosen = generator.choice(self.indices, count)
        images = self.dataset.images(chosen, self.side, self.interpolation)
        places = generator.integers(0, self.side - self.crop + 1, (count, 2))
        crops = [
            image[top : top + self.crop, left : left + self.crop]
            for image, (top, left) in zip(images, places, strict=True)
        ]
        mirrored = np.stack([c[:, ::-1] if generator.random() < 0.5 else c for c in crops])
        return canonical(as_images(mirrored))


class StylizerTraining:
    """Trains a stylizer against a patch discriminator; drives `iin_cli.training.loop`.

    Args:
        content, held_out: images to stylize, and those that the score is measured on.
        bank: drawings at the side at which strokes are learned.
    """

    def __init__(
        self,
        stylizer: Stylizer,
        content: Content,
        held_out: Content,
        bank: StyleBank,
        batch_size: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.stylizer, self.content, self.held_out, self.bank = stylizer, content, held_out, bank
        # Channels last is a third faster on a CPU.
        stylizer.to(device).to(memory_format=torch.channels_last)
        self.batch_size, self.seed, self.device = batch_size, seed, device
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            self.discriminator = PatchDiscriminator(stylizer.config["decoder_width"], generator).to(device)
        self.optimiser = torch.optim.Adam(stylizer.trained_parameters(), LEARNING_RATE)
        self.opponent = torch.optim.Adam(self.discriminator.parameters(), LEARNING_RATE / 2, betas=(0.5, 0.9))

    def step(self, step: int, fraction: float) -> dict[str, float]:
        """Take one step of the stylizer and one of the discriminator."""
        images, style = self._batch(self.content, self.batch_size, step_generator(self.seed, 0, step))
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, fraction / WARM_UP + 0.05) * (0.5 + 0.5 * np.cos(np.pi * fraction))
        stylised, losses = self._losses(images, style)
        losses["realism"] = -self.discriminator(stylised)[0].mean()
        total = sum((WEIGHTS[name] * loss for name, loss in losses.items()), torch.zeros((), device=self.device))
        self._descend(self.optimiser, total, self.stylizer.trained_parameters())
        verdicts = [self.discriminator(pictures)[0] for pictures in (images, stylised.detach())]
        opposed = discriminator_loss(*verdicts)
        self._descend(self.opponent, opposed, list(self.discriminator.parameters()))
        shown = {name: losses[name] for name in ("content", "style", "identity", "realism")}
        return {name: float(value.detach()) for name, value in {**shown, "discriminator": opposed}.items()}

    def validate(self) -> dict[str, float]:
        """Measure the losses on held-out images, always the same crops; `score` is their weighted sum."""
        with torch.no_grad():
            generator = step_generator(self.seed, VALIDATION_STREAM, 0)
            losses = self._losses(*self._batch(self.held_out, VALIDATION_IMAGES, generator))[1]
        score = sum(WEIGHTS[name] * float(loss) for name, loss in losses.items())
        return {"score": score, **{f"heldout_{name}": float(losses[name]) for name in ("content", "style", "identity")}}

    def weights(self) -> dict[str, Tensor]:
        """Return the stylizer's weights, encoder included."""
        return self.stylizer.state_dict()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights that `weights` returned."""
        self.stylizer.load_state_dict(weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both networks and of their optimisers."""
        return {name: getattr(self, name).state_dict() for name in self._stateful}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name in self._stateful:
            getattr(self, name).load_state_dict(state[name])

    _stateful = ("stylizer", "discriminator", "optimiser", "opponent")

    def _batch(self, content: Content, count: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        images = content.crops(count, generator)
        style = self.bank.crops(images.light_ground, content.crop, generator)
        return images.images.to(self.device), style.to(self.device)

    def _losses(self, images: Tensor, style: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Draw canonical `images` in `style`, both (B, 3, S, S); return the drawn ones and all losses but realism."""
        stylizer = self.stylizer
        both = torch.cat((images, style))
        maps = stylizer.encoder(both)
        ours, theirs = [m[: len(images)] for m in maps], [m[len(images) :] for m in maps]
        stylised = stylizer.transfer(images, ours, style_features(theirs))
        # An image in its own style should be the image; checked on every fourth image and drawing.
        own, own_maps = both[::4], [m[::4] for m in maps]
        same = stylizer.transfer(own, own_maps, style_features(own_maps))
        drawn, again = stylizer.encoder(stylised), stylizer.encoder(same)
        return stylised, {
            "content": content_loss(drawn, ours),
            "style": style_loss(drawn, theirs, stylizer.encoder.gains),
            "identity": F.mse_loss(same, own),
            "identity_features": feature_loss(again, own_maps),
        }

    def _descend(self, optimiser: torch.optim.Optimizer, loss: Tensor, parameters: list[nn.Parameter]) -> None:
        optimiser.zero_grad(set_to_none=True)
        gradients = torch.autograd.grad(loss, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(parameters, MOST_GRADIENT)
        optimiser.step()
