"""The convolutional networks of Tables 3–5: encoder, decoder, and the two as a variational autoencoder.

Images are (B, 3, S, S), z is (B, N). Parameters of the autoencoder in millions, encoder + decoder: 32² N=64: 3.0 + 2.9;
64² N=64: 3.8 + 3.3; 128² N=256: 19.5 + 11.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import UsageError

__all__ = ["ActNorm", "Decoder", "Encoder", "VariationalNetwork", "check_image_size", "paper_latent_dim"]

LEVELS = 4
SLOPE = 0.2
# The published weights were trained with these bounds on the log-variance.
LOG_VARIANCE_RANGE = (-30.0, 10.0)


class ActNorm(nn.Module):
    """Affine normalisation y = scale · (x + loc), set on the first training batch to zero mean and unit variance.

    Args:
        channels: C.
        side: 1 gives one loc and scale per channel, more gives one per unit of the (C, side, side) map.

    Attributes:
        average: turns a mean over this process's rows into the mean over all rows; None without other processes.
    """

    average: Callable[[Tensor], Tensor] | None = None

    def __init__(self, channels: int, side: int = 1) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(1, channels, side, side))
        self.scale = nn.Parameter(torch.ones(1, channels, side, side))
        self.register_buffer("initialized", torch.tensor(0, dtype=torch.uint8))

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Set loc and scale from x (B, C, H, W); does nothing a second time or in eval mode."""
        if not self.training or self.initialized:
            return
        axes = (0, 2, 3) if self.loc.shape[-1] == 1 else (0,)
        x = x.float()
        mean = x.mean(axes, keepdim=True)
        if self.average is None:
            std = x.std(axes, keepdim=True, correction=0)
        else:
            mean = self.average(mean)
            std = self.average((x - mean).square().mean(axes, keepdim=True)).sqrt()
        self.loc.copy_(-mean)
        # A floor: a channel that is constant on the first batch must not explode on the second.
        self.scale.copy_(1 / std.clamp_min(1e-2))
        self.initialized.fill_(1)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (B, C, H, W)."""
        self.initialize(x)
        return self.scale.to(x.dtype) * (x + self.loc.to(x.dtype))


class _Down(nn.Module):
    """Convolution k4 s2 p1 → actnorm → leaky ReLU 0.2; halves the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
        self.norm = ActNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        self.norm.initialize(_unnormalised(self, x))
        loc, scale = self.norm.loc, self.norm.scale
        # scale · (Wx + loc) = (scale · W) x + scale · loc: one pass over the activations instead of three.
        x = F.conv2d(x, self.conv.weight * scale.reshape(-1, 1, 1, 1), (scale * loc).flatten(), 2, 1)
        return F.leaky_relu(x, SLOPE, inplace=True)


class _Up(nn.Module):
    """Transposed convolution k4 s2 p1 → actnorm → leaky ReLU 0.2; doubles the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
        self.norm = ActNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        self.norm.initialize(_unnormalised(self, x))
        loc, scale = self.norm.loc, self.norm.scale
        x = F.conv_transpose2d(x, self.conv.weight * scale, (scale * loc).flatten(), 2, 1)
        return F.leaky_relu(x, SLOPE, inplace=True)


@torch.no_grad()
def _unnormalised(block: _Down | _Up, x: Tensor) -> Tensor:
    return block.conv(x) if block.training and not block.norm.initialized else x


class Encoder(nn.Module):
    """Four halvings to 8·C channels, then one convolution over the rest (Tables 3, 5): (B, 3, S, S) -> (B, D)."""

    def __init__(self, image_size: int, outputs: int, base_channels: int = 64) -> None:
        super().__init__()
        widths = [3, *(base_channels * 2**level for level in range(LEVELS))]
        self.features = nn.ModuleList(_Down(*pair) for pair in pairwise(widths))
        self.to_latent = nn.Conv2d(widths[-1], outputs, image_size // 2**LEVELS)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, S, S) to (B, D)."""
        for layer in self.features:
            images = layer(images)
        return self.to_latent(images).flatten(1)


