"""Train a backbone: find → open → infer → train → save."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import open_dataset
from ..distributed import choose_device, from_main, is_main_rank, leaders_first, seeded, world_size
from ..errors import DataError
from ..interpretation.data_choice import describe_data
from ..interpretation.opening import versions
from ..io import checkpoint
from ..io.rundir import write_json
from ..latents.cache import as_images
from ..latents.pairs import step_generator
from ..latents.splitting import held_out_mask
from ..plugin_api import Backbone, BatchPart, DataFacts, Dataset, Recipe
from ..progress import Reporter, Silent
from ..registry import Found, find
from ..training.loop import LoopResult, Schedule, optimise
from ..training.parallel import batch_part, open_run_together
from ..training.resuming import resumable, seed_of_run

__all__ = ["BackboneResult", "train_backbone"]

PRODUCT = "backbone.safetensors"
VALIDATION_IMAGES = 512
SMALLEST_SIDE = 32
INFERRED = ("backbone", "data", "image_size", "latent_dim", "classes", "parameters", "seed", "steps", "batch_size")


@dataclass(frozen=True)
class BackboneResult:
    """What was trained.

    Attributes:
        checkpoint: the file; None after a dry run.
        parameters: number of weights.
        images_per_second: through the optimiser, per second of optimisation.
        metrics: the recipe's held-out figures at the step that was kept.
    """

    checkpoint: str | None
    backbone: str
    data: str
    image_size: int
    latent_dim: int
    classes: int | None
    parameters: int
    seed: int
    steps: int
    batch_size: int
    best_step: int = 0
    seconds: float = 0.0
    images_per_second: float = 0.0
    metrics: dict[str, float] | None = None
    out: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)

    def inferred(self) -> dict[str, Any]:
        """Return what was inferred before the training, as `plan.json` keeps it."""
        return {name: value for name, value in asdict(self).items() if name in INFERRED}


class _BackboneTraining:
    """Feeds a recipe: shuffled epochs that depend on the seed only, labels of column `class`."""

    def __init__(
        self, backbone: Any, recipe: Recipe, dataset: Dataset, indices: np.ndarray, seed: int, device: torch.device
    ) -> None:
        self.backbone, self.recipe, self.dataset, self.seed, self.device = backbone, recipe, dataset, seed, device
        held_out = held_out_mask(dataset.sources[indices])
        self.fit, rest = indices[~held_out], indices[held_out]
        # A fixed random part, since neighbours of one file tend to be alike.
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
        """One step of the recipe on the batch of step `step`; of several processes, each on its part of it."""
        batch = self._batch(step)
        if self.batch_part is None:
            return self.recipe.step(*self._load(batch), fraction)
        shown = self.recipe.step(*self._load(batch[self.batch_part.part]), fraction)
        return {name: value * self.batch_part.fraction for name, value in shown.items()}

    def validate(self) -> dict[str, float]:
        """The recipe's figures on held-out images."""
        return self.recipe.validate(*self._load(self.rest))

    def weights(self) -> Mapping[str, Tensor]:
        """The backbone's weights."""
        return self.backbone.state_dict()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put weights back."""
        self.backbone.load_state_dict(weights)

    def state_dict(self) -> dict[str, Any]:
        """Backbone and recipe."""
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

    def _pixels(self, indices: np.ndarray) -> np.ndarray:
        return self.dataset.images(indices, self.backbone.image_size, self.backbone.interpolation)

    def _load(self, indices: np.ndarray) -> tuple[Tensor, Tensor | None]:
        images = as_images(self._pixels(indices)).to(self.device)
        labels = None if self.labels is None else torch.from_numpy(self.labels[indices]).to(self.device)
        return images, labels


def train_backbone(
    backbone: str,
    data: str,
    *,
    data_root: Path | None = None,
    out: Path | None = None,
    image_size: int | None = None,
    latent_dim: int | None = None,
    steps: int | None = None,
    max_seconds: float | None = None,
    weights: str = "default",
    seed: int | None = None,
    device: str = "auto",
    dry_run: bool = False,
    resume: bool = False,
    report: Reporter | None = None,
) -> BackboneResult:
    """Train the registered `backbone` on the training split of `data` and save it.

    Args:
        image_size: side S; None takes the smallest power of two from 32 up that holds the images, 128 at most, and of a
            network that exists elsewhere its own.
        latent_dim: N; None takes the paper's, or the network's own.
        weights: what a network that exists elsewhere starts from: default, none (random), or a file.
        steps: optimisation steps; None takes the recipe's.
        resume: go on with the interrupted run in `out`.

    Under torchrun all processes share every step, if the recipe can.

    Raises UsageError, DataError and DivergedError as their docstrings say.
    """
    report, started = report or Silent(), time.monotonic()
    where = choose_device(device)
    found = find("backbones", backbone)
    seed = seed_of_run(out, PRODUCT, seed, resume)
    with leaders_first():
        dataset = open_dataset(data, data_root, report)
    with open_run_together(out, f"train-backbone-{backbone}-{Path(data).name}", resume, dry_run) as folder:
        if folder is not None:
            report.note(f"run folder {folder}")
        # Infer sizes and classes from the data.
        facts = _facts(dataset, image_size)
        with leaders_first():
            module, recipe = _untrained(found, facts, latent_dim, weights, steps, seed, where)
        if facts.train_items < module.latent_dim:
            report.warn(
                f"{facts.train_items} training images are fewer than the {module.latent_dim} dimensions of the latent: "
                "a translator will need more images, or a smaller latent"
            )
        work = _BackboneTraining(module, recipe, dataset, dataset.splits["train"], seed, where)
        inferred = BackboneResult(
            None,
            backbone=module.name,
            data=dataset.name,
            image_size=module.image_size,
            latent_dim=module.latent_dim,
            classes=len(module.classes) if module.classes else None,
            parameters=sum(p.numel() for p in module.parameters()),
            seed=seed,
            steps=recipe.steps,
            batch_size=work.batch_size,
        )
        if folder is None:
            return inferred
        # Train and save.
        plan = {**inferred.inferred(), "fingerprint": dataset.fingerprint, "max_seconds": max_seconds}
        with resumable(folder, plan, resume) as state:
            if world_size() > 1:
                work.distribute(batch_part(work.batch_size, where))
            loop = _trained(work, max_seconds, state, resume, report)
            result = None
            if is_main_rank():
                result = _saved(work, loop, inferred, data_root, weights, folder, started)
            return from_main(result)


def _saved(
    work: _BackboneTraining,
    loop: LoopResult,
    inferred: BackboneResult,
    data_root: Path | None,
    weights: str,
    folder: Path,
    started: float,
) -> BackboneResult:
    metadata = _metadata(work.backbone, work.dataset, data_root, weights, inferred.seed, loop)
    checkpoint.save(folder / PRODUCT, work.backbone.state_dict(), metadata)
    result = replace(
        inferred,
        checkpoint=str(folder / PRODUCT),
        steps=loop.steps,
        best_step=loop.best_step,
        seconds=round(time.monotonic() - started, 2),
        images_per_second=round(loop.rows_per_second, 1),
        metrics=loop.best,
        out=str(folder),
    )
    write_json(folder / "result.json", {**result.as_dict(), "history": loop.history})
    return result


def _untrained(
    found: Found,
    facts: DataFacts,
    latent_dim: int | None,
    weights: str,
    steps: int | None,
    seed: int,
    device: torch.device,
) -> tuple[Any, Recipe]:
    """Build module and recipe with weights that depend on `seed` only, the caller's global generator untouched."""
    with seeded(seed):
        module: Any = found.factory.for_training(found.argument, facts, latent_dim, weights).to(device)
        return module, module.recipe(steps, seed)


