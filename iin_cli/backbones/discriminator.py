"""PatchGAN discriminator with a receptive field of 70 pixels (Isola et al. 2017), and the losses that use it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["PatchDiscriminator", "discriminator_loss", "feature_similarity"]


class PatchDiscriminator(nn.Module):
    """Classifies every patch of an image as real or fake: (B, 3, S, S) -> logits (B, 1, S/8-2, S/8-2).

    Three convolutions k4 of stride 2 and two of stride 1 see 70 x 70 pixels. There is no batch normalisation: an
    image's logits would depend on the rest of its batch, and real and reconstructed batches differ in their statistics.

    Args:
        width: channels of the first layer.
        generator: draws the initial weights; None uses torch's own.

    >>> logits, features = PatchDiscriminator(width=4)(torch.zeros(2, 3, 32, 32))
    >>> logits.shape, len(features)
    (torch.Size([2, 1, 2, 2]), 4)
    """

    def __init__(self, width: int = 64, generator: torch.Generator | None = None) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 4 * width, 8 * width]
        strides = [2, 2, 2, 1]
        self.layers = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 4, stride, 1)
            for inputs, outputs, stride in zip(widths, widths[1:], strides, strict=False)
        )
        self.head = nn.Conv2d(widths[-1], 1, 4, 1, 1)
        for layer in [*self.layers, self.head]:
            nn.init.kaiming_normal_(layer.weight, 0.2, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the patch logits (B, 1, H, W) and the activations of the four layers before them."""
        features = []
        for layer in self.layers:
            images = F.leaky_relu(layer(images), 0.2)
            features.append(images)
        return self.head(images), features


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss: mean max(0, 1 − D(x)) + mean max(0, 1 + D(x̂)), halved; logits of any shape.

    >>> float(discriminator_loss(torch.tensor([2.0]), torch.tensor([-2.0])))
    0.0
    """
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def feature_similarity(
    real: list[Tensor], fake: list[Tensor], mean: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Distance in the discriminator's features (Larsen et al. 2016): mean over layers of ‖f − f̂‖² / ‖f‖².

    The norms are per layer over the batch, so that no layer counts more because its activations are larger.

    Args:
        mean: turns a mean over these rows into the mean over the whole batch; None where the rows are the batch.
    """
    real = [f.detach().float() for f in real]
    sizes = torch.stack([f.square().mean() for f in real])
    if mean is not None:
        sizes = mean(sizes)
    distances = torch.stack([(f - f_hat.float()).square().mean() for f, f_hat in zip(real, fake, strict=True)])
    return (distances / sizes.clamp_min(1e-8)).mean()
