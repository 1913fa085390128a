"""The network in whose features images are compared: Inception, or E of one of iin's backbones.

Where the official Inception weights cannot be obtained, or Inception is too slow, a classifier trained on the same
images takes its place. What is measured then is a Fréchet distance, `fd`, never called FID.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..interpretation.network import Network
from ..interpretation.opening import open_network
from ..latents.cache import as_images
from ..metrics.inception import InceptionFeatures
from ..progress import Reporter

__all__ = ["BackboneFeatures", "FeatureChoice", "Features"]


class Features(Protocol):
    """A callable from images to features, known by the digest of its weights.

    Attributes:
        name: what a result calls the network.
        weights_sha256: digest of its weights file.
        resize: how images are brought to its size.
    """

    name: str
    weights_sha256: str
    resize: str

    def __call__(self, images: Sequence[np.ndarray]) -> Tensor:
        """Return features (B, D) of B images uint8 (H, W, 3), each of its own size."""
        ...


class BackboneFeatures:
    """E of a network as a feature network: z (B, N) of images cut square and resized as the network's are."""

    def __init__(self, network: Network) -> None:
        self.backbone, self._device = network.backbone, network.device
        self.name, self.weights_sha256 = network.name, network.sha256
        self.resize = f"{network.backbone.interpolation}-{network.backbone.image_size}"

    def __call__(self, images: Sequence[np.ndarray]) -> Tensor:
        """Return z (B, N) of B images uint8 (H, W, 3), each of its own size; of a stochastic encoder the mean."""
        pixels = np.stack([self._fitted(image) for image in images])
        with torch.inference_mode():
            return self.backbone.encode(as_images(pixels).to(self._device)).float()

    def _fitted(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        size, side = self.backbone.image_size, min(height, width)
        if (height, width) == (size, size):
            return image
        left, top = (width - side) // 2, (height - side) // 2
        box, way = (left, top, left + side, top + side), Image.Resampling[self.backbone.interpolation.upper()]
        return np.asarray(Image.fromarray(image).resize((size, size), way, box=box))


@dataclass(frozen=True)
class FeatureChoice:
    """Which network images are compared in.

    Attributes:
        backbone: a backbone's checkpoint, run folder or registered name, whose E it is; None is Inception.
        weights: weights file of Inception or of a registered name; None is the official one, fetched when it is not
            here.
        batch: images per forward pass.
    """

    backbone: str | None = None
    weights: Path | None = None
    batch: int = 50

    def open(self, device: torch.device, report: Reporter) -> Features:
        """Open the network.

        Raises CheckpointError for a damaged file, UsageError for an unknown name or weights beside a checkpoint.
        """
        if self.backbone is None:
            return InceptionFeatures(self.weights, device, report)
        return BackboneFeatures(open_network(self.backbone, device, str(self.weights or "default"), report=report))
