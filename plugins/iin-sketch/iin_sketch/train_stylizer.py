"""Train a stylizer: find → open → train → save; the Python API of `iin train-stylizer`, also used by concepts."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from iin_cli.data import open_dataset
from iin_cli.distributed import choose_device, seeded
from iin_cli.errors import DataError
from iin_cli.interpretation.data_choice import describe_data
from iin_cli.interpretation.opening import versions
from iin_cli.io.rundir import open_run, write_json
from iin_cli.latents.splitting import held_out_mask
from iin_cli.plugin_api import Dataset, Interpolation
from iin_cli.progress import Reporter, Silent
from iin_cli.training.log_files import require_log
from iin_cli.training.logs import RunLog
from iin_cli.training.loop import LoopResult, Schedule, optimise
from iin_cli.training.resuming import resumable, seed_of_run

from .drawing import sketch_side, working_side
from .encoder_weights import EncoderWeights, open_encoder
from .networks import Stylizer
from .sketches import StyleBank, read_styles
from .stylizer_files import PRODUCT, save_stylizer, stopped_early, training_state
from .training import Content, StylizerTraining

__all__ = ["Size", "StylizerResult", "fit_stylizer", "size_for", "train_stylizer"]


@dataclass(frozen=True)
class Size:
    """Sizes that a device can train in reasonable time.

    Attributes:
        side, crop: images are read at `side` at most, and cut to `crop` at most.
        width: channels at full size, in the decoder and in a random encoder.
        batch_size, steps: images per step and steps of a run.
    """

    side: int
    crop: int
    width: int
    batch_size: int
    steps: int


ON_CPU = Size(side=128, crop=64, width=16, batch_size=8, steps=1_000)
ON_GPU = Size(side=256, crop=128, width=64, batch_size=16, steps=10_000)


@dataclass(frozen=True)
class StylizerResult:
    """Result of training a stylizer.

    Attributes:
        checkpoint: the file.
        encoder: default, random, or a path.
        parameters: number of weights, the encoder's included.
        steps, planned_steps: taken, and how many there would have been without a limit in seconds.
        metrics: losses on held-out images.
    """

    checkpoint: str
    content: str
    style: str
    encoder: str
    side: int
    parameters: int
    seed: int
    steps: int
    planned_steps: int
    seconds: float
    images_per_second: float
    metrics: dict[str, float]
    out: str

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)


def size_for(device: torch.device) -> Size:
    """Return what `device` can train in reasonable time."""
    return ON_CPU if device.type == "cpu" else ON_GPU


def train_stylizer(
    content: str,
    style: str | None = None,
    *,
    data_root: Path | None = None,
    skip_bad: bool = False,
    out: Path | None = None,
    encoder_weights: str = "default",
    image_size: int | None = None,
    steps: int | None = None,
    max_seconds: float | None = None,
    seed: int | None = None,
    device: str = "auto",
    resume: bool = False,
    log: str | None = None,
    report: Reporter | None = None,
) -> StylizerResult:
    """Train a stylizer on the training split of `content` and save it.

    Args:
        style: a folder of drawings, or sketches as `A.png,B.png`; None takes the shipped ones (`read_styles`).
        encoder_weights: default (torchvision's VGG-19), random, or a file.
        skip_bad: leave out images that cannot be read.
        image_size: side of the images as a backbone will see them; None takes the data's.
        resume: resume the interrupted run in `out`.
        log: `tensorboard` for event files, besides the run's log.

    Raises UsageError, DataError, CheckpointError and DivergedError as their docstrings say.
    """
    report, started, where = report or Silent(), time.monotonic(), choose_device(device)
    require_log(log)
    seed = seed_of_run(out, PRODUCT, seed, resume)
    bank, called = read_styles(style)
    dataset = open_dataset(content, data_root, report, skip_bad)
    with open_run(out, f"train-stylizer-{Path(content).name}", resume) as folder:
        report.note(f"run folder {folder}")
        # Infer sizes from data and device.
        size = size_for(where)
        encoder = open_encoder(encoder_weights, size.width, report)
        side = working_side(image_size or dataset.native_size, size.side)
        plan = {
            "content": content,
            "fingerprint": dataset.fingerprint,
            "style": {"name": called, "sha256": bank.sha256},
            "encoder": encoder.provenance,
            "side": side,
            "seed": seed,
            "steps": steps or size.steps,
            "max_seconds": max_seconds,
        }
        # Train and save.
        with resumable(folder, plan, resume) as state:
            schedule = Schedule(plan["steps"], max_seconds)
            stylizer, loop = fit_stylizer(
                dataset,
                dataset.splits["train"],
                bank,
                encoder,
                side,
                schedule,
                seed,
                where,
                report,
                state,
                resume,
                log=RunLog(folder, log, report),
            )
            facts = stylizer_facts(plan, describe_data(dataset, data_root), loop)
            save_stylizer(folder / PRODUCT, stylizer, facts)
            if stopped_early(facts["training"]):
                report.warn(f"the stylizer was trained for {training_state(facts['training'])}: raise --max-seconds")
            result = StylizerResult(
                checkpoint=str(folder / PRODUCT),
                content=dataset.name,
                style=called,
                encoder=encoder.source,
                side=side,
                parameters=sum(p.numel() for p in stylizer.parameters()),
                seed=seed,
                steps=loop.steps,
                planned_steps=plan["steps"],
                seconds=round(time.monotonic() - started, 2),
                images_per_second=round(loop.rows_per_second, 1),
                metrics=loop.best,
                out=str(folder),
            )
            write_json(folder / "result.json", {**result.as_dict(), "history": loop.history})
            loop.require_converged(folder / PRODUCT)
    return result


def fit_stylizer(
    dataset: Dataset,
    indices: np.ndarray,
    bank: StyleBank,
    encoder: EncoderWeights,
    side: int,
    schedule: Schedule,
    seed: int,
    device: torch.device,
    report: Reporter,
    state: Path | None = None,
    resume: bool = False,
    interpolation: Interpolation = "bicubic",
    log: RunLog | None = None,
) -> tuple[Stylizer, LoopResult]:
    """Train a stylizer for images of `side` on items `indices` (M,) of `dataset`.

    Only `steps` and `max_seconds` of `schedule` are used.

    Raises DataError for fewer than two different images, DivergedError for losses that are not finite.
    """
    held_out = held_out_mask(dataset.sources[indices]) if len(indices) else np.zeros(0, dtype=bool)
    if held_out.all():
        raise DataError(f"{dataset.name} has {len(indices)} image(s): a stylizer needs at least two different ones")
    size = size_for(device)
    # A wide encoder costs sixteen times a narrow one, and steps matter more than images per step.
    batch_size = size.batch_size if encoder.encoder.width <= size.width else max(1, size.batch_size // 2)
    stylizer = new_stylizer(encoder, size.width, side, seed)
    crop = min(side, size.crop)
    fit, rest = (Content(dataset, indices[part], side, crop, interpolation) for part in (~held_out, held_out))
    work = StylizerTraining(stylizer, fit, rest, bank.at(sketch_side(side)), batch_size, seed, device)
    full = Schedule(
        schedule.steps,
        schedule.max_seconds,
        validate_every=max(1, min(250, schedule.steps // 4)),
        rows_per_step=batch_size,
        unit="images",
        # The discriminator changes, so a later step is better even where the score says otherwise.
        keep="last",
    )
    loop = optimise(
        work,
        full,
        state_path=state,
        resume=resume,
        description="training the stylizer",
        report=report,
        salvage=state is not None,
        log=log,
    )
    return stylizer.eval().requires_grad_(False), loop


def new_stylizer(encoder: EncoderWeights, decoder_width: int, side: int, seed: int) -> Stylizer:
    """Build an untrained stylizer whose weights depend on `seed` only; the caller's global generator is untouched."""
    with seeded(seed):
        stylizer = Stylizer(encoder.encoder.width, decoder_width, side)
    stylizer.encoder = encoder.encoder
    return stylizer


def stylizer_facts(plan: dict[str, Any], data: dict[str, Any], loop: LoopResult) -> dict[str, Any]:
    """Return a stylizer's metadata.

    Args:
        plan: has style, encoder, seed and (planned) steps.
        data: the result of `describe_data`.
    """
    return {
        "style": plan["style"],
        "encoder": plan["encoder"],
        "data": data,
        "training": {
            "seed": plan["seed"],
            "steps": loop.steps,
            "planned_steps": plan["steps"],
            "seconds": round(loop.seconds, 2),
            "images_per_second": round(loop.rows_per_second, 1),
            "stopped": loop.stopped,
            **loop.best,
        },
        "versions": versions(),
    }
