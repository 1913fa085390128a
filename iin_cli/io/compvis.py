"""Read the checkpoints of the authors' release, and rename their tensors to the layout of this program.

A file is a dict whose key `model` holds the weights; their names tell which published network it is:

    translator    realnvp.flow.{i}.flow.0.{loc,scale,initialized}                    actnorm of block i
                  realnvp.flow.{i}.flow.1.{s,t}.{0,1}.main.{0,2,…}.{weight,bias}     first, second half step
                  realnvp.flow.{i}.flow.2.{forward,backward}_shuffle_idx             permutation
    both others   feature_layers.{i}.sub_layers.{0,1}, dense_encode.sub_layers.0     encoder
    autoencoder   dense_decode, decoder_layers.{i} (last index first), image_layer   decoder
    classifier    classifier.{weight,bias}                                           linear layer on z
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import CheckpointError

__all__ = ["Published", "read_compvis"]

Kind = Literal["translator", "autoencoder", "classifier"]
# The encoder halves the image four times; the side that is left is the kernel size of its last layer.
LEVELS = 4


@dataclass(frozen=True)
class Published:
    """What a published file holds, under this program's names.

    Attributes:
        kind: which of the three networks.
        config: JSON values that rebuild the module.
        tensors: its state dict, float32 weights and int64 permutations.
    """

    kind: Kind
    config: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def latent_dim(self) -> int:
        """N."""
        return self.config["dim" if self.kind == "translator" else "latent_dim"]


def read_compvis(path: Path) -> Published:
    """Read a published checkpoint, as weights only, and rename its tensors.

    Raises CheckpointError for a file that cannot be read as weights only, missing or unexpected keys, shapes that do
    not fit, actnorms that were never initialised, broken permutations, and weights that are not finite.
    """
    weights = _Weights(path, _model_of(path))
    if any(name.startswith("realnvp.flow.") for name in weights.state):
        kind, read = "translator", _translator
    elif "dense_decode.sub_layers.0.weight" in weights.state:
        kind, read = "autoencoder", _autoencoder
    elif "classifier.weight" in weights.state:
        kind, read = "classifier", _classifier
    else:
        raise CheckpointError(
            f"{path} holds none of the published networks (translator, autoencoder, classifier): "
            f"its keys are {_some(weights.state)}"
        )
    config, tensors = read(weights)
    weights.check_all_used(kind)
    return Published(kind, config, tensors)


def _model_of(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(f"no such checkpoint: {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    # Damaged pickles may raise any exception, from EOFError to AttributeError.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} cannot be read as the weights of a torch checkpoint: {reason}") from error
    if not isinstance(content, Mapping) or not isinstance(content.get("model"), Mapping):
        raise CheckpointError(
            f"{path} is not a published checkpoint: it should be a dict with the weights under 'model'"
        )
    state = dict(content["model"])
    strange = [str(name) for name, value in state.items() if not isinstance(value, Tensor)]
    if strange:
        raise CheckpointError(f"{path} holds values that are not tensors under 'model': {_some(strange)}")
    return {str(name): value.detach() for name, value in state.items()}


@dataclass
class _Weights:
    """The tensors of one file; each is checked when it is taken, and those never taken are unexpected."""

    path: Path
    state: dict[str, Tensor]
    taken: set[str] = field(default_factory=set)

    def get(self, name: str) -> Tensor:
        if name not in self.state:
            raise CheckpointError(f"{self.path} lacks {name}")
        self.taken.add(name)
        return self.state[name]

    def shape(self, name: str, rank: int) -> tuple[int, ...]:
        """Return the shape of `name`, which must have `rank` axes, none of them empty."""
        shape = tuple(self.get(name).shape)
        if len(shape) != rank or 0 in shape:
            raise CheckpointError(f"{self.path}: {name} has shape {shape}, expected {rank} axes")
        return shape

    def take(self, name: str, *shape: int) -> Tensor:
        """Return `name` as float32, which must have exactly `shape` and finite values."""
        tensor = self.get(name)
        if tuple(tensor.shape) != shape:
            raise CheckpointError(f"{self.path}: {name} has shape {tuple(tensor.shape)}, expected {shape}")
        if not tensor.isfinite().all():
            raise CheckpointError(f"{self.path}: {name} has values that are not finite")
        return tensor.float()

    def actnorm(self, prefix: str, channels: int) -> tuple[Tensor, Tensor]:
        """Return loc and scale (1, C, 1, 1) of an actnorm that has seen data and can be inverted."""
        flag = f"{prefix}.initialized"
        if flag in self.state and not self.get(flag).all():
            raise CheckpointError(f"{self.path}: {prefix} was never initialised on data: the network is untrained")
        loc = self.take(f"{prefix}.loc", 1, channels, 1, 1)
        scale = self.take(f"{prefix}.scale", 1, channels, 1, 1)
        if not scale.all():
            raise CheckpointError(f"{self.path}: {prefix}.scale is 0 in a component, which has no inverse")
        return loc, scale

    def count(self, pattern: str) -> int:
        """Count the different numbers that the group of `pattern` matches in the names."""
        return len({match[1] for name in self.state if (match := re.match(pattern, name))})

    def check_all_used(self, kind: str) -> None:
        if unexpected := sorted(self.state.keys() - self.taken):
            raise CheckpointError(f"{self.path} holds keys that a published {kind} does not: {_some(unexpected)}")


Read = tuple[dict[str, Any], dict[str, Tensor]]


def _translator(weights: _Weights) -> Read:
    dim = weights.shape("realnvp.flow.0.flow.0.loc", 4)[1]
    if dim % 2:
        raise CheckpointError(f"{weights.path} has N = {dim}: published translators have an even N")
    hidden = weights.shape("realnvp.flow.0.flow.1.s.0.main.0.weight", 2)[0]
    linears = weights.count(r"realnvp\.flow\.0\.flow\.1\.s\.0\.main\.(\d+)\.weight")
    blocks = weights.count(r"realnvp\.flow\.(\d+)\.")
    sizes = [dim // 2, *[hidden] * (linears - 1), dim // 2]
    tensors: dict[str, Tensor] = {}
    for block in range(blocks):
        theirs, ours = f"realnvp.flow.{block}.flow", 3 * block
        loc, scale = weights.actnorm(f"{theirs}.0", dim)
        tensors |= {f"layers.{ours}.loc": loc.flatten(), f"layers.{ours}.scale": scale.flatten()}
        for half in (0, 1):
            net = f"layers.{ours + 1}.nets.{half}"
            tensors |= {f"{net}.{name}": value for name, value in _scale_shift(weights, f"{theirs}.1", half, sizes)}
        order, back = _permutation(weights, f"{theirs}.2", dim)
        tensors |= {f"layers.{ours + 2}.order": order, f"layers.{ours + 2}.back": back}
    return {"dim": dim, "blocks": blocks, "hidden": hidden, "depth": linears - 2}, tensors


def _scale_shift(weights: _Weights, prefix: str, half: int, sizes: list[int]) -> Iterator[tuple[str, Tensor]]:
    """Yield the s- and t-net of half step `half`, stacked; weights are transposed, as ours multiply from the right."""
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        # The numbers between are the leaky ReLUs, which have no weights.
        names = [f"{prefix}.{net}.{half}.main.{2 * layer}" for net in "st"]
        yield f"weights.{layer}", torch.stack([weights.take(f"{name}.weight", outputs, inputs).T for name in names])
        yield f"biases.{layer}", torch.stack([weights.take(f"{name}.bias", outputs)[None] for name in names])


def _permutation(weights: _Weights, prefix: str, dim: int) -> tuple[Tensor, Tensor]:
    order, back = (weights.get(f"{prefix}.{way}_shuffle_idx") for way in ("forward", "backward"))
    numbers = torch.arange(dim)
    if not torch.equal(order.flatten().sort().values.long(), numbers) or order.is_floating_point():
        raise CheckpointError(f"{weights.path}: {prefix}.forward_shuffle_idx is not a permutation of 0…{dim - 1}")
    if not torch.equal(back, order.argsort()):
        raise CheckpointError(f"{weights.path}: {prefix}.backward_shuffle_idx does not undo forward_shuffle_idx")
    return order.long(), back.long()


def _encoder(weights: _Weights) -> tuple[int, int, int, dict[str, Tensor]]:
    """Return image size, base channels, outputs of the last layer, and the encoder's tensors."""
    levels = weights.count(r"feature_layers\.(\d+)\.")
    base, colors = weights.shape("feature_layers.0.sub_layers.0.weight", 4)[:2]
    if levels != LEVELS or colors != 3:
        raise CheckpointError(f"{weights.path} halves {colors}-channel images {levels} times, expected 3 and {LEVELS}")
    tensors: dict[str, Tensor] = {}
    inputs = 3
    for level in range(LEVELS):
        outputs = base * 2**level
        theirs, ours = f"feature_layers.{level}.sub_layers", f"encoder.features.{level}"
        tensors |= _normalised(weights, theirs, ours, (outputs, inputs, 4, 4), outputs)
        inputs = outputs
    outputs, _, side, _ = weights.shape("dense_encode.sub_layers.0.weight", 4)
    shape = (outputs, inputs, side, side)
    tensors |= _layer(weights, "dense_encode.sub_layers.0", "encoder.to_latent", shape, outputs)
    return side * 2**LEVELS, base, outputs, tensors


