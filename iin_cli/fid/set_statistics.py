"""Statistics of a set of images in a network's features: one pass, shared by the ranks, kept for the next run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..distributed import gather, is_main_rank, rank, world_size
from ..errors import CheckpointError, DataError, IinError
from ..io import checkpoint
from ..io.paths import cache_dir
from ..metrics.fid import Moments, Statistics, read_statistics, write_statistics
from ..metrics.inception import OFFICIAL_SHA256
from ..progress import Reporter
from .feature_networks import Features
from .image_sets import ImageSet

__all__ = ["MeasuredSet", "measure", "metric_name", "warn_of_few"]

# Part of the cache's key: raise it whenever the same images would give other statistics.
STATISTICS_VERSION = 3


@dataclass(frozen=True, eq=False)
class MeasuredSet:
    """Statistics of a set, and the features (M, D) float32 of as many of its first images as were to be kept."""

    statistics: Statistics
    features: Tensor


@dataclass(eq=False)
class _RankPart:
    """What one rank saw of a set."""

    moments: Moments = field(default_factory=Moments)
    kept: list[Tensor] = field(default_factory=list)
    shapes: set[tuple[int, ...]] = field(default_factory=set)


def measure(images: ImageSet, features: Features, batch: int, report: Reporter, keep: int = 0) -> MeasuredSet | None:
    """Measure `images`, or find what an earlier run measured; under torchrun every rank sees its part of them.

    Args:
        batch: images per forward pass. The batches are the same whatever the number of ranks, and so are the features.
        keep: how many of the first images' features are wanted as such.

    Returns None on every rank but the main one. Raises DataError for fewer than two images or an unreadable one.
    """
    if images.count < 2:
        number = f"{images.count} image{'s' * (images.count != 1)}"
        raise DataError(f"{images.name} has {number}: a Fréchet distance needs at least 2")
    keep = min(keep, images.count)
    file = _cache_file(images, features, keep)
    found = _recall(file, images, keep, report) if is_main_rank() and file is not None else None
    # Other machines may have other caches: the main rank decides for all.
    if gather(found is not None)[0]:
        return found
    parts = gather(_pass(images, features, batch, keep, report))
    if not is_main_rank():
        return None
    measured = _joined(parts, images, features)
    if file is not None:
        _remember(file, measured, report)
    return measured


def metric_name(weights_sha256: str | None) -> str:
    """Return `fid` for features of the official Inception weights, `fd` for any others."""
    return "fid" if weights_sha256 == OFFICIAL_SHA256 else "fd"


def warn_of_few(metric: str, n: int, dim: int, report: Reporter) -> None:
    """Warn when there are fewer images than features: the covariance is singular then, the distance biased upwards."""
    if n < dim:
        report.warn(
            f"{metric} from {n:,} images is biased upwards: use at least {dim:,}, as many as there are features, "
            "and compare only figures of equal n"
        )


def _cache_file(images: ImageSet, features: Features, keep: int) -> Path | None:
    """Return where the statistics are kept, by the content of images and weights; None for images of unknown origin."""
    if images.identity is None:
        return None
    facts = {"weights_sha256": features.weights_sha256, "resize": features.resize, "version": STATISTICS_VERSION}
    key = json.dumps({**images.identity, **facts, "keep": keep}, sort_keys=True)
    return cache_dir() / "statistics" / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"


def _recall(file: Path, images: ImageSet, keep: int, report: Reporter) -> MeasuredSet | None:
    if not file.is_file():
        return None
    try:
        statistics = replace(read_statistics(file), source=images.name)
        kept = checkpoint.load(file).tensors["features"] if keep else torch.empty(0, len(statistics.mean))
    except (CheckpointError, KeyError) as error:
        report.note(f"{error}: measured again")
        return None
    return MeasuredSet(statistics, kept)


def _remember(file: Path, measured: MeasuredSet, report: Reporter) -> None:
    try:
        write_statistics(file, measured.statistics, measured.features if len(measured.features) else None)
    except IinError as error:
        # The cache is a convenience: the figure stands without it.
        report.warn(f"statistics not cached: {error}")


def _pass(images: ImageSet, features: Features, batch: int, keep: int, report: Reporter) -> _RankPart:
    """Take this rank's part of the images through the network."""
    batches = -(-images.count // batch)
    # Whole batches in a row, so that every image meets the same neighbours as alone.
    start, stop = (min(batch * (batches * part // world_size()), images.count) for part in (rank(), rank() + 1))
    mine = _RankPart()
    with report.task(f"features of {images.name}", stop - start, "images") as task:
        for part in _batches(images.read(start, stop), batch):
            found = features(part)
            mine.moments.add(found)
            if start < keep:
                mine.kept.append(found[: keep - start].detach().float().cpu())
            mine.shapes.update(image.shape for image in part)
            start += len(part)
            task.advance(len(part))
    mine.moments = mine.moments.cpu()
    return mine


def _joined(parts: list[_RankPart], images: ImageSet, features: Features) -> MeasuredSet:
    moments, shapes = Moments(), set().union(*(part.shapes for part in parts))
    for part in parts:
        moments.merge(part.moments)
    square = len(shapes) == 1 and (shape := next(iter(shapes)))[0] == shape[1]
    statistics = Statistics(
        moments.mean,
        moments.covariance(),
        moments.n,
        weights_sha256=features.weights_sha256,
        resize=features.resize,
        image_size=next(iter(shapes))[0] if square else None,
        source=images.name,
    )
    kept = [rows for part in parts for rows in part.kept]
    return MeasuredSet(statistics, torch.cat(kept) if kept else torch.empty(0, len(moments.mean)))


def _batches(images: Iterator[np.ndarray], batch: int) -> Iterator[list[np.ndarray]]:
    while part := list(islice(images, batch)):
        yield part
