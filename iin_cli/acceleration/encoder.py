"""`Encoder`: E of a network for many images, in one precision; G and the network itself stay as they are."""

from __future__ import annotations

import threading
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..cutting.folding import folded_copy
from ..plugin_api import Backbone

__all__ = ["PRECISIONS", "Encoder", "Precision", "Wanted"]

Precision = Literal["float32", "bfloat16"]
Wanted = Literal["auto", "float32", "bfloat16"]
PRECISIONS: tuple[Wanted, ...] = ("auto", "float32", "bfloat16")
# Images on which the copy with folded batch norms is compared with the network.
COMPARED = 8
# Held by the first of several threads that encode at once, since folding watches the network at work.
FOLDING = threading.Lock()
# Side of coarse noise before it is brought to an image's size.
COARSE = 8


class Encoder:
    """E of `backbone`, by a copy whose batch norms are folded where that gives the same numbers.

    Args:
        precision: `float32` computes as the network does, within `folding.FOLD_TOLERANCE`; `bfloat16` multiplies in
            bfloat16. z is float32 in both.
        may_copy: whether the backbone's weights stay as they are, so that a copy stays the same network.
    """

    def __init__(self, backbone: Backbone, precision: Precision = "float32", may_copy: bool = True) -> None:
        self.precision = precision
        # A module, too, which its own type does not say.
        self._backbone: Any = backbone
        self._faster: Any = None if may_copy else backbone

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean and log-variance of q(z|x), both (B, N) in float32, of images (B, 3, S, S) in [-1, 1]."""
        with FOLDING:
            if self._faster is None:
                self._faster = folded_copy(self._backbone, lambda network, x: network.posterior(x)[0], _shown(images))
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            mean, log_variance = self._faster.posterior(images)
        return mean.float(), None if log_variance is None else log_variance.float()

    def encode(self, images: Tensor) -> Tensor:
        """E: images (B, 3, S, S) in [-1, 1] -> z (B, N) in float32, of a stochastic encoder the mean."""
        return self.posterior(images)[0]


def _shown(images: Tensor) -> Tensor:
    """Return images of noise, fine and coarse, of the size and on the device of `images` (B, 3, S, S).

    They depend on nothing else: processes that encode parts of the same data must decide alike.
    """
    generator, size = torch.Generator().manual_seed(0), images.shape[-2:]
    fine = torch.rand(COMPARED // 2, images.shape[1], *size, generator=generator)
    coarse = torch.rand(COMPARED - len(fine), images.shape[1], COARSE, COARSE, generator=generator)
    return torch.cat((fine, interpolate(coarse, size, mode="bilinear"))).mul_(2).sub_(1).to(images)
