"""Fréchet distance between two sets of images: folders, datasets, translators' samples or saved statistics."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..distributed import choose_device
from ..errors import CheckpointError, DataError, IinError, UsageError
from ..io import checkpoint
from ..io.paths import cache_dir
from ..metrics.fid import Moments, Statistics, check_comparable, frechet_distance, read_statistics, write_statistics
from ..metrics.inception import OFFICIAL_SHA256, InceptionFeatures
from ..progress import Reporter, Silent
from .image_sets import Generated, GenerateImages, ImageSet, Stored, open_named, translator_images

__all__ = ["Features", "FidResult", "compute_fid"]

DEFAULT_SAMPLES = 10_000
# With fewer images than features the covariance is singular and the distance biased upwards.
FEW_IMAGES = 2048
# Part of the cache's key: raise it whenever the same images would give other statistics.
STATISTICS_VERSION = 1


class Features(Protocol):
    """A callable from images to features, known by the digest of its weights."""

    weights_sha256: str
    resize: str

    def __call__(self, images: Sequence[np.ndarray]) -> Tensor:
        """Return features (B, D) of B images uint8 (H, W, 3), each of its own size."""
        ...


OpenFeatures = Callable[[Path | None, torch.device, Reporter], Features]


@dataclass(frozen=True)
class FidResult:
    """What was measured.

    Attributes:
        metric: `fid` where both sets are known to have gone through the official Inception weights, else `fd`.
        value: the (squared) Fréchet distance.
        n: images in the smaller set, of those known; `n_a`, `n_b`: None where a foreign statistics file does not say.
        weights_sha256: digest of the weights of both sets; None where that is not known.
        resize: how images were brought to the network's size; None where that is not known.
        seed: of the images generated or chosen.
        seconds: wall time.
    """

    metric: str
    value: float
    n: int | None
    n_a: int | None
    n_b: int | None
    weights_sha256: str | None
    resize: str | None
    seed: int
    seconds: float


def compute_fid(
    a: str,
    b: str,
    *,
    n: int | None = None,
    weights: Path | None = None,
    data_root: Path | None = None,
    backbone: Path | None = None,
    split: str = "test",
    device: str = "auto",
    batch: int = 50,
    seed: int = 0,
    save_stats: Path | None = None,
    images_from_translator: GenerateImages | None = None,
    open_features: OpenFeatures = InceptionFeatures,
    reporter: Reporter | None = None,
) -> FidResult:
    """Measure the Fréchet distance between the images that `a` and `b` name; symmetric in them.

    Args:
        a, b: a folder of images (all of them), a dataset's name (its `split`: train, test or all), a translator
            (Eq 13 with seeds `seed`, `seed + 1`, ...) or a statistics file (`.safetensors`, pytorch-fid's `.npz`).
        n: images of each set; where there are more, a random choice by `seed`. Default: all, and of a translator as
            many as the other set has, else 10,000.
        weights: the feature network's weights file; default: the official one, fetched when it is not here.
        backbone: where the translators' backbone lies now, if it was moved.
        batch: images per forward pass.
        save_stats: a new file for the statistics of `a`.
        images_from_translator: (checkpoint, seeds) -> uint8 (B, S, S, 3), batch by batch.
        open_features: (weights, device, reporter) -> the feature network.

    Beside a translator, folders and datasets are read at its size, as its backbone saw them in training; otherwise
    as they are stored. Statistics are cached by the content of images and weights.
    Raises DataError (missing, corrupt or too few images), CheckpointError (unfit or incomparable files), UsageError.
    """
    started, report, on = time.monotonic(), reporter or Silent(), choose_device(device)
    generate = images_from_translator or partial(translator_images, device=on, backbone=backbone)
    _check_target(save_stats)

    # Open: what each name stands for, and how many images of it are compared.
    where = {"data_root": data_root, "backbone": backbone, "split": split, "seed": seed, "reporter": report}
    sides = [_open(name, n, where) for name in (a, b)]
    sets = _settle(sides, n, seed, generate)

    # Features: all that can be refused is refused before the network runs.
    waiting = [entry for entry in sets if isinstance(entry, ImageSet)]
    features = open_features(weights, on, report) if waiting else None
    for entry in sets:
        if features is not None and isinstance(entry, Statistics):
            _check_origin(entry, features)
    of_a, of_b = (
        entry if isinstance(entry, Statistics) else _statistics(entry, features, batch, report) for entry in sets
    )

    # Distance.
    check_comparable(of_a, of_b)
    if save_stats is not None:
        write_statistics(save_stats, of_a)
    value = frechet_distance(of_a, of_b)
    return _result(value, of_a, of_b, seed, time.monotonic() - started, report)


def _check_target(save_stats: Path | None) -> None:
    if save_stats is None:
        return
    if save_stats.suffix != ".safetensors":
        raise UsageError(f"--save-stats {save_stats}: name a file that ends in .safetensors")
    if save_stats.exists():
        raise UsageError(f"--save-stats {save_stats} exists already: choose another name or remove it")


def _open(name: str, n: int | None, where: dict[str, Any]) -> Statistics | Stored | Generated:
    path = Path(name).expanduser()
    is_ours = path.suffix == ".safetensors" and checkpoint.describe(path)["kind"] == "statistics"
    if path.suffix != ".npz" and not is_ours:
        return open_named(name, n=n, **where)
    statistics = read_statistics(path)
    if n is not None and statistics.n is not None and statistics.n < n:
        raise DataError(f"{path} was made from {statistics.n} images, fewer than --n {n}: give a smaller --n")
    return statistics


def _settle(
    sides: Sequence[Statistics | Stored | Generated], n: int | None, seed: int, generate: GenerateImages
) -> list[Statistics | ImageSet]:
    """Decide how many images a translator generates, and at which size the others are read."""
    known = [len(side.indices) for side in sides if isinstance(side, Stored)]
    known += [side.n for side in sides if isinstance(side, Statistics) and side.n is not None]
    samples = n or max(known, default=DEFAULT_SAMPLES)
    translators = [side for side in sides if isinstance(side, Generated)]
    size = translators[0].side(generate) if translators and any(isinstance(side, Stored) for side in sides) else None
    return [
        side.images(samples, seed, generate)
        if isinstance(side, Generated)
        else side.images(size)
        if isinstance(side, Stored)
        else side
        for side in sides
    ]


def _check_origin(statistics: Statistics, features: Features) -> None:
    """Refuse a statistics file made otherwise than `features` will make the other set's."""
    expected = replace(statistics, weights_sha256=features.weights_sha256, resize=features.resize, source="--weights")
    check_comparable(statistics, expected)


def _statistics(images: ImageSet, features: Features, batch: int, reporter: Reporter) -> Statistics:
    """Return the statistics of `images`, from the cache where they are there."""
    facts = {"weights_sha256": features.weights_sha256, "resize": features.resize}
    key = json.dumps({**images.identity, **facts, "version": STATISTICS_VERSION}, sort_keys=True)
    cached = cache_dir() / "statistics" / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"
    if cached.is_file():
        try:
            return replace(read_statistics(cached), source=images.name)
        except CheckpointError as error:
            reporter.note(f"{error}: measured anew")
    moments = Moments()
    with reporter.task(f"features of {images.name}", images.count, "images") as task:
        for part in _batches(images.read(), batch):
            moments.add(features(part))
            task.advance(len(part))
    if moments.n < 2:
        raise DataError(f"{images.name} has {moments.n} image: a Fréchet distance needs at least 2")
    statistics = Statistics(moments.mean, moments.covariance(), moments.n, source=images.name, **facts)
    try:
        write_statistics(cached, statistics)
    except IinError as error:
        # The cache is a convenience: the figure stands without it.
        reporter.warn(f"statistics not cached: {error}")
    return statistics


def _batches(images: Iterator[np.ndarray], batch: int) -> Iterator[list[np.ndarray]]:
    while part := list(islice(images, batch)):
        yield part


def _result(value: float, a: Statistics, b: Statistics, seed: int, seconds: float, reporter: Reporter) -> FidResult:
    weights = a.weights_sha256 if a.weights_sha256 == b.weights_sha256 else None
    metric = "fid" if weights == OFFICIAL_SHA256 else "fd"
    counts = [statistics.n for statistics in (a, b) if statistics.n is not None]
    for statistics in (a, b):
        if statistics.weights_sha256 is None:
            reporter.warn(f"{statistics.source} does not say which weights it was made with: the result is fd, not fid")
    if counts and min(counts) < FEW_IMAGES:
        reporter.warn(
            f"{metric} from {min(counts)} images is biased upwards: use at least {FEW_IMAGES:,}, "
            "and compare only figures of equal n"
        )
    return FidResult(
        metric=metric,
        value=value,
        n=min(counts, default=None),
        n_a=a.n,
        n_b=b.n,
        weights_sha256=weights,
        resize=a.resize if a.resize == b.resize else None,
        seed=seed,
        seconds=seconds,
    )
