"""Fréchet distance between two sets of images: folders, datasets, translators' samples or saved statistics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..distributed import choose_device, gather, is_main_rank
from ..errors import CheckpointError, DataError, UsageError
from ..io import checkpoint
from ..metrics.fid import Statistics, check_comparable, frechet_distance, read_statistics, write_statistics
from ..progress import Reporter, Silent
from .feature_networks import Features, OpenFeatures
from .feature_networks import open_features as open_network
from .image_sets import Generated, GenerateImages, ImageSet, Stored, open_named, translator_images
from .set_statistics import measure, metric_name, warn_of_few

__all__ = ["FidResult", "compute_fid"]

DEFAULT_SAMPLES = 10_000


@dataclass(frozen=True)
class FidResult:
    """What was measured.

    Attributes:
        metric: `fid` where both sets are known to have gone through the official Inception weights, else `fd`.
        value: the (squared) Fréchet distance.
        network: what images went through; None where both sets are statistics files.
        n: images in the smaller set, of those known; `n_a`, `n_b`: None where a foreign statistics file does not say.
        weights_sha256: digest of the weights of both sets; None where that is not known.
        resize: how images were brought to the network's size; None where that is not known.
        seed: of the images generated or chosen.
        seconds: wall time.
    """

    metric: str
    value: float
    network: str | None
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
    features: str | None = None,
    weights: Path | None = None,
    data_root: Path | None = None,
    backbone: Path | None = None,
    split: str = "test",
    device: str = "auto",
    batch: int = 50,
    seed: int = 0,
    save_stats: Path | None = None,
    images_from_translator: GenerateImages | None = None,
    open_features: OpenFeatures = open_network,
    reporter: Reporter | None = None,
) -> FidResult:
    """Measure the Fréchet distance between the images that `a` and `b` name; symmetric in them.

    Args:
        a, b: a folder of images (all of them), a dataset's name (its `split`: train, test or all), a translator
            (Eq 13 with seeds `seed`, `seed + 1`, ...) or a statistics file (`.safetensors`, pytorch-fid's `.npz`).
        n: images of each set; where there are more, a random choice by `seed`. Default: all, and of a translator as
            many as the other set has, else 10,000.
        features: a backbone (checkpoint, run folder, name) whose E is the feature network; default: Inception.
        weights: the feature network's weights file; default: the official one, fetched when it is not here.
        backbone: where the translators' backbone lies now, if it was moved.
        batch: images per forward pass.
        save_stats: a new file for the statistics of `a`.
        images_from_translator: (checkpoint, seeds) -> uint8 (B, S, S, 3), batch by batch.
        open_features: (features, weights, device, reporter) -> the feature network.

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
    network = open_features(features, weights, on, report) if waiting else None
    _check_files(sets, [entry.image_size for entry in sets], network, "--weights" if features is None else "--features")
    of_sets = [_statistics(entry, network, batch, report) for entry in sets]

    # Distance: on the main rank, for all of them.
    result = None
    if is_main_rank():
        of_a, of_b = of_sets
        _check_files(sets, [of.image_size for of in of_sets])
        check_comparable(of_a, of_b)
        if save_stats is not None:
            write_statistics(save_stats, of_a)
        value = frechet_distance(of_a, of_b)
        name = network.name if network is not None else None
        result = _result(value, of_a, of_b, name, seed, time.monotonic() - started, report)
    return gather(result)[0]


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
    # Two translators are compared whatever their sizes, as two folders are.
    size = translators[0].side(generate) if len(translators) == 1 else None
    return [
        side.images(samples, seed, generate, size)
        if isinstance(side, Generated)
        else side.images(size)
        if isinstance(side, Stored)
        else side
        for side in sides
    ]


def _check_files(
    sets: Sequence[Statistics | ImageSet],
    sizes: Sequence[int | None],
    features: Features | None = None,
    option: str = "--weights",
) -> None:
    """Refuse a statistics file of images of another size than the other set's, or not made as `features` makes it.

    `sizes` are the sides of the two sets' images as far as they are known; `option` gave the features.
    """
    files = [entry for entry in sets if isinstance(entry, Statistics)]
    for file in files if features is not None else ():
        made = replace(file, weights_sha256=features.weights_sha256, resize=features.resize, source=option)
        check_comparable(file, made)
    if files and None not in sizes and sizes[0] != sizes[1]:
        names = [entry.source if isinstance(entry, Statistics) else entry.name for entry in sets]
        raise CheckpointError(
            f"{names[0]} is of images {sizes[0]} pixels wide and {names[1]} of images {sizes[1]} wide: "
            "make the statistics anew from images of one size"
        )


def _statistics(entry: Statistics | ImageSet, features: Features, batch: int, reporter: Reporter) -> Statistics | None:
    """Return the statistics of one side; None on every rank but the main one for those that are measured."""
    if isinstance(entry, Statistics):
        return entry
    measured = measure(entry, features, batch, reporter)
    return measured.statistics if measured is not None else None


def _result(
    value: float, a: Statistics, b: Statistics, network: str | None, seed: int, seconds: float, reporter: Reporter
) -> FidResult:
    weights = a.weights_sha256 if a.weights_sha256 == b.weights_sha256 else None
    metric = metric_name(weights)
    counts = [statistics.n for statistics in (a, b) if statistics.n is not None]
    for statistics in (a, b):
        if statistics.weights_sha256 is None:
            reporter.warn(f"{statistics.source} does not say which weights it was made with: the result is fd, not fid")
    if counts:
        warn_of_few(metric, min(counts), len(a.mean), reporter)
    return FidResult(
        metric=metric,
        value=value,
        network=network,
        n=min(counts, default=None),
        n_a=a.n,
        n_b=b.n,
        weights_sha256=weights,
        resize=a.resize if a.resize == b.resize else None,
        seed=seed,
        seconds=seconds,
    )
