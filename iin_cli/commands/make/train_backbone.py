"""Train a backbone on images and save it as a checkpoint: find → open → infer → train → save."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...distributed import choose_device, from_main, is_main_rank, world_size
from ...fitting.backbone_training import BackboneChoice, BackboneTraining
from ...interpretation.data_choice import DataChoice, describe_data
from ...interpretation.opening import describe_backbone, versions
from ...io.rundir import RESULT_NAME, write_json
from ...leading import leaders_first
from ...plugin_api import Backbone
from ...progress import Reporter, Silent
from ...registry import find
from ...results import Result
from ...training.logs import RunLog
from ...training.loop import LoopResult, Schedule, optimise
from ...training.parallel import batch_part
from ...training.resuming import resumable
from ...training.runs import RunChoice
from ...training.saving import save_product

__all__ = ["BackboneResult", "train_backbone"]

PRODUCT = "backbone.safetensors"
INFERRED = ("backbone", "data", "image_size", "latent_dim", "classes", "parameters", "seed", "steps", "batch_size")


@dataclass(frozen=True)
class BackboneResult(Result):
    """What was trained.

    Attributes:
        checkpoint: the file; None after a dry run.
        parameters: number of weights.
        images_per_second: trained on, per second of optimisation.
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

    def facts(self) -> dict[str, Any]:
        """Return the single values; of a dry run those that it has."""
        found = super().facts()
        if self.checkpoint is not None:
            return found
        return {key: value for key, value in found.items() if key not in ("best step", "seconds", "images per second")}

    def inferred(self) -> dict[str, Any]:
        """Return what was inferred before the training, as `plan.json` keeps it."""
        return {name: getattr(self, name) for name in INFERRED}


def train_backbone(
    backbone: BackboneChoice, data: DataChoice, run: RunChoice | None = None, report: Reporter | None = None
) -> BackboneResult:
    """Train `backbone` on the training split of `data` and save it.

    Under torchrun all processes share every step, if the recipe can.

    Raises UsageError, DataError and DivergedError as their docstrings say.
    """
    run, report, started = run or RunChoice(), report or Silent(), time.monotonic()
    device, seed = choose_device(run.device), run.final_seed(PRODUCT)
    with leaders_first():
        found = find("backbones", backbone.name, report)
        dataset = data.open(None, report)
    with run.open(f"train-backbone-{backbone.name}-{Path(dataset.name).name}", report) as folder:
        module, recipe = backbone.build(found, dataset, seed, device)
        work = BackboneTraining(module, recipe, dataset, seed, device)
        result = _inferred(work)
        _warn_of_few(len(dataset.splits["train"]), result, report)
        if folder is None:
            return result
        plan = {**result.inferred(), "fingerprint": dataset.fingerprint, "max_seconds": backbone.max_seconds}
        with resumable(folder, plan, run.resume) as state:
            if world_size() > 1:
                work.distribute(batch_part(work.batch_size, device))
            loop = optimise(
                work,
                _schedule(work, backbone.max_seconds),
                state_path=state,
                resume=run.resume,
                description=f"training the {module.name}",
                report=report,
                salvage=True,
                log=RunLog(folder, run.log, report),
            )
            if is_main_rank():
                metadata = _metadata(work, data.root_of(None), backbone.weights, loop)
                save_product(folder / PRODUCT, module.state_dict(), metadata)
                result = _finished(result, folder, loop, time.monotonic() - started)
                write_json(folder / RESULT_NAME, {**result.as_dict(), "history": loop.history})
            result = from_main(result)
            loop.require_converged(folder / PRODUCT)
            return result


def _inferred(work: BackboneTraining) -> BackboneResult:
    module = work.backbone
    return BackboneResult(
        None,
        backbone=module.name,
        data=work.dataset.name,
        image_size=module.image_size,
        latent_dim=module.latent_dim,
        classes=len(module.classes) if module.classes else None,
        parameters=sum(p.numel() for p in module.parameters()),
        seed=work.seed,
        steps=work.recipe.steps,
        batch_size=work.batch_size,
    )


def _warn_of_few(images: int, inferred: BackboneResult, report: Reporter) -> None:
    if images < inferred.latent_dim:
        report.warn(
            f"{images} training images are fewer than the {inferred.latent_dim} dimensions of the latent: "
            "a translator will need more images, or a smaller latent"
        )


def _schedule(work: BackboneTraining, max_seconds: float | None) -> Schedule:
    recipe = work.recipe
    return Schedule(
        recipe.steps,
        max_seconds,
        validate_every=max(1, min(250, recipe.steps // 8 or 1)),
        rows_per_step=work.batch_size,
        unit="images",
        keep=recipe.keep,
    )


def _finished(inferred: BackboneResult, folder: Path, loop: LoopResult, seconds: float) -> BackboneResult:
    return replace(
        inferred,
        checkpoint=str(folder / PRODUCT),
        steps=loop.steps,
        best_step=loop.best_step,
        seconds=round(seconds, 2),
        images_per_second=round(loop.rows_per_second, 1),
        metrics=loop.best,
        out=str(folder),
    )


def _metadata(work: BackboneTraining, root: Path | None, weights: str, loop: LoopResult) -> dict[str, Any]:
    module = work.backbone
    # A network that is only ever trained here starts from no weights.
    elsewhere = type(module).pretrained.__func__ is not Backbone.pretrained.__func__
    return {
        **describe_backbone(module),
        "data": describe_data(work.dataset, root),
        "training": {
            "seed": work.seed,
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
