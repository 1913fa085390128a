"""Measure on real images that a translator leaves its network f as it is: f = G∘E, and f = G∘T⁻¹∘T∘E.

Nothing here changes f: its outputs are those of the network alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..interpretation.network import Network
from ..latents.cache import as_images
from ..latents.splitting import held_out_mask
from ..plugin_api import Dataset
from ..progress import Reporter
from ..translator.flow import Translator

__all__ = ["PROOF_IMAGES", "Attachment"]

PROOF_IMAGES = 64
# Float32 and another order of summation explain differences up to this part of the largest |f(x)|.
ROUNDING = 1e-4
BATCH = 16


class Attachment:
    """A network on a few images that no translator is fitted to: test images, or training images held out.

    Args:
        dataset: at most `PROOF_IMAGES` of its images are encoded.

    Attributes:
        outputs: f(x), logits (B, classes) or images (B, 3, S, S), on the CPU; z for an encoder without a head.
        z: E(x) (B, N), on the CPU.
        decode_error: max |f(x) − G(E(x))|; None for a backbone without `forward`, whose f is G∘E by definition, and
            for an encoder without a head.
        agreement: fraction of images for which f and G∘E name the same class; None for a network that draws.

    Raises DataError for an image that cannot be read, CheckpointError where f gives values that are not finite.
    """

    def __init__(self, network: Network, dataset: Dataset) -> None:
        self.network, backbone = network, network.backbone
        pixels = dataset.images(_proof_items(dataset), backbone.image_size, backbone.interpolation)
        images = as_images(pixels)
        self.z = self._run(backbone.encode, images)
        self._has_head = backbone.has_head
        rebuilt = self._run(backbone.decode, self.z) if self._has_head else self.z
        network_itself: Any = backbone
        has_forward = self._has_head and type(network_itself).forward is not nn.Module.forward
        self.outputs = self._run(network_itself, images) if has_forward else rebuilt
        if not self.outputs.isfinite().all():
            raise CheckpointError(
                f"{network.name} gives values that are not finite on images of {dataset.name}: "
                "its weights are those of a diverged training; use others"
            )
        self.decode_error = (self.outputs - rebuilt).abs().max().item() if has_forward else None
        self.agreement = self._agreement(rebuilt)

    def describe(self, report: Reporter) -> None:
        """Report how well f = G∘E holds; warn where it holds only roughly."""
        if not self._has_head:
            report.note(
                f"{self.network.name} is an encoder without a head: T is fitted to E alone, and nothing answers z"
            )
        if self.decode_error is None:
            return
        found = f"max |f(x) − G(E(x))| = {self.decode_error:.1e} over {len(self.z)} images"
        if self.agreement is not None:
            found += f", the same class for {self.agreement:.1%}"
        if self.decode_error <= ROUNDING * max(1.0, self.outputs.abs().max().item()):
            report.note(f"f = G∘E: {found}")
        else:
            layer = self.network.layer
            where = f"behind {layer} z is an average" if layer else "G∘E is not the network itself"
            report.warn(f"{where}, and G only approximates f: {found}")

    def no_op_agreement(self, translator: Translator, report: Reporter) -> float | None:
        """Report and return the fraction of images whose class G(T⁻¹(T(z))) leaves as in f(x); None without classes."""
        if not self._has_head:
            return None
        unchanged = self._run(lambda z: translator.inverse(translator(z)[0]), self.z)
        found = self._agreement(self._run(self.network.backbone.decode, unchanged))
        if found is not None:
            say = report.note if found == 1 else report.warn
            say(f"no-op: G(T⁻¹(T(z))) names the class of f(x) for {found:.1%} of {len(self.z)} held-out images")
        return found

    @torch.inference_mode()
    def _run(self, function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
        return torch.cat([function(part.to(self.network.device)).float().cpu() for part in values.split(BATCH)])

    def _agreement(self, outputs: Tensor) -> float | None:
        if not self._has_head:
            return None
        answer = self.network.answer
        agreement = answer.agreement(answer.of(self.outputs), answer.of(outputs))
        return None if agreement is None else float(agreement.mean())


def _proof_items(dataset: Dataset) -> np.ndarray:
    test = np.asarray(dataset.splits["test"])
    if not len(test):
        train = np.asarray(dataset.splits["train"])
        test = train[held_out_mask(dataset.sources[train])]
    # Spread evenly, since a folder's first images are often of one class.
    return test[np.unique(np.linspace(0, len(test) - 1, PROOF_IMAGES).round().astype(int))]
