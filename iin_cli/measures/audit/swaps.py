"""Swap every factor between test items, and ask judges what is seen then: transfer and preservation.

Drawn images are judged by oracles, classifiers trained independently, and `color` by the colour itself; a classifier
judges by its own prediction. What judges see is divided by what they see of the same items without a swap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...data.arrays import resize
from ...editing.swap import swap_factors
from ...errors import UsageError
from ...interpretation.answers import Classes, Nothing
from ...interpretation.network import Network
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.opening import open_network
from ...latents.cache import as_images
from ...metrics.bootstrap import Interval, bootstrap
from ...metrics.judges import ColorJudge, Judge, LabelJudge
from ...plugin_api import Dataset
from ...progress import Reporter, Task
from .findings import Findings
from .material import AuditMaterial

__all__ = ["Oracle", "open_oracles", "swaps"]

ORACLE_BATCH = 100
SWAPPED = ("transfer", "preservation", "reconstruction")


@dataclass(frozen=True)
class Oracle:
    """A classifier that judges images: `column` of the dataset is what it knows, `values[i]` the label of class i."""

    network: Network
    column: str
    values: np.ndarray

    @torch.inference_mode()
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Predict the labels (B,) of images uint8 (B, S, S, 3)."""
        backbone, answer = self.network.backbone, self.network.answer
        sized = resize(images, backbone.image_size, backbone.interpolation)
        batches = (as_images(sized[start : start + ORACLE_BATCH]) for start in range(0, len(sized), ORACLE_BATCH))
        logits = [backbone.decode(backbone.encode(batch.to(self.network.device))).cpu() for batch in batches]
        return self.values[answer.of(torch.cat(logits)).argmax(1).numpy()]


def open_oracles(paths: Sequence[Path], opened: OpenTranslator, dataset: Dataset, report: Reporter) -> list[Oracle]:
    """Open classifiers that judge the translator's concepts.

    Raises CheckpointError for a damaged file, UsageError for one that classifies nothing or no column of the data.
    """
    oracles = []
    for path in paths:
        found = open_network(str(path), opened.device)
        classes = found.answer.names
        if not classes:
            raise UsageError(f"--oracle {path} is no classifier: give one that was trained on a concept's labels")
        if found.sha256 == opened.require_network().sha256:
            report.warn(f"--oracle {path} is the audited network itself, and no independent judge")
        column = _column_of(classes, dataset, opened.factors.names)
        if column is None:
            raise UsageError(
                f"--oracle {path} tells {', '.join(classes[:3])} … apart, "
                f"which are the labels of no concept of {opened.path}"
            )
        oracles.append(Oracle(found, column, _values(classes, dataset, column)))
    return oracles


def swaps(oracles: Sequence[Oracle]) -> Callable[[AuditMaterial, Findings, Task], None]:
    """Return the part of an audit that swaps, with these judges."""

    def part(material: AuditMaterial, findings: Findings, task: Task) -> None:
        answer = material.pool.network.answer
        if isinstance(answer, Nothing):
            findings.skip(SWAPPED, answer.refusal)
            return
        panel = _of_classes(material, answer) if isinstance(answer, Classes) else _of_images(material, oracles)
        for name, reason in panel.reasons.items():
            findings.skip([f"{part}.{name}" for part in SWAPPED], reason)
        if panel.judges:
            _Swapping(material, panel, findings, task).add_all()

    return part


@dataclass(frozen=True)
class _Panel:
    """The judges of the concepts that have one, and why others have none.

    Attributes:
        see: latents (B, N) -> what judges look at.
    """

    see: Callable[[Tensor], np.ndarray]
    judges: dict[str, Judge] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def _of_classes(material: AuditMaterial, answer: Classes) -> _Panel:
    """Let the classifier judge the concept whose labels it predicts, by the classes (B,) it names."""
    network, dataset = material.pool.network, material.pool.dataset
    panel = _Panel(lambda z: answer.labels(network.answers(z)))
    for concept in material.concepts:
        if _column_of(answer.names, dataset, [concept.name]) is None:
            reason = f"{network.name} predicts no {concept.name}, and without images none can judge"
            panel.reasons[concept.name] = reason
        else:
            values = _values(answer.names, dataset, concept.name)
            panel.judges[concept.name] = LabelJudge(values.__getitem__, _labels(dataset, concept.name))
    return panel


def _of_images(material: AuditMaterial, oracles: Sequence[Oracle]) -> _Panel:
    """Let oracles judge images uint8 (B, S, S, 3), and the colour itself `color`."""
    dataset, panel = material.pool.dataset, _Panel(material.pool.network.draw)
    for concept in material.concepts:
        oracle = next((oracle for oracle in oracles if oracle.column == concept.name), None)
        if oracle is not None:
            panel.judges[concept.name] = LabelJudge(oracle.predict, _labels(dataset, concept.name))
        elif concept.name == "color" and dataset.colors is not None:
            panel.judges[concept.name] = ColorJudge(dataset.colors)
        else:
            panel.reasons[concept.name] = (
                f"no judge of {concept.name} in images: give a classifier trained on its labels by --oracle"
            )
    return panel


class _Swapping:
    """Target i takes a factor of source i; every item is a target once and a source once."""

    def __init__(self, material: AuditMaterial, panel: _Panel, findings: Findings, task: Task) -> None:
        self.opened, self.panel, self.findings, self.task = material.opened, panel, findings, task
        order = np.random.default_rng(findings.seed).permutation(len(material.items))
        self.z = material.items.z[order]
        self.target = material.items.items[order]
        # A shift of a random order: no item meets itself.
        self.z_source, self.source = self.z.roll(1, 0), np.roll(self.target, 1)

    def add_all(self) -> None:
        """Swap each factor, the residual too, and let every judge speak."""
        plain, judges = self.panel.see(self.z), self.panel.judges
        # Where target and source are alike in the concept a swap shows nothing.
        informative = {name: self._informative(judge) for name, judge in judges.items()}
        unedited = {name: judge(plain, self.target, self.source) for name, judge in judges.items()}
        kept: dict[str, list[np.ndarray]] = {name: [] for name in judges}
        for factor in self.opened.factors.names:
            seen = self.panel.see(swap_factors(self.opened, self.z, self.z_source, [factor]))
            for name, judge in judges.items():
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

        return bootstrap(ratio, len(above), self.findings.resampling)


def _column_of(classes: Sequence[str], dataset: Dataset, concepts: Sequence[str]) -> str | None:
    """Return the concept whose labels in `dataset` have the names of `classes`; None if there is none."""
    for concept in concepts:
        column = dataset.column(concept)
        known = dataset.labels[column].names if column is not None else None
        if known is not None and set(known) == set(classes):
            return concept
    return None


def _labels(dataset: Dataset, concept: str) -> np.ndarray:
    return np.asarray(dataset.labels[dataset.column(concept) or concept].values)


def _values(classes: Sequence[str], dataset: Dataset, concept: str) -> np.ndarray:
    """Return the label that each class stands for, int64 (classes,)."""
    known = dataset.labels[dataset.column(concept) or concept].names or ()
    return np.array([known.index(name) for name in classes])
