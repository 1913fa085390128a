"""`Network`: E and G of one network on one device, what G answers with, and where the network comes from."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import PluginError, UsageError
from ..latents.cache import as_images
from ..plugin_api import Backbone
from ..progress import Reporter, Silent
from .answers import Answer, Classes, Images, answer_of
from .pieces import in_pieces, to_pixels

__all__ = ["Network"]


class Network:
    """A network f = G∘E ready to be read: in evaluation mode and on its device.

    Attributes:
        backbone: what computes E and G.
        source: absolute path of its checkpoint, or its registered name.
        sha256: of the checkpoint file, or of the weights when it has none; empty where neither is known.
        data: what it was trained on, `{name, root, fingerprint}`; empty where its checkpoint records none, None for a
            registered name.
        weights: of a registered name: `default`, `none`, or the absolute path of a file.
        layer: where the network is cut; None where the backbone cuts it itself.
        device: where it computes.
    """

    backbone: Backbone
    source: str
    sha256: str
    data: dict[str, Any] | None
    weights: str
    layer: str | None
    device: torch.device

    @classmethod
    def of(
        cls,
        backbone: Backbone,
        source: str,
        sha256: str,
        data: dict[str, Any] | None = None,
        weights: str = "default",
        layer: str | None = None,
        device: torch.device | str = "cpu",
    ) -> Self:
        """Freeze `backbone`, move it to `device`, and say where it comes from. PluginError for what is no backbone."""
        if not (isinstance(backbone, nn.Module) and isinstance(backbone, Backbone)):
            raise PluginError(f"the backbone {type(backbone).__name__} is not a torch module with iin's contract")
        network = cls.__new__(cls)
        network.backbone = backbone.to(device).eval().requires_grad_(False)
        network.source, network.sha256, network.data = source, sha256, data
        network.weights, network.layer, network.device = weights, layer, torch.device(device)
        return network

    def __repr__(self) -> str:
        where = f" at {self.layer}" if self.layer else ""
        return f"Network({self.name}{where}: {self.latent_dim} features, {self.answer.verb})"

    @property
    def name(self) -> str:
        """What the backbone is called, its argument included."""
        return self.backbone.name

    @property
    def latent_dim(self) -> int:
        """N."""
        return self.backbone.latent_dim

    @cached_property
    def answer(self) -> Answer:
        """What G answers with."""
        return answer_of(self.backbone.classes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; UsageError for a network that draws images."""
        if not isinstance(self.answer, Classes):
            raise UsageError(f"{self.name} draws images and names no class: use a classifier")
        return self.answer.names

    def require_images(self) -> Self:
        """Return this network if it draws images; UsageError for a classifier."""
        if not isinstance(self.answer, Images):
            raise UsageError(f"{self.name} is a classifier and draws no images: use `iin walk --mode ou`")
        return self

    @property
    def provenance(self) -> dict[str, str | None]:
        """What a translator remembers of its backbone."""
        return {
            "name": self.name,
            "source": self.source,
            "sha256": self.sha256,
            "weights": self.weights,
            "layer": self.layer,
        }

    def encode_pixels(self, pixels: np.ndarray) -> Tensor:
        """Encode images uint8 (B, S, S, 3) to z (B, N), of a stochastic encoder the posterior's mean."""
        # In one layout, whether a piece is filled up or not: convolutions round otherwise in another.
        take = lambda rows: as_images(pixels[rows]).contiguous()  # noqa: E731
        return torch.cat(list(in_pieces(len(pixels), take, self.backbone.encode, self.device)))

    def answers(self, z: Tensor, report: Reporter | None = None) -> Tensor:
        """Answer latents z (B, N), in pieces, on the CPU: images (B, 3, S, S), or log-probabilities (B, classes)."""
        decoded = []
        with (report or Silent()).task("predicting" if self.answer.names else "decoding", len(z), "latents") as task:
            for piece in in_pieces(len(z), z.__getitem__, self.backbone.decode, self.device):
                decoded.append(piece)
                task.advance(len(piece))
        return self.answer.of(torch.cat(decoded))

    def draw(self, z: Tensor, report: Reporter | None = None) -> np.ndarray:
        """Decode z (B, N) to images uint8 (B, S, S, 3)."""
        drawn = []
        with (report or Silent()).task("decoding", len(z), "images") as task:
            for images in in_pieces(len(z), z.__getitem__, self.backbone.decode, self.device):
                drawn.append(to_pixels(images))
                task.advance(len(images))
        return np.concatenate(drawn)
