"""How well a network does on the data it is read with: accuracy and calibration, or the error of what it draws.

A rate of flipped predictions means little where the predictions are wrong to begin with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import DataError, IinError, UsageError
from ..latents.cache import as_images
from ..metrics.bootstrap import Interval, Resampling, mean_interval
from ..metrics.calibration import calibration_interval
from ..metrics.response import pixel_change
from ..plugin_api import Dataset, Labels
from ..progress import Reporter, Silent
from ..results import Table
from .answers import Answer, Classes, Images
from .network import Network
from .reading import Reading

__all__ = ["TITLE", "Match", "Performance", "match_classes", "measure_performance", "performance_of"]

# As many images tell an accuracy within some two per cent; drawn images cost more.
MOST, MOST_DRAWN = 2000, 200
TITLE = "the network on these images"


@dataclass(frozen=True)
class Match:
    """Which class of the network each label of a column is.

    Attributes:
        column: of the data.
        way: `name` or `number`.
        classes: of each label, the number of its class; −1 where the network has none of that name.
    """

    column: str
    way: str
    classes: np.ndarray

    @property
    def labels(self) -> int:
        """How many labels are classes of the network."""
        return int((self.classes >= 0).sum())


@dataclass(frozen=True)
class Performance:
    """How well a network does on some images.

    Attributes:
        images: how many were judged.
        figures: `accuracy`, `calibration_error` (expected, 15 bins), `confidence` (mean probability of the predicted
            class) and `most_frequent` (the accuracy of naming the most frequent class always); of a network that draws
            `reconstruction_error` and `mean_image_error`, what drawing their mean image always would give (mean
            absolute error of a pixel, in units of full brightness).
        judged_by: what the answers are compared with.
        unknown: why nothing could be measured; empty where it was.
        split: of the data, that the images are of; empty for several. A network does better on those it was trained on.
    """

    images: int
    figures: dict[str, Interval] = field(default_factory=dict)
    judged_by: str = ""
    unknown: str = ""
    split: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the performance as JSON values."""
        return {
            "images": self.images,
            **{name: each.as_dict() for name, each in self.figures.items()},
            "split": self.split or None,
            "judged_by": self.judged_by or None,
            "unknown": self.unknown or None,
        }

    def __str__(self) -> str:
        """Say it in one line."""
        if self.unknown:
            return f"how well the network does on these images is not known: {self.unknown}"
        shown = {name: f"{each:.3g}" for name, each in self.figures.items()}
        images = f"{self.images} images{f' of {self.split}' if self.split else ''}"
        if "accuracy" in shown:
            return (
                f"the network is right on {shown['accuracy']} of {images} ({self.judged_by}; the most "
                f"frequent class: {self.figures['most_frequent'].value:.3g}), calibration error "
                f"{shown['calibration_error']}"
            )
        return (
            f"the network draws {images} again with an error of {shown['reconstruction_error']} a pixel "
            f"(their mean image: {self.figures['mean_image_error'].value:.3g})"
        )

    def table(self) -> Table:
        """Return it as a titled table of one row."""
        row: dict[str, Any] = {name: f"{each:.3g}" for name, each in self.figures.items()}
        judged = {"images": self.images, "split": self.split or "-", "judged by": self.judged_by}
        row |= {"not known": self.unknown} if self.unknown else judged
        return TITLE, [row]


def performance_of(reading: Reading, seed: int = 0, report: Reporter | None = None) -> Performance:
    """Measure how well the network does on the items of `reading`, at most 2,000 of them, and tell `report`."""
    return measure_performance(reading.network, reading.dataset, reading.items, reading.z, seed, report)


def measure_performance(
    network: Network, dataset: Dataset, items: np.ndarray, z: Tensor, seed: int = 0, report: Reporter | None = None
) -> Performance:
    """Measure how well `network` does on `items` (M,) of `dataset`, whose latents are z (M, N), and tell `report`.

    What cannot be measured says why; nothing is raised for it.
    """
    try:
        found = replace(_measured(network, dataset, items, z, seed), split=_split_of(dataset, items))
    except IinError as error:
        found = Performance(0, unknown=str(error))
    (report or Silent()).note(str(found))
    return found


