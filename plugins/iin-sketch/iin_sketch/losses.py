"""Losses of the stylizer (paper A.4; SANet, Eqs 6–10): content, style, identity, realism."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .networks import normalised

__all__ = ["WEIGHTS", "content_loss", "feature_loss", "style_loss"]

# λ of content and style, of both identity losses (pixels, features), and of the realism prior.
WEIGHTS = {"content": 1.0, "style": 5.0, "identity": 50.0, "identity_features": 1.0, "realism": 1.0}
# Added to a variance before its root, whose slope is unbounded at 0.
VARIANCE_FLOOR = 1e-5


def content_loss(stylised: Sequence[Tensor], content: Sequence[Tensor]) -> Tensor:
    """Squared error of normalised relu4_1 and relu5_1, summed over the two; both are encodings relu1_1 … relu5_1."""
    pairs = zip(stylised[3:], content[3:], strict=True)
    return torch.stack([F.mse_loss(normalised(ours), normalised(theirs)) for ours, theirs in pairs]).sum()


def style_loss(stylised: Sequence[Tensor], style: Sequence[Tensor], gains: Sequence[float]) -> Tensor:
    """Squared error of every channel's mean and deviation over the image, summed over relu1_1 … relu5_1.

    Args:
        gains: factors of the statistics of each of the five; 1 for VGG-19.
    """
    terms = []
    for ours, theirs, gain in zip(stylised, style, gains, strict=True):
        (mean, deviation), (mean_wanted, deviation_wanted) = _statistics(ours), _statistics(theirs)
        terms.append(gain**2 * (F.mse_loss(mean, mean_wanted) + F.mse_loss(deviation, deviation_wanted)))
    return torch.stack(terms).sum()


def feature_loss(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
    """Squared error of the maps themselves, summed over relu1_1 … relu5_1: the second identity loss."""
    return torch.stack([F.mse_loss(one, other) for one, other in zip(ours, theirs, strict=True)]).sum()


def _statistics(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (B, C) of maps (B, C, H, W)."""
    variance, mean = torch.var_mean(maps, dim=(2, 3), correction=0)
    return mean, (variance + VARIANCE_FLOOR).sqrt()
