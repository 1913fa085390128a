"""The convolutional networks of Tables 3–5: encoder, decoder, and the two as a variational autoencoder.

Images are (B, 3, S, S), z is (B, N). Parameters of the autoencoder in millions, encoder + decoder: 32² N=64: 3.0 + 2.9;
64² N=64: 3.8 + 3.3; 128² N=256: 19.5 + 11.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

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


@dataclass(frozen=True, eq=False)
class _Folded:
    """scale · W and scale · loc: scale · (Wx + loc) is one pass over the activations instead of three."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class _Kept:
    """A product, and what it was made of.

    Attributes:
        sources: held, so that no other tensor comes to their places in memory.
        versions: how often each had been changed in its place.
    """

    folded: _Folded
    sources: tuple[Tensor, ...]
    versions: tuple[int, ...]

    def is_of(self, sources: tuple[Tensor, ...]) -> bool:
        """Say whether none of the sources has changed since."""
        places = zip(sources, self.sources, strict=True)
        return self.versions == _versions(sources) and all(now.data_ptr() == old.data_ptr() for now, old in places)


def _versions(tensors: tuple[Tensor, ...]) -> tuple[int, ...]:
    return tuple(tensor._version for tensor in tensors)


class _Block(nn.Module):
    """A convolution without bias and the actnorm behind it, whose product is kept while neither is trained.

    To multiply a million weights takes as long as to decode one small image. A change that torch does not count, as
    through `.data`, is seen after `train`, `to` or a pass with gradients: then nothing stays kept.
    """

    conv: nn.Conv2d | nn.ConvTranspose2d
    norm: ActNorm
    # The shape of the scale beside the weights: -1 where they have their output channels.
    beside: tuple[int, ...]
    _kept: _Kept | None = None

    def _folded(self, x: Tensor) -> _Folded:
        """Return the weights for x (B, C, H, W); the first training batch sets their scale."""
        self.norm.initialize(_unnormalised(self, x))
        sources = (self.conv.weight, self.norm.loc, self.norm.scale)
        if self.training or torch.is_grad_enabled():
            # Fused optimisers change weights uncounted.
            self._kept = None
            return self._fold()
        # Tensors of inference mode know not how often they were changed; those of `torch.func` end with its call.
        is_followed = torch._C._is_tracing() or torch._C._are_functorch_transforms_active()
        if is_followed or any(each.is_inference() for each in sources):
            return self._fold()
        # Threads that draw beside each other fold the same numbers.
        kept = self._kept
        if kept is None or not kept.is_of(sources):
            before = _versions(sources)
            kept = self._kept = _Kept(self._fold(), tuple(each.detach() for each in sources), before)
        return kept.folded

    def train(self, mode: bool = True) -> Self:
        """Set the mode, and forget what was kept."""
        self._kept = None
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # Also the old weights, where they move to another device or type.
        self._kept = None
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, Any]:
        # A copy computes its own.
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}

    def _fold(self) -> _Folded:
        loc, scale = self.norm.loc, self.norm.scale
        return _Folded(self.conv.weight * scale.reshape(self.beside), (scale * loc).flatten())


class _Down(_Block):
    """Convolution k4 s2 p1 → actnorm → leaky ReLU 0.2; halves the side."""

    beside = (-1, 1, 1, 1)

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
        self.norm = ActNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        folded = self._folded(x)
        x = F.conv2d(x, folded.weight, folded.bias, 2, 1)
        return F.leaky_relu(x, SLOPE, inplace=True)


class _Up(_Block):
    """Transposed convolution k4 s2 p1 → actnorm → leaky ReLU 0.2; doubles the side."""

    beside = (1, -1, 1, 1)

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
        self.norm = ActNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        folded = self._folded(x)
        x = F.conv_transpose2d(x, folded.weight, folded.bias, 2, 1)
        return F.leaky_relu(x, SLOPE, inplace=True)


@torch.no_grad()
def _unnormalised(block: _Block, x: Tensor) -> Tensor:
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
