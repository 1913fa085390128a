"""From seeds to images: a prior turns each seed's noise into a latent z, and the backbone's G draws it.

A prior is a deterministic map of noise, so an image depends on its seed alone whatever the prior is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..distributed import noise
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.pieces import in_pieces, to_pixels
from ..plugin_api import Backbone

__all__ = ["BackbonePrior", "Prior", "TranslatorPrior", "generate"]


class Prior(Protocol):
    """A distribution of latents z, as a map of N(0, 1) noise.

    Attributes:
        name: what tables call it.
        noise_dim: how many numbers it needs for one latent.
    """

    name: str
    noise_dim: int

    def draw(self, noise: Tensor) -> Tensor:
        """Turn noise (B, noise_dim) ~ N(0, 1) into z (B, N), row by row; noise and z on one device."""
        ...


class TranslatorPrior:
    """Eq 13: z = T⁻¹(ψ z̃), z̃ ~ N(0, 1); a truncation ψ < 1 gives likelier and less varied images."""

    name = "translator"

    def __init__(self, opened: OpenTranslator, truncation: float = 1.0) -> None:
        self.translator, self.truncation, self.noise_dim = opened.translator, truncation, opened.translator.dim

    def draw(self, noise: Tensor) -> Tensor:
        """T⁻¹(ψ · noise)."""
        return self.translator.inverse(noise if self.truncation == 1 else self.truncation * noise)


class BackbonePrior:
    """The autoencoder's own prior: z = ψ · noise ~ N(0, ψ²), without a translator (Figs 20–22)."""

    name = "backbone"

    def __init__(self, backbone: Backbone, truncation: float = 1.0) -> None:
        self.truncation, self.noise_dim = truncation, backbone.latent_dim

    def draw(self, noise: Tensor) -> Tensor:
        """ψ · noise."""
        return noise if self.truncation == 1 else self.truncation * noise


def generate(
    backbone: Backbone, prior: Prior, seeds: Sequence[int], device: torch.device, batch: int = 64
) -> Iterator[np.ndarray]:
    """Yield the images of `seeds` in order, as uint8 (B, S, S, 3) with B = `batch`, the last batch smaller.

    An image depends on its seed alone, to the byte: neither `batch` nor the other seeds change it.
    """

    def draw(piece: Tensor) -> Tensor:
        # Rounded where they were drawn: a byte per value, not four, leaves the device.
        return torch.from_numpy(to_pixels(backbone.decode(prior.draw(piece))))

    waiting: list[np.ndarray] = []
    ready = 0
    take = lambda rows: noise(seeds[rows], prior.noise_dim)  # noqa: E731
    for images in in_pieces(len(seeds), take, draw, device, is_concurrent=backbone.is_concurrent):
        waiting.append(images.numpy())
        ready += len(images)
        while ready >= batch:
            joined = np.concatenate(waiting)
            yield joined[:batch]
            waiting, ready = [joined[batch:]], ready - batch
    if ready:
        yield np.concatenate(waiting)
