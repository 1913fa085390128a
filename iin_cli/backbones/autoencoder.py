"""The variational autoencoder of Tables 3–4 as a backbone: images (B, 3, S, S) ↔ z (B, N)."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from ..plugin_api import Backbone, DataFacts
from .autoencoder_recipe import AutoencoderRecipe
from .encoder_decoder import VariationalNetwork, check_image_size, paper_latent_dim
from .recipes import inferred_steps

__all__ = ["Autoencoder"]


class Autoencoder(VariationalNetwork, Backbone):
    """E and G of a variational autoencoder: q(z|x) is Gaussian with diagonal covariance, p(z) = N(0, 1).

    Args:
        image_size: S, a power of two, at least 32.
        latent_dim: N; None takes 64 for images up to 64², 256 above.
        base_channels: width of the first layer; the paper's is 64.
        decoder_stem_norm: actnorm and leaky ReLU after the decoder's first layer (Table 4); False for imported weights.
        shared_noise: one posterior variance for all units of an image; False for imported weights.

    Raises:
        UsageError: an image size or latent size that cannot be built.

    >>> import torch
    >>> model = Autoencoder(image_size=32, latent_dim=8, base_channels=4).eval()
    >>> model.decode(model.encode(torch.zeros(2, 3, 32, 32))).shape
    torch.Size([2, 3, 32, 32])
    """

    trainable_here: ClassVar[bool] = True
    takes_argument: ClassVar[bool] = False
    is_concurrent: bool = True

    def __init__(
        self,
        image_size: int,
        latent_dim: int | None = None,
        base_channels: int = 64,
        decoder_stem_norm: bool = True,
        shared_noise: bool = True,
    ) -> None:
        check_image_size(image_size)
        latent_dim = paper_latent_dim(image_size, latent_dim)
        super().__init__(image_size, latent_dim, base_channels, decoder_stem_norm, shared_noise)
        self.name = "autoencoder"
        self.classes = None
        self.config: dict[str, Any] = {
            "image_size": image_size,
            "latent_dim": latent_dim,
            "base_channels": base_channels,
            "decoder_stem_norm": decoder_stem_norm,
            "shared_noise": shared_noise,
        }
        self.train_items: int | None = None

    def encode(self, images: Tensor) -> Tensor:
        """E: the mean (B, N) of q(z|x) for images (B, 3, S, S)."""
        return self.posterior(images)[0]

    def forward(self, images: Tensor) -> Tensor:
        """Reconstruct images (B, 3, S, S) from the posterior's mean."""
        return self.decode(self.encode(images))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Autoencoder:
        """Rebuild the module of a checkpoint, its weights still to be loaded."""
        return cls(**{"shared_noise": False, **config})

    @classmethod
    def for_training(
        cls, argument: str | None, facts: DataFacts, latent_dim: int | None, weights: str = "default"
    ) -> Autoencoder:
        """Build an untrained autoencoder for images of side `facts.image_size`.

        Raises UsageError for an image size that is not a power of two from 32 up.
        """
        model = cls(facts.image_size, latent_dim)
        model.train_items = facts.train_items
        return model

    def recipe(self, max_steps: int | None, seed: int) -> AutoencoderRecipe:
        """Return the training recipe; `max_steps` None infers the steps from the size of the data."""
        inferred = inferred_steps(self.train_items, 128, epochs=5, least=600, most=5000)
        steps = inferred if max_steps is None else max_steps
        return AutoencoderRecipe(self, steps, seed)
