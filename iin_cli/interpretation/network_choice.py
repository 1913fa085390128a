"""`NetworkChoice`: which network is meant, with which weights, and where it is cut."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..acceleration.choosing import check_wanted
from ..progress import Reporter
from .network import Network
from .opening import open_network

__all__ = ["NetworkChoice"]


@dataclass(frozen=True)
class NetworkChoice:
    """The network that a user asks for.

    Attributes:
        name: checkpoint, run folder, or registered name.
        weights: for a registered name: default, none (random), package, or a file.
        layer: where to cut the network; None cuts it where the backbone does.
        precision: of its latents: float32, bfloat16, or auto, which takes bfloat16 where the network's answers stay.
    """

    name: str
    weights: str = "default"
    layer: str | None = None
    precision: str = "auto"

    def open(self, device: torch.device | str = "cpu", report: Reporter | None = None) -> Network:
        """Open it on `device`. UsageError for a precision that is unknown or not fast there; else as `open_network`."""
        wanted = check_wanted(self.precision, torch.device(device))
        return open_network(self.name, device, self.weights, self.layer, report, wanted)
