"""Weights of the stylizer's encoder: torchvision's VGG-19, a file of its shape, or random filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from iin_cli.backbones.pretrained_weights import cached_file, default_weights, load_weights
from iin_cli.errors import CheckpointError, UsageError
from iin_cli.interpretation.opening import module_digest
from iin_cli.io.weights import read_weights
from iin_cli.progress import Reporter
from torch import Tensor
from torch.nn import functional as F
from torchvision.models import VGG19_Weights

from .networks import Encoder, canonical, random_encoder
from .sketches import as_style
from .strokes import family

__all__ = ["EncoderWeights", "default_file", "open_encoder"]

DEFAULT = VGG19_Weights.IMAGENET1K_V1
RANDOM_SEED = 19
# Images on which random filters are scaled: stroke drawings, and noise as smooth as photographs.
SCALING_IMAGES = 8
SCALING_SIDE = 64


@dataclass(frozen=True)
class EncoderWeights:
    """An encoder, the source of its weights (`default`, `random`, or the path of a file), and their sha256."""

    encoder: Encoder
    source: str
    sha256: str

    @property
    def provenance(self) -> dict[str, str | int]:
        """The facts about the encoder that a stylizer's checkpoint keeps."""
        return {"source": self.source, "sha256": self.sha256, "width": self.encoder.width}


def default_file() -> Path:
    """Return the path of VGG-19's weights in torch's cache, whether or not the file is there."""
    return cached_file(DEFAULT)


def open_encoder(wanted: str, random_width: int, report: Reporter) -> EncoderWeights:
    """Return the encoder with the weights `wanted` (default, random, or a file); warns unless it is the default.

    Args:
        random_width: channels of a random encoder's first layer.

    Raises CheckpointError for a file that cannot be read or does not fit a VGG-19, UsageError for a missing file and
    for weights that cannot be fetched.
    """
    if wanted == "default":
        tensors = default_weights(DEFAULT, "VGG-19", "--encoder-weights random")
        encoder = _of_tensors(tensors, str(default_file()))
        return EncoderWeights(encoder, wanted, module_digest(encoder))
    if wanted == "random":
        encoder = random_encoder(random_width, RANDOM_SEED, _scaling_images())
        report.warn(
            "the stylizer's encoder has random weights, not VGG-19's, so its strokes are simpler: "
            f"place VGG-19's weights at {default_file()} and use --encoder-weights default for better ones"
        )
        return EncoderWeights(encoder, wanted, module_digest(encoder))
    path = Path(wanted).expanduser()
    if not path.is_file():
        raise UsageError(f"--encoder-weights {wanted}: no such file; write default, random, or the path of a file")
    encoder = _of_tensors(read_weights(path), str(path))
    report.warn(f"the stylizer's encoder has the weights of {path}, not torchvision's VGG-19")
    return EncoderWeights(encoder, str(path.resolve()), module_digest(encoder))


def _of_tensors(tensors: Mapping[str, Tensor], source: str) -> Encoder:
    """Build an encoder of the width that VGG-19's weights have, named as torchvision's; other weights are ignored."""
    first = tensors.get("features.0.weight")
    if first is None or first.dim() != 4:
        raise CheckpointError(f"{source} holds no VGG-19: it has no features.0.weight; use torchvision's vgg19")
    encoder = Encoder(len(first))
    own = encoder.state_dict()
    load_weights(encoder, {name: tensor for name, tensor in tensors.items() if name in own}, source)
    return encoder


def _scaling_images() -> Tensor:
    drawings = family(SCALING_IMAGES, RANDOM_SEED, SCALING_SIDE)
    drawn = as_style(drawings, torch.arange(SCALING_IMAGES) % 2 == 0)
    coarse = torch.randn(
        SCALING_IMAGES, 3, SCALING_SIDE // 4, SCALING_SIDE // 4, generator=torch.Generator().manual_seed(RANDOM_SEED)
    )
    smooth = F.interpolate(coarse, size=(SCALING_SIDE, SCALING_SIDE), mode="bicubic")
    return torch.cat((drawn, canonical(smooth).images))