def match_classes(dataset: Dataset, answer: Answer) -> Match:
    """Match the labels of `dataset` with the classes of `answer`, by name or else by number.

    The column `class` comes first. Names are compared without case, spaces and punctuation; where a class has several
    names, separated by commas, any will do. Numbers count only where names say nothing: there are as many labels as
    classes, and the labels or the classes are numbered. Raises DataError where no column fits.
    """
    columns = sorted((name for name, each in dataset.labels.items() if not each.continuous), key=lambda n: n != "class")
    if not columns:
        raise DataError(f"{dataset.name} has no labels")
    matches = [match for name in columns if (match := _by_name(name, dataset.labels[name], answer.names)) is not None]
    if matches:
        return max(matches, key=lambda match: match.labels)
    for name in columns:
        if _is_numbered(dataset.labels[name], answer.names):
            return Match(name, "number", np.arange(len(answer.names)))
    raise DataError(
        f"none of the labels of {dataset.name} ({', '.join(columns)}) are called as its {len(answer.names)} classes are"
    )


def _measured(network: Network, dataset: Dataset, items: np.ndarray, z: Tensor, seed: int) -> Performance:
    answer, rows = network.answer, np.random.default_rng(seed).permutation(len(items))
    if isinstance(answer, Images):
        rows = np.sort(rows[:MOST_DRAWN])
        return _of_images(network, dataset, items[rows], z[rows], seed)
    if not isinstance(answer, Classes):
        raise UsageError(f"{network.name} has no head, and answers nothing")
    match = match_classes(dataset, answer)
    wanted = match.classes[np.asarray(dataset.labels[match.column].values)[items]]
    rows = np.sort(rows[wanted[rows] >= 0][:MOST])
    if not len(rows):
        raise DataError(f"no image has a label of {match.column} that is one of its classes")
    return _of_classes(network.answers(z[rows]), wanted[rows], match, seed)


def _of_classes(answers: Tensor, wanted: np.ndarray, match: Match, seed: int) -> Performance:
    confidence, predicted = (each.numpy() for each in answers.double().exp().max(1))
    right, resampling = predicted == wanted, Resampling(seed=seed)
    figures = {
        "accuracy": mean_interval(right, resampling),
        "calibration_error": calibration_interval(confidence.clip(0, 1), right, resampling),
        "confidence": mean_interval(confidence, resampling),
        "most_frequent": mean_interval(wanted == np.bincount(wanted).argmax(), resampling),
    }
    few = f", {match.labels} of {len(match.classes)} labels" if match.labels < len(match.classes) else ""
    return Performance(len(wanted), figures, f"label {match.column}, matched by {match.way}{few}")


def _of_images(network: Network, dataset: Dataset, items: np.ndarray, z: Tensor, seed: int) -> Performance:
    backbone, resampling = network.backbone, Resampling(seed=seed)
    images = as_images(dataset.images(items, backbone.image_size, backbone.interpolation))
    drawn = network.answers(z)
    if drawn.shape != images.shape:
        raise DataError(f"{network.name} draws {tuple(drawn.shape[1:])}, and reads {tuple(images.shape[1:])}")
    mean = images.mean(0, keepdim=True).expand_as(images)
    figures = {
        "reconstruction_error": mean_interval(pixel_change(images, drawn), resampling),
        "mean_image_error": mean_interval(pixel_change(images, mean), resampling),
    }
    return Performance(len(items), figures, "the images themselves")


def _split_of(dataset: Dataset, items: np.ndarray) -> str:
    """Return the only split that holds all items; empty for several, or where any split holds them."""
    holding = [name for name, own in dataset.splits.items() if np.isin(items, own).all()]
    return holding[0] if len(holding) == 1 else ""


def _by_name(column: str, labels: Labels, classes: tuple[str, ...]) -> Match | None:
    known: dict[str, int] = {}
    for number, name in enumerate(classes):
        for synonym in (name, *name.split(",")):
            known.setdefault(_plain(synonym), number)
    if labels.names is None:
        return None
    found = np.array([known.get(_plain(name), -1) for name in labels.names], np.int64)
    return Match(column, "name", found) if (found >= 0).any() else None


def _is_numbered(labels: Labels, classes: tuple[str, ...]) -> bool:
    """Say whether label v can only be class v: as many of both, and one side without names."""
    names = labels.names or tuple(map(str, range(int(labels.values.max()) + 1)))
    return len(names) == len(classes) and any(
        all(re.fullmatch(r"\d+", name) for name in each) for each in (names, classes)
    )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
