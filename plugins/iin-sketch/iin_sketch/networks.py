"""The style-attentional network (SANet, Park & Lee 2019; paper A.4): encoder, attention, decoder, in canonical colours.

The network works on images whose channels have mean 0 and standard deviation 1. Its output is a change, which is scaled
back and added to the image. Strokes therefore take the colours of the image, and what the network cannot redraw stays
unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.vgg import make_layers

__all__ = [
    "SMALLEST_SIDE",
    "Canonical",
    "Decoder",
    "Encoder",
    "StyleAttention",
    "StyleFeatures",
    "Stylizer",
    "canonical",
    "normalised",
    "random_encoder",
    "style_features",
]

# VGG-19's configuration E up to conv5_1, in multiples of its first layer's width.
PLAN = (1, 1, "M", 2, 2, "M", 4, 4, 4, 4, "M", 8, 8, 8, 8, "M", 8)
# relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 in torchvision's numbering.
TAPS = (1, 6, 11, 20, 29)
# relu5_1 is 16 times smaller than the image, and a single place has no deviation.
SMALLEST_SIDE = 32
DARKEST_DEVIATION = 4 / 255
# Gains of the statistics of a random encoder's maps, so that content and style losses are of similar size, as with
# VGG-19; they are smaller for deep maps, which have few places and noisy statistics.
RANDOM_GAINS = (16.0, 16.0, 16.0, 8.0, 2.0)


@dataclass(frozen=True)
class Canonical:
    """Images (B, 3, S, S) with channels of mean 0 and deviation 1, and the `deviation` (B, 3, 1, 1) they had."""

    images: Tensor
    deviation: Tensor

    @property
    def light_ground(self) -> Tensor:
        """Bool (B,): whether the image is dark marks on a light ground (negative skewness) rather than the reverse."""
        return self.images.mean(1).pow(3).mean((1, 2)) <= 0


def canonical(images: Tensor) -> Canonical:
    """Shift and scale every channel of images (B, 3, S, S) to mean 0 and standard deviation 1.

    Near-constant channels are scaled by a floor of the deviation, so that noise is not blown up.
    """
    mean = images.mean((2, 3), keepdim=True)
    deviation = (images - mean).square().mean((2, 3), keepdim=True).sqrt().clamp_min(DARKEST_DEVIATION)
    return Canonical((images - mean) / deviation, deviation)


def normalised(features: Tensor) -> Tensor:
    """Shift and scale every channel of features (B, C, H, W) to mean 0 and deviation 1 (SANet's mean-variance)."""
    return F.instance_norm(features)


class Encoder(nn.Module):
    """VGG-19 up to relu5_1, frozen: canonical images (B, 3, S, S) -> five maps, S, S/2, … S/16 wide.

    Args:
        width: channels of the first layer; 64 is VGG-19's. Weights are named as in torchvision's `vgg19`.

    Attributes:
        gains: what the style loss multiplies the statistics of the five maps by.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.width = width
        self.gains: tuple[float, ...] = (1.0,) * len(TAPS)
        # The initial weights are replaced, so the caller's global generator stays untouched.
        with torch.random.fork_rng(devices=[]):
            self.features = make_layers([step if step == "M" else step * width for step in PLAN])
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return relu1_1 … relu5_1."""
        maps = []
        for index, layer in enumerate(self.features):
            images = layer(images)
            if index in TAPS:
                maps.append(images)
        return maps


def random_encoder(width: int, seed: int, images: Tensor) -> Encoder:
    """Make an encoder of random orthogonal filters; every channel has mean 0 and deviation 1 before its ReLU.

    Random filters carry texture, too (He et al. 2016, "A powerful generative model using random weights for the deep
    image representation"), if no channel is dead or always on; hence the scaling on data (Krähenbühl et al. 2016).

    Args:
        images: canonical (B, 3, S, S) to scale on.
    """
    encoder, generator = Encoder(width), torch.Generator().manual_seed(seed)
    encoder.gains = RANDOM_GAINS
    with torch.no_grad():
        for layer in encoder.features:
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.orthogonal_(layer.weight, generator=generator)
                nn.init.zeros_(layer.bias)
                outputs = layer(images)
                mean, deviation = outputs.mean((0, 2, 3)), outputs.std((0, 2, 3)).clamp_min(1e-6)
                layer.weight.div_(deviation[:, None, None, None])
                layer.bias.copy_(-mean / deviation)
            images = layer(images)
    return encoder


@dataclass(frozen=True)
class StyleFeatures:
    """The features of a style that the network needs, one per image (B, …) or one for all images (1, …).

    Attributes:
        fourth, fifth: relu4_1 and relu5_1 (B, C, H, W), which attention looks at.
        statistics: (B, F), mean and deviation of every channel of relu1_1 … relu5_1.
    """

    fourth: Tensor
    fifth: Tensor
    statistics: Tensor

    def __getitem__(self, chosen: Tensor) -> StyleFeatures:
        """Return the styles numbered `chosen` (B,)."""
        return StyleFeatures(self.fourth[chosen], self.fifth[chosen], self.statistics[chosen])


class StyleAttention(nn.Module):
    """Every place of the content takes the style of similar places (SANet, Eqs 4–5).

    Queries are 1×1 convolutions of the normalised content, keys of the normalised style, values of the unchanged style;
    the result of the attention passes another 1×1 convolution and is added to the content. Unlike in SANet, products
    are divided by √C, which keeps the softmax of wide features from saturating.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Map content (B, C, H, W) and style (B or 1, C, H', W') to (B, C, H, W)."""
        style = style.expand(len(content), -1, -1, -1)
        queries, keys, values = (
            convolution(maps).flatten(2).transpose(1, 2)
            for convolution, maps in (
                (self.query, normalised(content)),
                (self.key, normalised(style)),
                (self.value, style),
            )
        )
        found = F.scaled_dot_product_attention(queries, keys, values)
        return content + self.out(found.transpose(1, 2).reshape(content.shape))


class Decoder(nn.Module):
    """Maps attended features (B, C, S/8, S/8) and the content's first maps to a change of every channel (B, 1, S, S).

    SANet decodes from the attended features alone, and needs 160,000 steps to learn to draw. Here the decoder has the
    content's shallow maps at every scale and adds nothing at first, so a run of minutes keeps the content, too.

    Attention alone takes equally long to tell styles apart, so their statistics also scale and shift every stage (as in
    Perez et al. 2018).
    One number for all canonical channels moves a colour along the image's own colours, and leaves no coloured fringes.

    Args:
        encoder_width: channels of relu1_1.
        width: channels at full size; twice and four times as many below.
    """

    def __init__(self, encoder_width: int, width: int) -> None:
        super().__init__()
        widths, skips = (4 * width, 2 * width, width), (4 * encoder_width, 2 * encoder_width, encoder_width)
        # Reduced before being enlarged: at the larger size a convolution costs four times as much.
        above = (8 * encoder_width, *widths)
        self.widths = widths
        self.reductions = nn.ModuleList(_convolution(a, b) for a, b in zip(above, widths, strict=False))
        self.stages = nn.ModuleList(_convolution(b + skip, b) for b, skip in zip(widths, skips, strict=True))
        # A mean and a deviation for each of the encoder's 23 · `encoder_width` tapped channels.
        self.modulation = nn.Linear(2 * 23 * encoder_width, 2 * sum(widths))
        self.head = _convolution(width, 1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, attended: Tensor, shallow: list[Tensor], statistics: Tensor) -> Tensor:
        """Decode; `shallow` are relu1_1, relu2_1 and relu3_1 of the content, whose scale must not matter."""
        modulation = self.modulation(F.layer_norm(statistics, statistics.shape[1:]))[:, :, None, None]
        scales, shifts = (part.split(self.widths, dim=1) for part in modulation.chunk(2, dim=1))
        parts = zip(self.reductions, self.stages, reversed(shallow), scales, shifts, strict=True)
        for reduction, stage, skip, scale, shift in parts:
            enlarged = F.interpolate(_leaky(reduction(attended)), size=skip.shape[2:])
            drawn = stage(torch.cat((enlarged, normalised(skip)), dim=1))
            attended = _leaky(drawn * (1 + scale) + shift)
        return self.head(attended)


class Stylizer(nn.Module):
    """E, two attention modules and a decoder.

    Args:
        width: channels of the encoder's first layer.
        decoder_width: channels of the decoder's last layer.
        side: side of the training images in pixels; it decides the size of strokes.
    """

    def __init__(self, width: int = 64, decoder_width: int = 64, side: int = 128) -> None:
        super().__init__()
        self.config = {"width": width, "decoder_width": decoder_width, "side": side}
        self.side = side
        self.encoder = Encoder(width)
        self.fourth, self.fifth = StyleAttention(8 * width), StyleAttention(8 * width)
        self.merge = _convolution(8 * width, 8 * width)
        self.decoder = Decoder(width, decoder_width)

    def trained_parameters(self) -> list[nn.Parameter]:
        """Return all weights except the encoder's."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def style(self, images: Tensor) -> StyleFeatures:
        """Encode style images (B, 3, H, W) in canonical colours."""
        return style_features(self.encoder(images))

    def transfer(self, images: Tensor, maps: list[Tensor], style: StyleFeatures) -> Tensor:
        """Draw canonical images (B, 3, S, S), whose encoding is `maps`, in `style`: (B, 3, S, S)."""
        attended, fifth = self.fourth(maps[3], style.fourth), self.fifth(maps[4], style.fifth)
        merged = self.merge(attended + F.interpolate(fifth, size=attended.shape[2:]))
        return images + self.decoder(merged, maps[:3], style.statistics)


def style_features(maps: list[Tensor]) -> StyleFeatures:
    """Return the style features of an encoding relu1_1 … relu5_1."""
    moments = [torch.var_mean(m, dim=(2, 3), correction=0) for m in maps]
    statistics = torch.cat([part for variance, mean in moments for part in (mean, variance.sqrt())], dim=1)
    return StyleFeatures(maps[3], maps[4], statistics)


def _leaky(maps: Tensor) -> Tensor:
    # Plain ReLUs died within a hundred steps, and then no style was drawn.
    return F.leaky_relu(maps, 0.2)


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")
