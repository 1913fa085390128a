"""Train a backbone by its recipe: what is inferred from the data, the batch of every step, held-out images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ..distributed import seeded
from ..errors import DataError
from ..guests.entry_points import Point
from ..guests.loading import load, succeeds
from ..latents.cache import as_images
from ..latents.pairs import step_generator
from ..latents.splitting import held_out_mask
from ..leading import leaders_first
from ..plugin_api import Backbone, BatchPart, DataFacts, Dataset, Recipe
from ..registry import Found
from .training_contract import breach_of_training

__all__ = ["BackboneChoice", "BackboneTraining", "build_apart"]

VALIDATION_IMAGES = 512
SMALLEST_SIDE, LARGEST_SIDE = 32, 128


@dataclass(frozen=True)
class BackboneChoice:
    """Which backbone is trained, and for how long.

    Attributes:
        name: of a registered backbone.
        image_size: side S; None takes the smallest power of two from 32 to 128 that holds the images, or a known
            network's own.
        latent_dim: N; None takes the paper's, or a known network's own.
        weights: what a known network starts from: default, none (random), or a file.
        steps: optimisation steps; None takes the recipe's.
        max_seconds: limit of the training, None for none.
    """

    name: str
    image_size: int | None = None
    latent_dim: int | None = None
    weights: str = "default"
    steps: int | None = None
    max_seconds: float | None = None

    def build(self, found: Found, dataset: Dataset, seed: int, device: torch.device) -> tuple[Any, Recipe]:
        """Build the module and its recipe for `dataset`; the weights depend on `seed` only.

        Raises DataError for fewer than two different training images, UsageError for what cannot be built, PluginError
        for a plugin's that breaks its contract.
        """
        facts, factory = _facts(dataset, self.image_size), cast(type[Backbone], found.factory)
        with leaders_first(), seeded(seed):
            given = {"facts": asdict(facts), "latent_dim": self.latent_dim, "weights": self.weights}
            found.try_apart(build_apart, given)
            with found.blamed("cannot be built"):
                module: Any = factory.for_training(found.argument, facts, self.latent_dim, self.weights)
                module.to(device)
                recipe = module.recipe(self.steps, seed)
            _check_guest(found, module, recipe)
            return module, recipe


def build_apart(task: dict[str, Any]) -> dict[str, Any]:
    """Build the module of a guest's entry point in another process, see `Found.try_apart`."""
    facts, classes = task["facts"], task["facts"]["classes"]
    known = DataFacts(**{**facts, "classes": None if classes is None else tuple(classes)})

    def build() -> None:
        factory: Any = load(Point(**task["point"]))
        factory.for_training(task["argument"], known, task["latent_dim"], task["weights"]).recipe(None, 0)

    return succeeds(build)


class BackboneTraining:
    """Feeds a recipe: shuffled epochs that depend on the seed only, with the labels of column `class`."""

    def __init__(self, backbone: Any, recipe: Recipe, dataset: Dataset, seed: int, device: torch.device) -> None:
        self.backbone, self.recipe, self.dataset, self.seed, self.device = backbone, recipe, dataset, seed, device
        indices = dataset.splits["train"]
        held_out = held_out_mask(dataset.sources[indices])
        self.fit, rest = indices[~held_out], indices[held_out]
        # A fixed random part, since neighbours in a file tend to be alike.
        self.rest = step_generator(seed, 1, 0).permutation(rest)[:VALIDATION_IMAGES]
        self.labels = dataset.labels["class"].values if backbone.classes is not None else None
        self.batch_size = min(recipe.batch_size, len(self.fit))
        self.epoch, self.order = -1, self.fit
        self.batch_part: BatchPart | None = None

    def distribute(self, part: BatchPart) -> None:
        """Train on a part of every batch from now on."""
        self.batch_part = part
        self.recipe.distribute(part)

    def step(self, step: int, fraction: float) -> dict[str, float]:
        """Take one step of the recipe on the batch of step `step`, or on this process's part of it."""
        batch = self._batch(step)
        if self.batch_part is None:
            return self.recipe.step(*self._load(batch), fraction)
        shown = self.recipe.step(*self._load(batch[self.batch_part.rows]), fraction)
        return {name: value * self.batch_part.fraction for name, value in shown.items()}

    def validate(self) -> dict[str, float]:
        """Return the recipe's figures on held-out images."""
        return self.recipe.validate(*self._load(self.rest))

    def weights(self) -> Mapping[str, Tensor]:
        """Return the backbone's weights."""
        return self.backbone.state_dict()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put weights back into the backbone."""
        self.backbone.load_state_dict(weights)

    def state_dict(self) -> dict[str, Any]:
        """Return backbone and recipe."""
        return {"backbone": self.backbone.state_dict(), "recipe": self.recipe.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.backbone.load_state_dict(state["backbone"])
        self.recipe.load_state_dict(state["recipe"])

    def _batch(self, step: int) -> np.ndarray:
        per_epoch = len(self.fit) // self.batch_size
        epoch, place = divmod(step, per_epoch)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, step_generator(self.seed, 0, epoch).permutation(self.fit)
        return self.order[place * self.batch_size : (place + 1) * self.batch_size]

    def _load(self, indices: np.ndarray) -> tuple[Tensor, Tensor | None]:
        pixels = self.dataset.images(indices, self.backbone.image_size, self.backbone.interpolation)
        labels = None if self.labels is None else torch.from_numpy(self.labels[indices]).to(self.device)
        return as_images(pixels).to(self.device), labels


def _check_guest(found: Found, module: Any, recipe: Any) -> None:
    if found.is_built_in:
        return
    with found.blamed("fails before its training"):
        breach = breach_of_training(module, recipe)
    if breach is not None:
        raise found.fault("breaks the contract of a backbone", breach)


def _facts(dataset: Dataset, image_size: int | None) -> DataFacts:
    train = dataset.splits["train"]
    distinct = len(np.unique(dataset.sources[train]))
    if distinct < 2:
        raise DataError(
            f"{dataset.name} has {distinct} different training image{'s' * (distinct != 1)}: too few to train on some "
            "and hold out others"
        )
    side = image_size
    if side is None:
        side = SMALLEST_SIDE
        while side < min(dataset.native_size, LARGEST_SIDE):
            side *= 2
    labels = dataset.labels.get("class")
    classes = None
    if labels is not None and not labels.continuous:
        classes = labels.names or tuple(str(value) for value in range(int(labels.values.max()) + 1))
    return DataFacts(side, classes, len(train), image_size is not None)
