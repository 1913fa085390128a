"""Shared parts of training recipes: precision, learning rate, number of steps, first statistics of a whole batch."""

from __future__ import annotations

import math

import torch
from torch import nn

from ..distributed import bfloat16_is_fast
from ..plugin_api import BatchPart
from .encoder_decoder import ActNorm

__all__ = ["cosine_rate", "inferred_steps", "pool_first_statistics", "training_precision"]

# The part of a training in which the learning rate rises.
WARM_UP = 0.02


def training_precision(device: torch.device) -> torch.autocast:
    """Return the autocast context to train under on `device`: bfloat16 where the hardware multiplies it faster."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16_is_fast(device))


def cosine_rate(fraction: float, peak: float) -> float:
    """Learning rate at `fraction` of the run: a linear rise over `WARM_UP`, then a cosine to 2 % of `peak`.

    >>> round(cosine_rate(0.02, 1.0), 3), round(cosine_rate(1.0, 1.0), 3)
    (1.0, 0.02)
    """
    if fraction < WARM_UP:
        return peak * (0.1 + 0.9 * fraction / WARM_UP)
    progress = (fraction - WARM_UP) / (1 - WARM_UP)
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))


def inferred_steps(train_items: int | None, batch_size: int, epochs: float, least: int, most: int) -> int:
    """Return `epochs` passes over `train_items` images in steps of `batch_size`, between `least` and `most`.

    >>> inferred_steps(10_000, 100, epochs=3, least=200, most=1000)
    300
    """
    wanted = most if train_items is None else round(epochs * train_items / batch_size)
    return min(max(wanted, least), most)


def pool_first_statistics(module: nn.Module, part: BatchPart) -> None:
    """Let layers of `module` that initialise from the first batch average over the rows of all processes."""
    for layer in module.modules():
        if isinstance(layer, ActNorm):
            layer.average = part.mean
