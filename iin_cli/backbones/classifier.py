"""The classifier of Table 5: the autoencoder's encoder, deterministic, and one linear layer on z (B, N)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..distributed import seeded
from ..errors import DataError
from ..plugin_api import Backbone, BatchPart, DataFacts, Recipe
from .encoder_decoder import Encoder, check_image_size, paper_latent_dim
from .recipes import cosine_rate, inferred_steps, pool_first_statistics, training_precision

__all__ = ["Classifier", "ClassifierRecipe"]

NO_CLASSES = "a classifier needs class labels, and the data has none: use class subfolders or labels.csv"


class Classifier(nn.Module, Backbone):
    """E: images -> z, G: z -> logits of the classes.

    Args:
        image_size: S, a power of two, at least 32.
        classes: names of the classes, at least two.
        latent_dim: N; None takes 64 for images up to 64², 256 above.
        base_channels: width of the first layer; the paper's is 64.

    Raises:
        DataError: fewer than two classes.
        UsageError: an image size or latent size that cannot be built.

    >>> model = Classifier(image_size=32, classes=("cat", "dog"), latent_dim=8, base_channels=4).eval()
    >>> model.decode(model.encode(torch.zeros(3, 3, 32, 32))).shape
    torch.Size([3, 2])
    """

    trainable_here: ClassVar[bool] = True
    takes_argument: ClassVar[bool] = False
    is_concurrent: bool = True

    def __init__(
        self, image_size: int, classes: tuple[str, ...], latent_dim: int | None = None, base_channels: int = 64
    ) -> None:
        super().__init__()
        check_image_size(image_size)
        if len(classes) < 2:
            raise DataError(f"a classifier needs at least two classes, and the data has {len(classes)}")
        self.name = "classifier"
        self.image_size = image_size
        self.latent_dim = paper_latent_dim(image_size, latent_dim)
        self.classes = tuple(classes)
        self.config: dict[str, Any] = {
            "image_size": image_size,
            "classes": list(classes),
            "latent_dim": self.latent_dim,
            "base_channels": base_channels,
        }
        self.train_items: int | None = None
        self.encoder = Encoder(image_size, self.latent_dim, base_channels)
        self.head = nn.Linear(self.latent_dim, len(classes))

    def encode(self, images: Tensor) -> Tensor:
        """E: images (B, 3, S, S) -> z (B, N)."""
        return self.encoder(images).float()

    def decode(self, z: Tensor) -> Tensor:
        """G: z (B, N) -> logits (B, classes)."""
        return self.head(z)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, 3, S, S)."""
        return self.decode(self.encode(images))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Classifier:
        """Rebuild the module of a checkpoint, its weights still to be loaded."""
        return cls(**{**config, "classes": tuple(config["classes"])})

    @classmethod
    def for_training(
        cls, argument: str | None, facts: DataFacts, latent_dim: int | None, weights: str = "default"
    ) -> Classifier:
        """Build an untrained classifier for the classes of `facts`.

        Raises DataError for data without class labels or with a single class, UsageError for an image size that is not
        a power of two from 32 up.
        """
        if facts.classes is None:
            raise DataError(NO_CLASSES)
        model = cls(facts.image_size, facts.classes, latent_dim)
        model.train_items = facts.train_items
        return model

    def recipe(self, max_steps: int | None, seed: int) -> ClassifierRecipe:
        """Return the training recipe; `max_steps` None infers the steps from the size of the data."""
        steps = (
            max_steps if max_steps is not None else inferred_steps(self.train_items, 64, epochs=2, least=600, most=2000)
        )
        return ClassifierRecipe(self, steps, seed)


