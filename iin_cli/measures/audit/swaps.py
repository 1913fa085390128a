"""Swap every factor between test items, and ask judges what is seen then: transfer and preservation.

Of images the judges are oracles, classifiers trained independently, and for `color` the colour itself; of a classifier
it is its own prediction. What they see is divided by what they see of the same items without a swap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...data.arrays import resize
from ...editing.swap import swap_factors
from ...errors import UsageError
from ...interpretation.network import Network
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.opening import open_network
from ...latents.cache import as_images
from ...metrics.bootstrap import Interval, bootstrap
from ...metrics.judges import ColorJudge, Judge, LabelJudge
from ...plugin_api import Dataset
from ...progress import Reporter, Task
from ...translator.factors import Factors
from .material import Concept, Subject
from .parts import Findings

__all__ = ["Oracle", "open_oracles", "swaps"]

ORACLE_BATCH = 100


@dataclass(frozen=True)
class Oracle:
    """A classifier that judges images: `column` of the dataset is what it knows, `values[i]` the label of class i."""

    opened: Network
    column: str
    values: np.ndarray

    @torch.inference_mode()
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Predict the labels (B,) of images uint8 (B, S, S, 3)."""
        backbone = self.opened.backbone
        device = next(backbone.parameters()).device
        sized = resize(images, backbone.image_size, backbone.interpolation)
        batches = (sized[start : start + ORACLE_BATCH] for start in range(0, len(sized), ORACLE_BATCH))
        found = [backbone.decode(backbone.encode(as_images(batch).to(device))).argmax(1).cpu() for batch in batches]
        return self.values[torch.cat(found).numpy()]


def open_oracles(paths: Sequence[Path], opened: OpenTranslator, dataset: Dataset, report: Reporter) -> list[Oracle]:
    """Open classifiers that judge the translator's concepts.

    Raises CheckpointError for an unfit file, UsageError for one that classifies nothing or no column of the data.
    """
    oracles = []
    for path in paths:
        found = open_network(str(path), opened.device)
        if found.backbone.classes is None:
            raise UsageError(f"--oracle {path} is no classifier: give one that was trained on a concept's labels")
        if found.sha256 == opened.network.sha256:
            report.warn(f"--oracle {path} is the audited network itself, and no independent judge")
        column = column_of(found.backbone.classes, dataset, opened.factors.names)
        if column is None:
            raise UsageError(
                f"--oracle {path} tells {', '.join(found.backbone.classes[:3])} … apart, "
                f"which are the labels of no concept of {opened.path}"
            )
        oracles.append(Oracle(found, column, _values(found.backbone.classes, dataset, column)))
    return oracles


def column_of(classes: Sequence[str], dataset: Dataset, concepts: Sequence[str]) -> str | None:
    """Return the concept whose labels in `dataset` have the names of `classes`; None if there is none."""
    for concept in concepts:
        column = next((name for name in dataset.labels if name.casefold() == concept.casefold()), None)
        labels = dataset.labels.get(column) if column is not None else None
        if labels is not None and labels.names is not None and set(labels.names) == set(classes):
            return concept
    return None


def swaps(oracles: Sequence[Oracle]) -> Callable[[Subject, Sequence[Concept], Findings, Task], None]:
    """Return the part of an audit that swaps, with these judges."""

    def part(subject: Subject, concepts: Sequence[Concept], findings: Findings, task: Task) -> None:
        judges, reasons = _judges(subject, concepts, oracles)
        for name, reason in reasons.items():
            findings.skip([f"{part}.{name}" for part in ("transfer", "preservation", "reconstruction")], reason)
        if judges:
            _Swapping(subject, judges, findings, task).add_all()

    return part