def _trained(
    work: _BackboneTraining, max_seconds: float | None, state: Path, resume: bool, report: Reporter
) -> LoopResult:
    recipe = work.recipe
    schedule = Schedule(
        recipe.steps,
        max_seconds,
        validate_every=max(1, min(250, recipe.steps // 8 or 1)),
        rows_per_step=work.batch_size,
        unit="images",
        keep=recipe.keep,
    )
    description = f"training the {work.backbone.name}"
    return optimise(work, schedule, state_path=state, resume=resume, description=description, report=report)


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
        while side < min(dataset.native_size, 128):
            side *= 2
    labels = dataset.labels.get("class")
    classes = None
    if labels is not None and not labels.continuous:
        classes = labels.names or tuple(str(value) for value in range(int(labels.values.max()) + 1))
    return DataFacts(side, classes, len(train), image_size is not None)


def _metadata(
    module: Any, dataset: Dataset, data_root: Path | None, weights: str, seed: int, loop: LoopResult
) -> dict[str, Any]:
    # Of a network that is only ever trained here there are no weights to start from.
    elsewhere = type(module).pretrained.__func__ is not Backbone.pretrained.__func__
    return {
        "kind": "backbone",
        "name": module.name,
        "config": module.config,
        "latent_dim": module.latent_dim,
        "image_size": module.image_size,
        "classes": list(module.classes) if module.classes else None,
        "data": describe_data(dataset, data_root),
        "training": {
            "seed": seed,
            "started_from": weights if elsewhere else None,
            "steps": loop.steps,
            "best_step": loop.best_step,
            "seconds": round(loop.seconds, 2),
            "images_per_second": round(loop.rows_per_second, 1),
            "stopped": loop.stopped,
            **loop.best,
        },
        "versions": versions(),
    }
