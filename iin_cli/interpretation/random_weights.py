"""A network's architecture with random weights: much of what its layers show, a network that learned nothing shows."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ..distributed import seeded
from ..errors import UsageError, reason
from .modules import FunctionBackbone
from .network import Network

__all__ = ["LEAST_IMAGES", "with_random_weights"]

# Of the first batch, whose statistics the normalisation takes.
LEAST_IMAGES = 64
RANDOM = "random"
# torch gives its dropout layers this common base.
Dropout = nn.modules.dropout._DropoutNd  # pyright: ignore[reportPrivateUsage]


def with_random_weights(network: Network, images: Tensor, seed: int = 0) -> Network:
    """Return the architecture of `network` with the weights it has before training, as its own code draws them.

    Normalisation takes its statistics from `images`, as it does in the first step of a training: without them the
    signal fades on its way through a deep network, and an actnorm is not yet set.

    Args:
        images: (B, 3, S, S) in [-1, 1], a random choice of them, 64 or more.
        seed: of the weights, where the network's code draws them from torch's generator.

    Raises UsageError for a network whose architecture is not known: one given from Python, or cut at a layer.
    """
    backbone = network.backbone
    if isinstance(backbone, FunctionBackbone) or network.layer is not None:
        raise UsageError(f"random weights: iin cannot build {network.name} again; use a registered network, uncut")
    # Its own code may fail over its config in any way.
    try:
        with seeded(seed):
            built = type(backbone).from_config(dict(backbone.config))
    except Exception as error:
        raise UsageError(f"random weights: {network.name} cannot be built without weights: {reason(error)}") from error
    found = Network.of(built, network.source, "", network.data, RANDOM, device=network.device)
    _settle(found, images.to(network.device), seed)
    return found


@torch.no_grad()
def _settle(network: Network, images: Tensor, seed: int) -> None:
    """Give normalisation layers the statistics of `images`; dropout stays off, and weights stay as they are."""
    module, layer = cast(nn.Module, network.backbone), network.layers()[-1:]
    # Not earlier: looking for layers computes with blank images, which must not count.
    module.train()
    batch_norms = [each for each in module.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
    momentum = [each.momentum for each in batch_norms]
    for each in batch_norms:
        # A plain average, of one batch: that batch's statistics.
        each.momentum = None
    for each in module.modules():
        if isinstance(each, Dropout):
            each.eval()
    try:
        with seeded(seed, network.device):
            network.encode_layers(images, layer)
    finally:
        module.eval()
        for each, value in zip(batch_norms, momentum, strict=True):
            each.momentum = value
