"""How far E in bfloat16 is from E in float32: in z, and in what the network answers.

A class flips where rounding moves the gap between the two best logits by more than that gap. A few images seldom show
one, so every image's gap is compared with every image's change: 64 images tell a part in some thousand flips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import reason
from ..plan import FEATURE_NOISE
from ..plugin_api import Backbone
from ..translator.feature_noise import FeatureNoise
from .encoder import Encoder

__all__ = ["LEAST_AGREEMENT", "MOST_IMAGE_ERROR", "Agreement", "measure_agreement", "top_agreement"]

# Part of the images that must keep their class, and what an image drawn may differ by: half a grey level of 255.
LEAST_AGREEMENT = 0.999
MOST_IMAGE_ERROR = 0.5 / 255
# Images that go through E and G at once.
BATCH = 16
LONGEST_REASON = 160


@dataclass(frozen=True)
class Agreement:
    """How E in bfloat16 agrees with E in float32.

    Attributes:
        latent_error: root mean square change of a latent, in stds of that latent over the images; of a stochastic
            encoder in stds of its posterior.
        noise: what that may be: the feature noise that a translator is fitted with, of a stochastic encoder a tenth.
        classes: part of the images that keep their class, or are expected to; None for a network that names none.
        image_error: mean absolute change of a pixel that G draws, in units of full brightness; None for a classifier.
        images: how many were tried.
        failure: why E cannot be computed in bfloat16; None where it can.
    """

    latent_error: float = 0.0
    noise: float = FEATURE_NOISE
    classes: float | None = None
    image_error: float | None = None
    images: int = 0
    failure: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the network's answers stay, and its latents change by less than the noise that T is fitted with."""
        answers = (self.classes is None or self.classes >= LEAST_AGREEMENT) and (
            self.image_error is None or self.image_error <= MOST_IMAGE_ERROR
        )
        return self.failure is None and answers and self.latent_error <= self.noise

    def __str__(self) -> str:
        """Say in one clause what bfloat16 does."""
        if self.failure is not None:
            return f"it fails in bfloat16 ({self.failure})"
        change = f"bfloat16 changes its latents by {self.latent_error:.2%} of their std (at most {self.noise:.2%})"
        if self.classes is not None:
            change += f" and keeps the class of {self.classes:.1%} of images (at least {LEAST_AGREEMENT:.1%})"
        if self.image_error is not None:
            change += f" and a pixel drawn by {255 * self.image_error:.2f} of 255 levels (at most 0.5)"
        return f"{change}, by {self.images} images"


def measure_agreement(backbone: Backbone, images: Tensor) -> Agreement:
    """Measure on images (B, 3, S, S) in [-1, 1], on the network's device; a failure is part of the result.

    A network without a head is judged by its latents alone.
    """
    try:
        with torch.inference_mode():
            return _measured(backbone, images)
    except MemoryError:
        raise
    # A network of anybody's may fail in another precision in any way.
    except Exception as error:
        return Agreement(images=len(images), failure=reason(error)[:LONGEST_REASON])


def top_agreement(plain: Tensor, other: Tensor) -> float:
    """Return the part of rows whose highest logit, (B, classes) both, is the same: found, or expected if that is less.

    >>> plain = torch.tensor([[0.0, 1.0], [5.0, 0.0]])
    >>> top_agreement(plain, plain), top_agreement(plain, plain + torch.tensor([0.0, 2.0]))
    (1.0, 0.75)
    """
    if plain.shape[1] == 1:
        plain, other = (torch.cat((each, torch.zeros_like(each)), 1) for each in (plain, other))
    best = plain.topk(2)
    gaps = best.values[:, 0] - best.values[:, 1]
    first, second = other.gather(1, best.indices).T
    changes = (first - second - gaps).abs()
    # Half of the changes narrow the gap.
    expected = 1 - 0.5 * (gaps[:, None] < changes[None]).float().mean().item()
    return min(expected, (plain.argmax(1) == other.argmax(1)).float().mean().item())


def _measured(backbone: Backbone, images: Tensor) -> Agreement:
    fast = Encoder(backbone, "bfloat16")
    means, variances, others, answers = [], [], [], []
    for part in images.split(BATCH):
        mean, log_variance = backbone.posterior(part)
        other = fast.encode(part)
        if not other.isfinite().all():
            return Agreement(images=len(images), failure="its latents are not finite")
        means.append(mean.float())
        others.append(other)
        if log_variance is not None:
            variances.append(log_variance.float().exp())
        if backbone.has_head:
            answers.append([backbone.decode(z).float() for z in (means[-1], other)])
    z, changed = torch.cat(means), torch.cat(others) - torch.cat(means)
    found: dict[str, Any] = {"images": len(images)}
    if variances:
        unit, found["noise"] = torch.cat(variances).mean(0).sqrt(), 10 * FEATURE_NOISE
    else:
        # Latents that do not vary over these images have no std.
        varies = bool(z.std(0, correction=0).max() > 0)
        unit = FeatureNoise.of(z.cpu(), 1.0).std.to(z.device) if varies else z.abs().amax().clamp_min(1e-30)
    found["latent_error"] = (changed.square().mean(0) / unit.square()).mean().sqrt().item()
    if answers:
        plain, other = (torch.cat(each) for each in zip(*answers, strict=True))
        if backbone.classes is None:
            # Images go from −1 to 1.
            found["image_error"] = (plain - other).abs().mean().item() / 2
        else:
            found["classes"] = top_agreement(plain, other)
    return Agreement(**found)
