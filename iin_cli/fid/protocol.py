"""How good a translator is as a generative model: the distance of its images, between floor and ceiling (Table 2).

One reference, a split of the data, is compared with what each prior draws, in trials over disjoint seeds, and with the
backbone's reconstructions of the reference itself. No prior can be expected to do better than these (the floor), and
the backbone's own prior N(0, 1) is what the translator has to improve on (the ceiling).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ..distributed import gather
from ..editing.priors import BackbonePrior, Prior
from ..errors import DataError, UsageError
from ..interpretation.data_choice import choose_items, split_items
from ..interpretation.network import Network
from ..interpretation.open_translator import OpenTranslator
from ..metrics.bootstrap import Resampling
from ..metrics.fid import frechet_distance
from ..metrics.precision_recall import NEIGHBOURS, Manifold, precision_recall
from ..plugin_api import Dataset
from ..progress import Reporter, Silent
from .comparison import MOST_COMPARED, ReferenceFeatures
from .feature_networks import Features
from .image_sets import ImageSet, Stored, drawn, reconstructions
from .scores import FLOOR, ProtocolResult, SetScores, Trial
from .set_statistics import MeasuredSet, measure, metric_name, warn_of_few

__all__ = ["fid_protocol"]

MOST_SAMPLES = 10_000
# Seed of the order in which the reference is read: its first images are a random choice, always the same one.
REFERENCE_ORDER = 0


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
    report: Reporter | None = None,
) -> ProtocolResult:
    """Compare what each prior draws, and reconstructions, with the whole split `reference` of `dataset`.

    Args:
        opened: the translator whose network draws every image.
        priors: maps of noise. Statistics are kept for later runs if the prior is the translator's or the backbone's,
            or has an attribute `fingerprint`, a text that changes whenever the prior does.
        features: the feature network.
        reference: train, test or all.
        n: images of a prior in a trial; default: as many as the reference has, at most 10,000. A trial of
            reconstructions takes n reference images that no other trial takes, for as many trials as there are images.
            Their originals are not among the images that precision and recall compare with, unless there are fewer
            than 2 n.
        trials: trial t draws the seeds `seed` + t·n … `seed` + (t + 1)·n − 1.
        batch: images per forward pass of the feature network.

    Under torchrun every rank calls it, computes its part of every set, and gets the result.
    Raises DataError when the reference has fewer than n images or one cannot be read, UsageError for an unknown split,
    fewer trials than one, a classifier, or a translator without a network.
    """
    started, report = time.monotonic(), report or Silent()
    network = opened.require_network().require_images()
    if trials < 1:
        raise UsageError(f"--trials {trials}: there is nothing to measure; give 1 or more")
    items = _reference_items(dataset, reference, n)
    n = n or min(len(items), MOST_SAMPLES)

    # The reference: kept on the main rank; the other ranks only compute features for it.
    whole = Stored(dataset, items).images_for(network)
    measured = measure(replace(whole, name=f"{dataset.name} {reference}"), features, batch, report, MOST_COMPARED)
    against = None if measured is None else _Reference(measured, n, opened.device, report)
    if against is not None:
        warn_of_few(metric_name(features.weights_sha256), n, against.dim, report)

    # The sets, each in as many parts as it has trials. An image is drawn when it is measured, and not kept.
    def score(parts: Sequence[ImageSet]) -> list[Trial]:
        found = (measure(part, features, batch, report, MOST_COMPARED) for part in parts)
        return [against.compare(part) for part in found if part is not None and against is not None]

    scores = [_summary(prior, n, score(_drawn(opened, prior, n, trials, seed))) for prior in priors]
    scores.append(SetScores(FLOOR, n, tuple(score(_redrawn(network, dataset, items, n, trials)))))

    result = None
    if against is not None:
        result = ProtocolResult(
            metric=metric_name(features.weights_sha256),
            network=features.name,
            weights_sha256=features.weights_sha256,
            resize=features.resize,
            features=against.dim,
            translator=str(opened.path),
            data=dataset.name,
            reference=reference,
            n_reference=len(items),
            n=n,
            trials=trials,
            neighbours=NEIGHBOURS,
            n_neighbours=against.n_neighbours,
            seed=seed,
            seconds=time.monotonic() - started,
            sets=tuple(scores),
        )
    return gather(result)[0]


class _Reference:
    """The reference's statistics and manifold, and what is compared with them; on the main rank alone.

    Args:
        n: images of the sets to come; all but the Fréchet distance use at most as many of either side.
        device: where neighbours are searched.
    """

    def __init__(self, measured: MeasuredSet, n: int, device: torch.device, report: Reporter) -> None:
        self.statistics, self._device, self._report = measured.statistics, device, report
        self.dim = len(measured.statistics.mean)
        self.n_neighbours = min(n, len(measured.features))
        self._manifold = self._manifold_of(measured)
        rows = measured.features[: self.n_neighbours]
        self._features = ReferenceFeatures(rows, measured.statistics.source, device, report)

    def compare(self, measured: MeasuredSet) -> Trial:
        """Score one set and report the figure at once: the other sets may take hours."""
        distance = frechet_distance(self.statistics, measured.statistics)
        name, metric = measured.statistics.source, metric_name(measured.statistics.weights_sha256)
        self._report.note(f"{name}: {metric} {distance:.4g}")
        found = self._features.compare(measured.features[: self.n_neighbours], name, Resampling(1))
        density, coverage = (None if share is None else share.value for share in (found.density, found.coverage))
        precision, recall, manifold = None, None, self._manifold_of(measured)
        if manifold is not None and self._manifold is not None:
            with self._report.task(f"precision and recall of {name}", self.n_neighbours, "images") as task:
                precision, recall = precision_recall(self._manifold, manifold, task.advance)
        return Trial(distance, precision, recall, found.kernel, density, coverage)

    def _manifold_of(self, measured: MeasuredSet) -> Manifold | None:
        if self.n_neighbours <= NEIGHBOURS:
            return None
        rows = measured.features[: self.n_neighbours].to(self._device)
        with self._report.task(f"neighbours in {measured.statistics.source}", self.n_neighbours, "images") as task:
            return Manifold(rows, advance=task.advance)


def _reference_items(dataset: Dataset, reference: str, n: int | None) -> np.ndarray:
    """Return all items of the split in random order, which is always the same."""
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


def _redrawn(network: Network, dataset: Dataset, items: np.ndarray, n: int, trials: int) -> list[ImageSet]:
    # The first n are left out: neighbours are searched among them, and an original would be its own copy's neighbour.
    others = items[n : n + trials * n] if len(items) >= 2 * n else items
    starts = range(0, len(others) - n + 1, n)
    return _numbered([reconstructions(network, Stored(dataset, others[start : start + n])) for start in starts])


def _numbered(parts: list[ImageSet]) -> list[ImageSet]:
    if len(parts) == 1:
        return parts
    return [replace(part, name=f"{part.name}, trial {number} of {len(parts)}") for number, part in enumerate(parts, 1)]


def _summary(prior: Prior, n: int, trials: Sequence[Trial]) -> SetScores:
    truncation = getattr(prior, "truncation", None)
    return SetScores(prior.name, n, tuple(trials), truncation, isinstance(prior, BackbonePrior) and truncation == 1)
