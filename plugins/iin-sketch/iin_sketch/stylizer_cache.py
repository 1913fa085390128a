"""Find the stylizer of a concept in the cache, or train it there: for a number of steps, not for a time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from iin_cli.io.paths import cache_dir
from iin_cli.plugin_api import Circumstances, Dataset
from iin_cli.training.loop import Schedule

from .drawing import working_side
from .encoder_weights import default_file, open_encoder
from .sketches import digest_of, sketch_bank
from .stylizer_files import PRODUCT, OpenStylizer, open_stylizer, save_stylizer
from .train_stylizer import fit_stylizer, size_for, stylizer_facts

__all__ = ["Wanted", "cached_stylizer"]

# Seed of stylizers in the cache: with the run's own seed, no second run would find them.
CACHE_SEED = 0


@dataclass(frozen=True)
class Wanted:
    """The concept that a stylizer is for: its name, what its two sketches are called, and they, uint8 (256, 256)."""

    concept: str
    called: str
    sketches: tuple[np.ndarray, np.ndarray]


def cached_stylizer(
    wanted: Wanted, dataset: Dataset, indices: np.ndarray, circumstances: Circumstances
) -> OpenStylizer:
    """Open the stylizer for `wanted` and `dataset` in the cache; where there is none, train it on the training split.

    Either way the file, its steps, its encoder and its data are said. Raises DataError for too few images,
    CheckpointError for a damaged file, DivergedError as training.
    """
    device, report = torch.device(circumstances.device), circumstances.report
    size = size_for(device)
    source = "default" if default_file().is_file() else "random"
    side = working_side(circumstances.image_size, size.side)
    decides = [dataset.fingerprint, digest_of(wanted.sketches), source, size.width, side, size.steps]
    file = cache_dir() / "stylizers" / _key(decides) / PRODUCT
    found = file.is_file()
    if not found:
        report.note(
            f"concept {wanted.concept}: no stylizer for {dataset.name} yet; training one for {size.steps:,} steps, "
            f"which a plan (--dry-run) waits for, too; later runs find it in {file.parent}"
        )
        _train(wanted, file, source, side, dataset, indices, circumstances)
    opened = open_stylizer(file, device, report)
    how = "using the stylizer of an earlier run" if found else "trained a stylizer"
    report.note(f"concept {wanted.concept}: {how}: {file}, {opened.described}")
    if opened.metadata["encoder"]["source"] == "random":
        report.warn(
            f"concept {wanted.concept} is drawn with an encoder of random weights, since VGG-19's are not in "
            f"{default_file().parent}: look at x_a and x_b before you trust the factor"
        )
    return opened


def _train(
    wanted: Wanted,
    file: Path,
    source: str,
    side: int,
    dataset: Dataset,
    indices: np.ndarray,
    circumstances: Circumstances,
) -> None:
    device = torch.device(circumstances.device)
    size, train = size_for(device), np.asarray(dataset.splits["train"])
    bank = sketch_bank(wanted.sketches)
    encoder = open_encoder(source, size.width, circumstances.report)
    schedule = Schedule(size.steps)
    stylizer, loop = fit_stylizer(
        dataset,
        train if len(train) else indices,
        bank,
        encoder,
        side,
        schedule,
        CACHE_SEED,
        device,
        circumstances.report,
        interpolation=circumstances.interpolation,
    )
    style = {"name": wanted.called, "sha256": bank.sha256}
    plan = {"style": style, "encoder": encoder.provenance, "seed": CACHE_SEED, "steps": size.steps}
    data = {"name": dataset.name, "root": None, "fingerprint": dataset.fingerprint}
    save_stylizer(file, stylizer, stylizer_facts(plan, data, loop))


def _key(decides: list[str | int]) -> str:
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:32]