class Decoder(nn.Module):
    """The encoder mirrored (Table 4): z (B, N) -> images (B, 3, S, S) in [-1, 1].

    The stem is in effect a dense layer, so with `stem_norm` its actnorm has one loc and scale per unit: this gives the
    printed 11.2 M at 128². The authors' published weights have no normalisation there (11.1 M).
    """

    def __init__(self, image_size: int, latent_dim: int, base_channels: int = 64, stem_norm: bool = True) -> None:
        super().__init__()
        side = image_size // 2**LEVELS
        widths = [base_channels * 2**level for level in reversed(range(LEVELS))]
        self.stem = nn.ConvTranspose2d(latent_dim, widths[0], side)
        self.stem_norm = ActNorm(widths[0], side) if stem_norm else None
        self.blocks = nn.ModuleList(_Up(*pair) for pair in pairwise(widths))
        self.image = nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1, bias=False)

    def before_tanh(self, z: Tensor) -> Tensor:
        """Map z (B, N) to the last layer's float32 output (B, 3, S, S), whose tanh is the image."""
        x = self.stem(z[:, :, None, None])
        if self.stem_norm is not None:
            x = F.leaky_relu(self.stem_norm(x), SLOPE)
        for block in self.blocks:
            x = block(x)
        return self.image(x).float()

    def forward(self, z: Tensor) -> Tensor:
        """Map z (B, N) to images (B, 3, S, S) in [-1, 1]."""
        return torch.tanh(self.before_tanh(z))


class VariationalNetwork(nn.Module):
    """Encoder and decoder with q(z|x) Gaussian of diagonal covariance and p(z) = N(0, 1).

    Args:
        image_size: S, a power of two, at least 32.
        latent_dim: N.
        base_channels: width of the first layer; the paper's is 64.
        decoder_stem_norm: actnorm and leaky ReLU after the decoder's first layer (Table 4).
        shared_noise: the N units of one image share one posterior variance, the geometric mean of the encoder's. With
            separate variances the KL whitens the latent: every unit in use has unit variance, however much it matters
            to the image, and only the noise tells units apart. With a shared one the units keep different variances,
            so that Eq 11 sees which of them matter most.
    """

    def __init__(
        self, image_size: int, latent_dim: int, base_channels: int, decoder_stem_norm: bool, shared_noise: bool
    ) -> None:
        super().__init__()
        self.image_size, self.latent_dim, self.shared_noise = image_size, latent_dim, shared_noise
        self.encoder = Encoder(image_size, 2 * latent_dim, base_channels)
        self.decoder = Decoder(image_size, latent_dim, base_channels, decoder_stem_norm)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), both (B, N), for images (B, 3, S, S)."""
        mean, log_variance = self.encoder(images).float().chunk(2, dim=1)
        if self.shared_noise:
            log_variance = log_variance.mean(1, keepdim=True).expand_as(mean)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)

    def decode(self, z: Tensor) -> Tensor:
        """G: z (B, N) -> images (B, 3, S, S) in [-1, 1]."""
        return self.decoder(z)


def check_image_size(image_size: int) -> None:
    """Raise UsageError unless four halvings of `image_size` leave a power of two of at least 2."""
    if image_size < 32 or image_size & (image_size - 1):
        nearest = max(32, 2 ** round(math.log2(max(image_size, 1))))
        raise UsageError(
            f"image size {image_size} cannot be used: the network halves images four times, so the size must be a "
            f"power of two from 32 up; use {nearest}"
        )


def paper_latent_dim(image_size: int, latent_dim: int | None) -> int:
    """Return `latent_dim`, or the paper's size for these images: 64 up to 64², 256 above; raises UsageError below 1."""
    if latent_dim is None:
        return 64 if image_size <= 64 else 256
    if latent_dim < 1:
        raise UsageError(f"the latent size must be at least 1, and {latent_dim} was given")
    return latent_dim
