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

__all__ = ["Measured", "measure", "metric_name", "warn_of_few"]

# Part of the cache's key: raise it whenever the same images would give other statistics.
STATISTICS_VERSION = 2


@dataclass(frozen=True, eq=False)
class Measured:
    """Statistics of a set, and the features (M, D) float32 of as many of its first images as were to be kept."""

    statistics: Statistics
    features: Tensor


@dataclass(eq=False)
class _Share:
    """What one rank saw of a set."""

    moments: Moments = field(default_factory=Moments)
    kept: list[Tensor] = field(default_factory=list)
    shapes: set[tuple[int, ...]] = field(default_factory=set)


def measure(images: ImageSet, features: Features, batch: int, reporter: Reporter, keep: int = 0) -> Measured | None:
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
    found = _recall(file, images, keep, reporter) if is_main_rank() and file is not None else None
    # Other machines may have other caches: the main rank decides for all.
    if gather(found is not None)[0]:
        return found
    shares = gather(_pass(images, features, batch, keep, reporter))
    if not is_main_rank():
        return None
    measured = _joined(shares, images, features)
    if file is not None:
        _remember(file, measured, reporter)
    return measured


def metric_name(weights_sha256: str | None) -> str:
    """Return `fid` for features of the official Inception weights, `fd` for any others."""
    return "fid" if weights_sha256 == OFFICIAL_SHA256 else "fd"


def warn_of_few(metric: str, n: int, dim: int, reporter: Reporter) -> None:
    """Warn when there are fewer images than features: the covariance is singular then, the distance biased upwards."""
    if n < dim:
        reporter.warn(
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


def _recall(file: Path, images: ImageSet, keep: int, reporter: Reporter) -> Measured | None:
    if not file.is_file():
        return None
    try:
        statistics = replace(read_statistics(file), source=images.name)
        kept = checkpoint.load(file).tensors["features"] if keep else torch.empty(0, len(statistics.mean))
    except (CheckpointError, KeyError) as error:
        reporter.note(f"{error}: measured anew")
        return None
    return Measured(statistics, kept)


def _remember(file: Path, measured: Measured, reporter: Reporter) -> None:
    try:
        write_statistics(file, measured.statistics, measured.features if len(measured.features) else None)
    except IinError as error:
        # The cache is a convenience: the figure stands without it.
        reporter.warn(f"statistics not cached: {error}")


def _pass(images: ImageSet, features: Features, batch: int, keep: int, reporter: Reporter) -> _Share:
    """Take this rank's part of the images through the network."""
    batches = -(-images.count // batch)
    # Whole batches in a row, so that every image meets the same neighbours as alone.
    start, stop = (min(batch * (batches * part // world_size()), images.count) for part in (rank(), rank() + 1))
    share = _Share()
    with reporter.task(f"features of {images.name}", stop - start, "images") as task:
        for part in _batches(images.read(start, stop), batch):
            found = features(part)
            share.moments.add(found)
            if start < keep:
                share.kept.append(found[: keep - start].detach().float().cpu())
            share.shapes.update(image.shape for image in part)
            start += len(part)
            task.advance(len(part))
    share.moments = share.moments.cpu()
    return share


def _joined(shares: list[_Share], images: ImageSet, features: Features) -> Measured:
    moments, shapes = Moments(), set().union(*(share.shapes for share in shares))
    for share in shares:
        moments.merge(share.moments)
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
    kept = [rows for share in shares for rows in share.kept]
    return Measured(statistics, torch.cat(kept) if kept else torch.empty(0, len(moments.mean)))


def _batches(images: Iterator[np.ndarray], batch: int) -> Iterator[list[np.ndarray]]:
    while part := list(islice(images, batch)):
        yield part