def _autoencoder(weights: _Weights) -> Read:
    size, base, outputs, tensors = _encoder(weights)
    dim, side = weights.shape("dense_decode.sub_layers.0.weight", 4)[0], size // 2**LEVELS
    if outputs != 2 * dim:
        raise CheckpointError(
            f"{weights.path}: dense_encode gives {outputs} values, expected mean and log-variance of {dim}"
        )
    widths = [base * 2**level for level in reversed(range(LEVELS))]
    stem = (dim, widths[0], side, side)
    tensors |= _layer(weights, "dense_decode.sub_layers.0", "decoder.stem", stem, widths[0])
    for block, (inputs, channels) in enumerate(pairwise(widths)):
        # Published decoders are numbered from the image inwards.
        theirs, ours = f"decoder_layers.{LEVELS - 2 - block}.sub_layers", f"decoder.blocks.{block}"
        tensors |= _normalised(weights, theirs, ours, (inputs, channels, 4, 4), channels)
    tensors["decoder.image.weight"] = weights.take("image_layer.sub_layers.0.weight", widths[-1], 3, 4, 4)
    config = {"image_size": size, "latent_dim": dim, "base_channels": base, "decoder_stem_norm": False}
    return config, tensors


def _classifier(weights: _Weights) -> Read:
    size, base, dim, tensors = _encoder(weights)
    classes = weights.shape("classifier.weight", 2)[0]
    tensors |= _layer(weights, "classifier", "head", (classes, dim), classes)
    names = [str(number) for number in range(classes)]
    return {"image_size": size, "classes": names, "latent_dim": dim, "base_channels": base}, tensors


def _layer(weights: _Weights, theirs: str, ours: str, shape: tuple[int, ...], outputs: int) -> dict[str, Tensor]:
    return {
        f"{ours}.weight": weights.take(f"{theirs}.weight", *shape),
        f"{ours}.bias": weights.take(f"{theirs}.bias", outputs),
    }


def _normalised(weights: _Weights, theirs: str, ours: str, shape: tuple[int, ...], channels: int) -> dict[str, Tensor]:
    """Take a convolution without bias and the actnorm after it."""
    loc, scale = weights.actnorm(f"{theirs}.1", channels)
    return {
        f"{ours}.conv.weight": weights.take(f"{theirs}.0.weight", *shape),
        f"{ours}.norm.loc": loc,
        f"{ours}.norm.scale": scale,
        f"{ours}.norm.initialized": torch.tensor(1, dtype=torch.uint8),
    }


def _some(names: Mapping[str, Any] | list[str]) -> str:
    shown = sorted(names)[:3]
    return ", ".join(shown) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if shown else "none"
