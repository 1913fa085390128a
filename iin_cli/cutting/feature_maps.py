"""Turn a layer's output into a latent z (B, N): the rule for every cut and for `--all-layers`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from torch import Tensor, nn

from ..errors import UsageError

__all__ = ["FLAT_LIMIT", "as_latent", "averaged_axes", "encode_layers"]

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


def encode_layers(network: nn.Module, inputs: Tensor, layers: Sequence[str], called: str) -> dict[str, Tensor]:
    """Send `inputs` (B, …) through the network once; return the latent (B, N) of each of `layers`, in float32.

    The last use of a layer counts when it is used several times, as in `cut_at`.

    Args:
        layers: names of modules of the network.
        called: the network's name, for messages.

    Raises UsageError for a layer that the network does not have or does not call.
    """
    modules, found = dict(network.named_modules()), {}

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