class _Swapping:
    """Target i takes a factor of source i, all items being targets once and sources once."""

    def __init__(self, subject: Subject, judges: Mapping[str, Judge], findings: Findings, task: Task) -> None:
        self.opened, self.judges, self.findings, self.task = subject.pool.opened, judges, findings, task
        order = np.random.default_rng(findings.seed).permutation(len(subject.chosen))
        self.z = subject.z[torch.from_numpy(order)]
        self.target = subject.items[order]
        # A shift of a random order: no item meets itself.
        self.z_source, self.source = self.z.roll(1, 0), np.roll(self.target, 1)

    def add_all(self) -> None:
        """Swap each factor, the residual too, and let every judge speak."""
        plain = self._seen(self.z)
        # Where target and source are alike in the concept a swap shows nothing.
        informative = {name: self._informative(judge) for name, judge in self.judges.items()}
        unedited = {name: judge(plain, self.target, self.source) for name, judge in self.judges.items()}
        kept: dict[str, list[np.ndarray]] = {name: [] for name in self.judges}
        factors: Factors = self.opened.factors
        for factor in factors.names:
            seen = self._seen(swap_factors(self.opened, self.z, self.z_source, [factor]))
            for name, judge in self.judges.items():
                if name == factor:
                    shows, strangers = judge(seen, self.source, self.target), np.roll(self.source, 1)
                    null = self._ratio(judge(seen, strangers, self.target), unedited[name], informative[name])
                    found = self._ratio(shows, unedited[name], informative[name])
                    self.findings.add(f"transfer.{name}", found, null)
                else:
                    kept[name].append(judge(seen, self.target, self.source))
                    found = self._ratio(kept[name][-1], unedited[name], informative[name])
                    self.findings.add(f"preservation.{name}.{factor}", found)
            self.task.advance(0, swapped=factor)
        for name, parts in kept.items():
            found = self._ratio(np.mean(parts, axis=0), unedited[name], informative[name])
            self.findings.add(f"preservation.{name}", found)
            alone = np.ones(len(self.target), bool)
            self.findings.add(f"reconstruction.{name}", self._ratio(unedited[name], alone, informative[name]))

    def _informative(self, judge: Judge) -> np.ndarray:
        if isinstance(judge, LabelJudge):
            return judge.labels[self.target] != judge.labels[self.source]
        return np.ones(len(self.target), bool)

    def _ratio(self, shows: np.ndarray, unedited: np.ndarray, rows: np.ndarray) -> Interval:
        above, below = shows[rows].astype(float), unedited[rows].astype(float)

        def ratio(chosen: np.ndarray) -> float:
            total = below[chosen].sum()
            return float(above[chosen].sum() / total) if total else float("nan")

        return bootstrap(ratio, len(above), self.findings.seed)

    def _seen(self, z: Tensor) -> np.ndarray:
        """Return what judges look at: images uint8 (B, S, S, 3), or of a classifier the classes predicted (B,)."""
        if self.opened.backbone.classes is not None:
            return self.opened.network.answers(z).argmax(1).numpy()
        return self.opened.network.draw(z)


def _judges(
    subject: Subject, concepts: Sequence[Concept], oracles: Sequence[Oracle]
) -> tuple[dict[str, Judge], dict[str, str]]:
    """Return the judge of every concept that has one, and why others have none."""
    backbone, dataset = subject.pool.opened.backbone, subject.pool.dataset
    judges: dict[str, Judge] = {}
    reasons = {}
    for concept in concepts:
        if backbone.classes is not None:
            if column_of(backbone.classes, dataset, [concept.name]) is None:
                reasons[concept.name] = f"{backbone.name} predicts no {concept.name}, and without images none can judge"
                continue
            values = _values(backbone.classes, dataset, concept.name)
            judges[concept.name] = LabelJudge(values.__getitem__, _labels(dataset, concept.name))
            continue
        oracle = next((oracle for oracle in oracles if oracle.column == concept.name), None)
        if oracle is not None:
            judges[concept.name] = LabelJudge(oracle.predict, _labels(dataset, concept.name))
        elif concept.name == "color" and hasattr(dataset, "colors"):
            judges[concept.name] = ColorJudge(dataset.colors)
        else:
            reasons[concept.name] = (
                f"no judge of {concept.name} in images: give a classifier trained on its labels by --oracle"
            )
    return judges, reasons


def _labels(dataset: Dataset, concept: str) -> np.ndarray:
    return np.asarray(dataset.labels[_column(dataset, concept)].values)


def _values(classes: Sequence[str], dataset: Dataset, concept: str) -> np.ndarray:
    names = dataset.labels[_column(dataset, concept)].names
    return np.array([names.index(name) for name in classes])


def _column(dataset: Dataset, concept: str) -> str:
    return next(name for name in dataset.labels if name.casefold() == concept.casefold())
