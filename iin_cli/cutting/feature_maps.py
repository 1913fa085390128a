"""Turn a layer's output into a latent z (B, N): the rule for every cut and for `--all-layers`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from ..errors import UsageError

__all__ = ["FLAT_LIMIT", "Form", "as_latent", "averaged_axes", "encode_layers", "inner_name"]

# The widest input of any last linear layer in torchvision (AlexNet, VGG): a translator that wide can still be fitted.
FLAT_LIMIT = 4096


def averaged_axes(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the axes of a batch (B, *shape) to average over; none if a row has at most 4,096 numbers or one axis.

    The channels stay: the first axis of a square map (C, S, S), else the last axis, as in (S, S, C) or tokens (T, C).

    >>> averaged_axes((512, 2, 2)), averaged_axes((512, 7, 7)), averaged_axes((197, 768))
    ((), (2, 3), (1,))
    """
    if math.prod(shape) <= FLAT_LIMIT or len(shape) < 2:
        return ()
    channels = 1 if len(shape) == 3 and shape[1] == shape[2] else len(shape)
    return tuple(axis for axis in range(1, len(shape) + 1) if axis != channels)


def as_latent(value: Tensor) -> Tensor:
    """Turn a layer's output (B, …) into z (B, N): its average over `averaged_axes`, else all of its numbers."""
    averaged = averaged_axes(value.shape[1:])
    return value.mean(averaged) if averaged else value.flatten(1)


@dataclass(frozen=True)
class Form:
    """A layer's output: its shape for one image, and the memory format of its batches."""

    shape: tuple[int, ...]
    memory_format: torch.memory_format = torch.contiguous_format

    @classmethod
    def of(cls, value: Any, rows: int) -> Self | None:
        """Return the form of a layer's output `value`; None unless it is one tensor with a row for each of `rows`."""
        if not isinstance(value, Tensor) or value.ndim < 2 or value.shape[0] != rows:
            return None
        channels_last = value.ndim == 4 and value.is_contiguous(memory_format=torch.channels_last)
        plain = value.is_contiguous() or not channels_last
        return cls(tuple(value.shape[1:]), torch.contiguous_format if plain else torch.channels_last)

    @property
    def dim(self) -> int:
        """N of the latent that `as_latent` makes of it."""
        return math.prod(self._kept())

    def spread(self, z: Tensor) -> Tensor:
        """Turn latents z (B, N) into outputs (B, …) of this form: an average goes evenly over the whole map."""
        value = z.reshape(-1, *self._kept()).expand(-1, *self.shape)
        # Cloned, since later layers may change the caller's z in place; the memory format decides the order of sums.
        return value.clone(memory_format=self.memory_format)

    def _kept(self) -> list[int]:
        averaged = averaged_axes(self.shape)
        return [1 if axis in averaged else size for axis, size in enumerate(self.shape, 1)]


def inner_name(name: str, within: str) -> str | None:
    """Return the name that a module has within the module `within`; None for one outside, and for `within` itself.

    >>> inner_name("net.blocks.1", "net"), inner_name("net", "net"), inner_name("fc", "")
    ('blocks.1', None, 'fc')
    """
    prefix = f"{within}." if within else ""
    return name.removeprefix(prefix) if name.startswith(prefix) and name else None


def encode_layers(
    network: nn.Module, inputs: Tensor, layers: Sequence[str], called: str, within: str = ""
) -> dict[str, Tensor]:
    """Send `inputs` (B, …) through the network once; return the latent (B, N) of each of `layers`, in float32.

    The last use of a layer counts when it is used several times, as in `cut_at`.

    Args:
        layers: names of modules of the network.
        called: the network's name, for messages.
        within: name of the part of the network in which the layers have their names.

    Raises UsageError for a layer that the network does not have or does not call.
    """
    modules, found = dict(network.get_submodule(within).named_modules()), {}

    def keep(layer: str, _module: nn.Module, _inputs: object, value: Tensor) -> None:
        # Copied at once, since the next layer may work in place.
        found[layer] = as_latent(value.float()).clone()

    with ExitStack() as hooks:
        for layer in layers:
            if layer in modules:
                hooks.callback(modules[layer].register_forward_hook(partial(keep, layer)).remove)
        network(inputs)
    for layer in layers:
        if layer not in found:
            raise UsageError(f"--layer {layer}: {called} does not compute such a layer; choose one of those it has")
    return {layer: found[layer] for layer in layers}
