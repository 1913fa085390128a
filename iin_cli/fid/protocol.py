"""How good a translator is as a generative model: the distance of its images, between floor and ceiling (Table 2).

One reference, a split of the data, is compared with what each prior draws, in trials over disjoint seeds, and with the
backbone's reconstructions of the reference itself. No prior can be expected to do better than these (the floor), and
the backbone's own prior N(0, 1) is what the translator has to improve on (the ceiling).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ..distributed import choose_device, gather
from ..editing.priors import BackbonePrior, Prior, TranslatorPrior
from ..errors import DataError, UsageError, nearest
from ..interpretation.data_choice import choose_items, split_items
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.opening import open_translator
from ..metrics.fid import frechet_distance
from ..metrics.precision_recall import NEIGHBOURS, Manifold, precision_recall
from ..plugin_api import Dataset
from ..progress import Reporter, Silent
from .feature_networks import Features, OpenFeatures
from .feature_networks import open_features as open_network
from .image_sets import ImageSet, Stored, drawn, reconstructions
from .scores import FLOOR, ProtocolResult, SetScores, Trial
from .set_statistics import Measured, measure, metric_name, warn_of_few

__all__ = ["PRIORS", "compute_protocol", "fid_protocol"]

PRIORS = ("translator", "backbone")
MOST_SAMPLES = 10_000
# Precision and recall compare every image with every other, and keep their features in memory.
MOST_NEIGHBOURS = 10_000
# Of the order in which the reference is read: its first images are a choice at random, and always the same.
REFERENCE_ORDER = 0


def compute_protocol(
    translator: Path,
    *,
    data: str | None = None,
    data_root: Path | None = None,
    backbone: Path | None = None,
    priors: Sequence[str] = PRIORS,
    truncation: float = 1.0,
    reference: str = "test",
    n: int | None = None,
    trials: int = 3,
    features: str | None = None,
    weights: Path | None = None,
    seed: int = 0,
    batch: int = 50,
    device: str = "auto",
    open_features: OpenFeatures = open_network,
    reporter: Reporter | None = None,
) -> ProtocolResult:
    """Open a translator, its data and the feature network, and run `fid_protocol`.

    Args:
        translator: checkpoint or run folder.
        data, data_root: the reference's dataset; default: the translator's own.
        backbone: where the translator's backbone lies now, if it was moved.
        priors: of `PRIORS`.
        truncation: ψ in (0, 1] of the translator's prior; the backbone's stays N(0, 1).
        features: a backbone (checkpoint, run folder, name) whose E is the feature network; default: Inception.
        weights: the feature network's weights file; default: the official one, fetched when it is not here.
        open_features: (features, weights, device, reporter) -> the feature network.

    Raises what `fid_protocol` does, CheckpointError for unfit files, UsageError for a classifier or an unknown name.
    """
    report, on = reporter or Silent(), choose_device(device)
    _check_wishes(priors, truncation, trials)
    opened = open_translator(translator, on, backbone)
    known = {"translator": TranslatorPrior(opened, truncation), "backbone": BackbonePrior(opened.image_backbone)}
    dataset = open_data(data, recorded_data(opened), data_root, report)
    network = open_features(features, weights, on, report)
    chosen = [known[name] for name in dict.fromkeys(priors)]
    return fid_protocol(
        opened,
        chosen,
        dataset,
        network,
        reference=reference,
        n=n,
        trials=trials,
        seed=seed,
        batch=batch,
        reporter=report,
    )


def fid_protocol(
    opened: OpenTranslator,
    priors: Sequence[Prior],
    dataset: Dataset,
    features: Features,
    *,
    reference: str = "test",
    n: int | None = None,
    trials: int = 3,
    seed: int = 0,
    batch: int = 50,
    reporter: Reporter | None = None,
) -> ProtocolResult:
    """Compare what each prior draws, and reconstructions, with the whole split `reference` of `dataset`.

    Args:
        opened: the translator whose backbone's G draws every image.
        priors: maps of noise; statistics are kept for later runs of those that are the translator's or the backbone's,
            and of others that say by an attribute `fingerprint` (a text) what they are.
        features: the feature network.
        reference: train, test or all.
        n: images of a prior in a trial; default: as many as the reference has, at most 10,000. Reconstructions are of
            n reference images at a time, of other ones in every trial, in as many trials as there are images for. Only
            where there are fewer than 2 n are their originals among those that precision and recall compare with.
        trials: trial t draws the seeds `seed` + t·n … `seed` + (t + 1)·n − 1.
        batch: images per forward pass of the feature network.

    Under torchrun every rank calls it, computes its part of every set, and gets the result.
    Raises DataError when the reference has fewer than n images or one cannot be read, UsageError for an unknown split,
    fewer trials than one, a classifier, or a translator without a backbone.
    """
    started, report = time.monotonic(), reporter or Silent()
    backbone = opened.image_backbone
    _check_trials(trials)
    items = _reference_items(dataset, reference, n)
    n = n or min(len(items), MOST_SAMPLES)

    # The reference: on the main rank, to which the others only lend their networks.
    whole = Stored(dataset, items).images(backbone.image_size, backbone.interpolation)
    measured = measure(replace(whole, name=f"{dataset.name} {reference}"), features, batch, report, MOST_NEIGHBOURS)
    against = None if measured is None else _Reference(measured, n, opened.device, report)
    if against is not None:
        warn_of_few(metric_name(features.weights_sha256), n, against.dim, report)

    # The sets, each in as many parts as it has trials; an image comes into being when it is measured.
    def score(part: ImageSet) -> Trial | None:
        found = measure(part, features, batch, report, MOST_NEIGHBOURS)
        return None if against is None else against.compare(found)

    sets = [(prior, _drawn(opened, prior, n, trials, seed)) for prior in priors]
    sets.append((None, _redrawn(opened, dataset, items, n, trials)))
    scores = tuple(_summary(prior, n, [score(part) for part in parts]) for prior, parts in sets)

    result = None
    if against is not None:
        origin = {"translator": str(opened.path), "data": dataset.name, "reference": reference}
        plan = {"n": n, "trials": trials, "seed": seed, "seconds": time.monotonic() - started}
        result = _result(features, against, scores, **origin, **plan)
    return gather(result)[0]


class _Reference:
    """The reference's statistics and manifold, and what is compared with them; on the main rank alone.

    Args:
        n: images of the sets to come: of as many, at most, precision and recall are made on either side.
        device: where neighbours are searched.
    """

    def __init__(self, measured: Measured, n: int, device: torch.device, reporter: Reporter) -> None:
        self.statistics, self._device, self._report = measured.statistics, device, reporter
        self.n, self.dim = measured.statistics.n, len(measured.statistics.mean)
        self.n_neighbours = min(n, len(measured.features))
        self._manifold = self._manifold_of(measured)

    def compare(self, measured: Measured) -> Trial:
        """Score one set, and say what came out: the rest may take hours."""
        distance = frechet_distance(self.statistics, measured.statistics)
        name, metric = measured.statistics.source, metric_name(measured.statistics.weights_sha256)
        self._report.note(f"{name}: {metric} {distance:.4g}")
        manifold = self._manifold_of(measured)
        if manifold is None or self._manifold is None:
            return Trial(distance, None, None)
        with self._report.task(f"precision and recall of {name}", self.n_neighbours, "images") as task:
            return Trial(distance, *precision_recall(self._manifold, manifold, task.advance))

    def _manifold_of(self, measured: Measured) -> Manifold | None:
        if self.n_neighbours <= NEIGHBOURS:
            return None
        rows = measured.features[: self.n_neighbours].to(self._device)
        with self._report.task(f"neighbours in {measured.statistics.source}", self.n_neighbours, "images") as task:
            return Manifold(rows, advance=task.advance)


def _check_wishes(priors: Sequence[str], truncation: float, trials: int) -> None:
    for name in priors:
        if name not in PRIORS:
            raise UsageError(f"--prior {name}: {nearest(name, PRIORS)}")
    if not 0 < truncation <= 1:
        raise UsageError(f"--truncation {truncation:g}: give a number above 0 and at most 1, which is all of the prior")
    _check_trials(trials)


def _check_trials(trials: int) -> None:
    if trials < 1:
        raise UsageError(f"--trials {trials}: there is nothing to measure; give 1 or more")


def _reference_items(dataset: Dataset, reference: str, n: int | None) -> np.ndarray:
    """Return all items of the split in an order at random, always the same."""
    if reference not in ("all", *dataset.splits):
        raise UsageError(f"--reference {reference!r}: {dataset.name} has {', '.join(dataset.splits)}, and all")
    there = len(split_items(dataset, reference))
    if n is not None and n > there:
        raise DataError(
            f"{dataset.name} has {there:,} images in {reference}, fewer than --n {n}: reconstructions need n of them; "
            "give a smaller --n or another --reference"
        )
    return choose_items(dataset, reference, there, REFERENCE_ORDER)


def _drawn(opened: OpenTranslator, prior: Prior, n: int, trials: int, seed: int) -> list[ImageSet]:
    starts = range(seed, seed + trials * n, n)
    return _numbered([drawn(opened, prior, range(start, start + n)) for start in starts])


def _redrawn(opened: OpenTranslator, dataset: Dataset, items: np.ndarray, n: int, trials: int) -> list[ImageSet]:
    # Not of the first n, among which neighbours are searched: an original would be its own copy's.
    others = items[n : n + trials * n] if len(items) >= 2 * n else items
    starts = range(0, len(others) - n + 1, n)
    return _numbered([reconstructions(opened, Stored(dataset, others[start : start + n])) for start in starts])


def _numbered(parts: list[ImageSet]) -> list[ImageSet]:
    if len(parts) == 1:
        return parts
    return [replace(part, name=f"{part.name}, trial {number} of {len(parts)}") for number, part in enumerate(parts, 1)]


def _summary(prior: Prior | None, n: int, trials: Sequence[Trial | None]) -> SetScores:
    if prior is None:
        return SetScores(FLOOR, n, tuple(trials))
    truncation = getattr(prior, "truncation", None)
    return SetScores(prior.name, n, tuple(trials), truncation, isinstance(prior, BackbonePrior) and truncation == 1)


def _result(
    features: Features, against: _Reference, sets: tuple[SetScores, ...], **facts: str | float
) -> ProtocolResult:
    return ProtocolResult(
        metric=metric_name(features.weights_sha256),
        network=features.name,
        weights_sha256=features.weights_sha256,
        resize=features.resize,
        features=against.dim,
        n_reference=against.n,
        neighbours=NEIGHBOURS,
        n_neighbours=against.n_neighbours,
        sets=sets,
        **facts,
    )
