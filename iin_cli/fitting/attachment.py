"""What holds when a translator is attached to a network f: f = G∘E, and f = G∘T⁻¹∘T∘E, measured on real images.

Nothing here changes f: its logits are those it gives alone.
"""

from __future__ import annotations

from collections.abc import Callable

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
# Up to here float32 and another order of summation explain the difference; relative to the largest |f(x)|.
ROUNDING = 1e-4
BATCH = 16


class Attachment:
    """A backbone on a few images that no translator is fitted to: test images, else those held out of training.

    Args:
        opened: the backbone.
        dataset: at most `PROOF_IMAGES` of its images are encoded.
        device: where the backbone is.

    Attributes:
        outputs: f(x), logits (B, classes) or images (B, 3, S, S), on the CPU.
        z: E(x) (B, N), on the CPU.
        decode_error: max |f(x) − G(E(x))|; None for a backbone that has no `forward` and so is G∘E by definition.
        agreement: of a classifier, the fraction of images for which f and G∘E name the same class.

    Raises DataError for an image that cannot be read, CheckpointError where f gives values that are not finite.
    """

    def __init__(self, opened: Network, dataset: Dataset, device: torch.device) -> None:
        self.backbone, self.device, self.layer = opened.backbone, device, opened.layer
        pixels = dataset.images(_proof_items(dataset), self.backbone.image_size, self.backbone.interpolation)
        images = as_images(pixels)
        self.z = self._run(self.backbone.encode, images)
        rebuilt = self._run(self.backbone.decode, self.z)
        has_forward = type(self.backbone).forward is not nn.Module.forward
        self.outputs = self._run(self.backbone, images) if has_forward else rebuilt
        if not self.outputs.isfinite().all():
            raise CheckpointError(
                f"{self.backbone.name} gives values that are not finite on images of {dataset.name}: "
                "its weights are those of a diverged training; use others"
            )
        self.decode_error = (self.outputs - rebuilt).abs().max().item() if has_forward else None
        self.agreement = self._agreement(rebuilt)

    def describe(self, report: Reporter) -> None:
        """Say how well f = G∘E holds; warn where it holds only roughly."""
        if self.decode_error is None:
            return
        found = f"max |f(x) − G(E(x))| = {self.decode_error:.1e} over {len(self.z)} images"
        if self.agreement is not None:
            found += f", the same class for {self.agreement:.1%}"
        if self.decode_error <= ROUNDING * max(1.0, self.outputs.abs().max().item()):
            report.note(f"f = G∘E: {found}")
        else:
            where = f"behind {self.layer} z is an average" if self.layer else "G∘E is not the network itself"
            report.warn(f"{where}, and G only approximates f: {found}")

    def no_op_agreement(self, translator: Translator, report: Reporter) -> float | None:
        """Return the fraction of images whose top class G(T⁻¹(T(z))) leaves as f has it, and say it; None of images."""
        unchanged = self._run(lambda z: translator.inverse(translator(z)[0]), self.z)
        found = self._agreement(self._run(self.backbone.decode, unchanged))
        if found is not None:
            say = report.note if found == 1 else report.warn
            say(f"no-op: G(T⁻¹(T(z))) names the class of f(x) for {found:.1%} of {len(self.z)} held-out images")
        return found

    @torch.inference_mode()
    def _run(self, function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
        return torch.cat([function(part.to(self.device)).float().cpu() for part in values.split(BATCH)])

    def _agreement(self, outputs: Tensor) -> float | None:
        if self.backbone.classes is None:
            return None
        return (outputs.argmax(1) == self.outputs.argmax(1)).float().mean().item()


def _proof_items(dataset: Dataset) -> np.ndarray:
    test = np.asarray(dataset.splits["test"])
    if not len(test):
        train = np.asarray(dataset.splits["train"])
        test = train[held_out_mask(dataset.sources[train])]
    # Spread out, since a folder's first images are often of one class.
    return test[np.unique(np.linspace(0, len(test) - 1, PROOF_IMAGES).round().astype(int))]
