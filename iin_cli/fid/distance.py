"""Distances between two sets of images: items of a dataset, a translator's samples or saved statistics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..distributed import is_main_rank
from ..editing.priors import TranslatorPrior
from ..errors import CheckpointError, UsageError
from ..interpretation.open_translator import OpenTranslator
from ..metrics.bootstrap import Interval
from ..metrics.fid import Statistics, check_comparable, frechet_distance
from ..metrics.kernel_distance import KernelDistance
from ..progress import Reporter, Silent
from ..results import Result, Table
from .comparison import MOST_COMPARED, ReferenceFeatures, kernel_name
from .feature_networks import BackboneFeatures, Features
from .image_sets import ImageSet, Stored, drawn
from .set_statistics import MeasuredSet, measure, metric_name, warn_of_few

__all__ = ["FidResult", "Source", "distance", "measure_both"]

DEFAULT_SAMPLES = 10_000
# Where images or their statistics come from.
Source = Statistics | Stored | OpenTranslator


@dataclass(frozen=True)
class FidResult(Result):
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
        kernel: kernel distance (KID with the official weights); None where either set is a statistics file.
        density, coverage: of the other set's images among those of `reference`; None as above, or for few images.
        reference: the set that counts as real; None without these.
        n_compared: images of the smaller set that these three are from, at most 10,000.
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
    kernel: KernelDistance | None = None
    density: Interval | None = None
    coverage: Interval | None = None
    reference: str | None = None
    n_compared: int | None = None

    def tables(self) -> list[Table]:
        """Return one table: what single features tell, with intervals; none for statistics files."""
        if self.kernel is None:
            return []
        shares = {"density": self.density, "coverage": self.coverage}
        row = {name: None if share is None else f"{share:.3f}" for name, share in shares.items()}
        title = f"against {self.reference} ({self.n_compared:,} images)"
        return [(title, [{kernel_name(self.metric): str(self.kernel), **row}])]


def measure_both(
    a: Source,
    b: Source,
    features: Features | None = None,
    *,
    n: int | None = None,
    seed: int = 0,
    batch: int = 50,
    report: Reporter | None = None,
) -> tuple[MeasuredSet, MeasuredSet] | None:
    """Measure two sets of images in the features of one network.

    Args:
        a, b: items of a dataset, a translator (Eq 13 with seeds `seed`, `seed + 1`, …) or statistics.
        features: the feature network; not needed where both are statistics.
        n: images that a translator draws; default: as many as the other set has, else 10,000.
        batch: images per forward pass.

    Beside a translator, stored images are read as its network saw them in training; otherwise as they are stored.
    Features of up to 10,000 images of each are kept; a larger set is read in random order, so that these are typical.
    Statistics are cached by the content of images and weights. Under torchrun every rank calls it and sees its part of
    the images; all but the main one get None.
    Raises CheckpointError for statistics that cannot be compared, before the network runs where that is known then;
    DataError for too few or unreadable images; UsageError for a translator whose network draws no images.
    """
    report, sets = report or Silent(), _settle((a, b), n, seed)
    _check_files(sets, [entry.image_size for entry in sets], features)
    of_a, of_b = (_statistics(entry, features, batch, report) for entry in sets)
    if not is_main_rank() or of_a is None or of_b is None:
        return None
    _check_files(sets, [of_a.statistics.image_size, of_b.statistics.image_size])
    check_comparable(of_a.statistics, of_b.statistics)
    return of_a, of_b


def distance(
    a: MeasuredSet,
    b: MeasuredSet,
    *,
    network: str | None = None,
    seed: int = 0,
    started: float | None = None,
    report: Reporter | None = None,
    device: torch.device | str = "cpu",
    b_is_reference: bool = False,
) -> FidResult:
    """Return the distances of two sets of features; the Fréchet and the kernel distance are symmetric in them.

    Args:
        network, seed: what the features are of, for the result.
        started: `time.monotonic()` when the work began; default: now.
        device: where features are compared with one another.
        b_is_reference: which set's images count as real for density and coverage; default: those of `a`.

    Warns of few images, and of statistics that do not say which weights they were made with. Raises CheckpointError
    where the two cannot be compared.
    """
    report, started = report or Silent(), time.monotonic() if started is None else started
    both = (a.statistics, b.statistics)
    value = frechet_distance(*both)
    digests = {statistics.weights_sha256 for statistics in both}
    weights = digests.pop() if len(digests) == 1 else None
    metric = metric_name(weights)
    counts = [statistics.n for statistics in both if statistics.n is not None]
    for statistics in both:
        if statistics.weights_sha256 is None:
            report.warn(f"{statistics.source} does not say which weights it was made with: the result is fd, not fid")
    if counts:
        warn_of_few(metric, min(counts), len(both[0].mean), report)
    reference, other = (b, a) if b_is_reference else (a, b)
    compared = _compared(reference, other, torch.device(device), report)
    return FidResult(
        metric=metric,
        value=value,
        network=network,
        n=min(counts, default=None),
        n_a=both[0].n,
        n_b=both[1].n,
        weights_sha256=weights,
        resize=both[0].resize if both[0].resize == both[1].resize else None,
        seed=seed,
        seconds=time.monotonic() - started,
        **compared,
    )


def _compared(reference: MeasuredSet, other: MeasuredSet, device: torch.device, report: Reporter) -> dict[str, Any]:
    """Return what the features themselves tell, as fields of the result; nothing where either set has none."""
    count = min(len(reference.features), len(other.features))
    if not count:
        return {}
    name = reference.statistics.source
    real = ReferenceFeatures(reference.features, name, device, report)
    found = real.compare(other.features, other.statistics.source)
    return {**vars(found), "reference": name, "n_compared": count}


def _settle(sides: Sequence[Source], n: int | None, seed: int) -> list[Statistics | ImageSet]:
    """Decide how many images a translator draws, and at which size the others are read."""
    known = [len(side.indices) for side in sides if isinstance(side, Stored)]
    known += [side.n for side in sides if isinstance(side, Statistics) and side.n is not None]
    samples = n or max(known, default=DEFAULT_SAMPLES)
    # Two translators are compared whatever their sizes, as two folders are.
    network = next((side.require_network() for side in sides if isinstance(side, OpenTranslator)), None)
    sets: list[Statistics | ImageSet] = []
    for side in sides:
        if isinstance(side, OpenTranslator):
            images = drawn(side, TranslatorPrior(side), range(seed, seed + samples))
            sets.append(replace(images, name=str(side.path)))
        elif isinstance(side, Stored):
            side = _shuffled(side)
            sets.append(side.images(None) if network is None else side.images_for(network))
        else:
            sets.append(side)
    return sets


def _shuffled(side: Stored) -> Stored:
    """Return the items of a large set in random order, always the same: folders have theirs by class."""
    if len(side.indices) <= MOST_COMPARED:
        return side
    return replace(side, indices=np.random.default_rng(0).permutation(side.indices))


def _check_files(
    sets: Sequence[Statistics | ImageSet], sizes: Sequence[int | None], features: Features | None = None
) -> None:
    """Refuse a statistics file of images of another size than the other set's, or not made as `features` makes it.

    `sizes` are the sides of the two sets' images as far as they are known.
    """
    files = [entry for entry in sets if isinstance(entry, Statistics)]
    if features is not None:
        option = "--features" if isinstance(features, BackboneFeatures) else "--weights"
        for file in files:
            made = replace(file, weights_sha256=features.weights_sha256, resize=features.resize, source=option)
            check_comparable(file, made)
    if files and None not in sizes and sizes[0] != sizes[1]:
        names = [entry.source if isinstance(entry, Statistics) else entry.name for entry in sets]
        raise CheckpointError(
            f"{names[0]} is of images {sizes[0]} pixels wide and {names[1]} of images {sizes[1]} wide: "
            "make the statistics again from images of one size"
        )


def _statistics(
    entry: Statistics | ImageSet, features: Features | None, batch: int, report: Reporter
) -> MeasuredSet | None:
    """Return what is known of one side; None on every rank but the main one for a side that is measured."""
    if isinstance(entry, Statistics):
        return MeasuredSet(entry, torch.empty(0, len(entry.mean)))
    if features is None:
        raise UsageError(f"images of {entry.name} are compared in the features of a network: give one")
    return measure(entry, features, batch, report, MOST_COMPARED)