class ClassifierRecipe(Recipe):
    """Softmax cross-entropy with AdamW and a cosine learning rate; the step of best held-out accuracy is kept.

    Args:
        backbone: a module whose `forward` gives logits (B, classes).
        batch_size: images per step.
        peak_rate: AdamW's highest learning rate.
        augment: draws another view of one image (3, S, S), for training only.
    """

    weight_decay: float = 1e-2

    def __init__(
        self,
        backbone: nn.Module,
        steps: int,
        seed: int,
        batch_size: int = 64,
        peak_rate: float = 1e-3,
        augment: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.batch_size = batch_size
        self.steps = steps
        self.backbone = backbone
        self.peak_rate = peak_rate
        self.augment = augment
        self.generator = torch.Generator().manual_seed(seed)
        self.optimizer = torch.optim.AdamW(
            backbone.parameters(), lr=peak_rate, betas=(0.9, 0.99), weight_decay=self.weight_decay
        )
        self.batch_part: BatchPart | None = None
        self.network = backbone

    def distribute(self, part: BatchPart) -> None:
        """Train on this process's rows of every batch, with the gradients that one process would have.

        The actnorms' initial statistics and the views are those of one process, too. Batch normalisation sees the whole
        batch on GPUs (SyncBatchNorm). On a CPU it sees this process's rows only, and the main process's running
        statistics are kept, so the trajectory differs from that of one process. Dropout differs, too: every process
        draws its own.
        """
        self.batch_part = part
        pool_first_statistics(self.backbone, part)
        self.network = part.replicate(self.backbone)

    def step(self, images: Tensor, labels: Tensor | None, fraction: float) -> dict[str, float]:
        """Take one step on images (B, 3, S, S) with labels (B,); returns loss (nats) and accuracy of the batch."""
        labels = _require_labels(labels)
        self.optimizer.param_groups[0]["lr"] = cosine_rate(fraction, self.peak_rate)
        self.backbone.train()
        # Views and dropout draw from torch's own generators.
        seed = int(torch.randint(2**62, (), generator=self.generator))
        with seeded(seed, images.device), training_precision(images.device):
            if self.augment is not None:
                images = self._views(images, self.augment)
            with self._own_draws(seed, images.device):
                logits = self.network(images.contiguous(memory_format=torch.channels_last)).float()
        loss = F.cross_entropy(logits, labels)
        self.optimizer.zero_grad(set_to_none=True)
        (loss if self.batch_part is None else loss * self.batch_part.weight).backward()
        self.optimizer.step()
        return {"loss": loss.item(), "accuracy": (logits.argmax(1) == labels).float().mean().item()}

    def _views(self, images: Tensor, augment: Callable[[Tensor], Tensor]) -> Tensor:
        if self.batch_part is not None:
            # Views are drawn row by row: repeat the draws of the rows before this process's, on tensors without data.
            for _ in range(self.batch_part.rows.start):
                augment(torch.empty_like(images[0], device="meta"))
        return torch.stack([augment(image) for image in images])

    def _own_draws(self, seed: int, device: torch.device) -> AbstractContextManager[None]:
        # Without a seed of its own every process would draw the same dropout for its first row.
        return nullcontext() if self.batch_part is None else seeded(seed + self.batch_part.rows.start, device)

    @torch.no_grad()
    def validate(self, images: Tensor, labels: Tensor | None) -> dict[str, float]:
        """Measure accuracy and cross-entropy (nats) on images (B, 3, S, S).

        `score` is 1 − accuracy; at equal accuracy a smaller cross-entropy gives a lower score.
        """
        labels = _require_labels(labels)
        self.backbone.eval()
        logits = torch.cat([self.backbone(batch) for batch in images.split(self.batch_size)])
        accuracy = (logits.argmax(1) == labels).double().mean().item()
        cross_entropy = F.cross_entropy(logits, labels).item()
        # A tie-break below one image's worth of accuracy.
        tie_break = cross_entropy / (1 + cross_entropy) / (len(labels) + 1)
        return {"score": 1 - accuracy + tie_break, "accuracy": accuracy, "cross_entropy": cross_entropy}

    def state_dict(self) -> dict[str, Any]:
        """Return the optimiser's state and that of the views' generator."""
        return {"optimizer": self.optimizer.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())


def _require_labels(labels: Tensor | None) -> Tensor:
    if labels is None:
        raise DataError(NO_CLASSES)
    return labels
