"""What every block of z̃ tells of every concept: information, leakage, DCI and the mutual-information gap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import DataError
from ...metrics.bootstrap import bootstrap
from ...metrics.informativeness import Lesson, ProbeScores, completeness, disentanglement, gap, probe
from ...progress import Task
from ...translator.factors import RESIDUAL
from .findings import Findings
from .material import AuditMaterial, Known

__all__ = ["informativeness"]

OF_A_CONCEPT = ("information", "leakage", "informativeness", "mig")
DCI = ("dci.disentanglement", "dci.completeness", "dci.informativeness")


@dataclass(frozen=True)
class _Probed:
    """A concept known of the audited items `items` (M,): scores of each block of z̃, and of all of z̃."""

    items: np.ndarray
    blocks: list[ProbeScores]
    whole: ProbeScores

    def rows(self, count: int) -> np.ndarray:
        """Return the row of each of `count` audited items in the scores, −1 where the concept is not known of it."""
        rows = np.full(count, -1)
        rows[self.items] = np.arange(len(self.items))
        return rows


def informativeness(material: AuditMaterial, findings: Findings, task: Task) -> None:
    """Probe every block, and all of z̃, for every concept that is known."""
    probed = {}
    for concept in material.concepts:
        if concept.known is None:
            findings.skip([f"{part}.{concept.name}" for part in OF_A_CONCEPT], concept.reasons["known"])
        else:
            probed[concept.name] = _probe(material, concept.name, concept.known, findings, task)
    if probed:
        _add_dci(findings, probed, len(material.items))
    else:
        findings.skip(DCI, "no concept is known")


def _probe(material: AuditMaterial, concept: str, known: Known, findings: Findings, task: Task) -> _Probed:
    factors, z_tilde, count = material.opened.factors, known.z_tilde.numpy(), len(known.items)
    resampling, blocks = findings.resampling, []
    shuffled = known.target.shuffled(findings.seed)
    for name in factors.names:
        where = factors.slice(name)
        blocks.append(probe(z_tilde[:, where], known.target, resampling, _lesson(known, where)))
        null = probe(z_tilde[:, where], shuffled, resampling, _lesson(known, where, findings.seed))
        findings.add(
            _name(concept, name),
            bootstrap(blocks[-1].information, count, resampling),
            bootstrap(null.information, count, resampling),
        )
        task.advance(0, concept=concept, block=name)
    whole = probe(z_tilde, known.target, resampling, _lesson(known, slice(None)))
    findings.add(f"informativeness.{concept}", bootstrap(whole.score, count, resampling))

    def beyond_second(chosen: np.ndarray) -> float:
        return gap(np.array([block.information(chosen) for block in blocks]))

    findings.add(f"mig.{concept}", bootstrap(beyond_second, count, resampling))
    return _Probed(known.items, blocks, whole)


def _lesson(known: Known, where: slice, shuffled: int | None = None) -> Lesson | None:
    """Return what a probe of the block `where` learns from, its values shuffled by that seed where one is given."""
    if known.taught is None:
        return None
    target = known.taught.target if shuffled is None else known.taught.target.shuffled(shuffled)
    return Lesson(known.taught.z_tilde.numpy()[:, where], target)


def _name(concept: str, block: str) -> str:
    if block == concept:
        return f"information.{concept}"
    return f"leakage.{concept}" if block == RESIDUAL else f"leakage.{concept}.{block}"


def _add_dci(findings: Findings, probed: Mapping[str, _Probed], count: int) -> None:
    """Add DCI of R (blocks, concepts), the information of each block on each concept, resampling items."""
    # A concept may be known of some of the items only.
    rows = [(each, each.rows(count)) for each in probed.values()]

    def importance(chosen: np.ndarray) -> np.ndarray:
        there = [(each, row[chosen][row[chosen] >= 0]) for each, row in rows]
        return np.array([[block.information(items) for block in each.blocks] for each, items in there]).T

    def whole(chosen: np.ndarray) -> float:
        return float(np.mean([each.whole.score(row[chosen][row[chosen] >= 0]) for each, row in rows]))

    figures: tuple[Callable[[np.ndarray], float], ...] = (
        lambda chosen: disentanglement(importance(chosen)),
        lambda chosen: completeness(importance(chosen)),
        whole,
    )
    for name, statistic in zip(DCI, figures, strict=True):
        if name == DCI[0] and len(probed) < 2:
            findings.skip([name], f"{next(iter(probed))} is the only known concept; disentanglement compares two")
            continue
        try:
            findings.add(name, bootstrap(statistic, count, findings.resampling))
        except DataError as error:
            findings.skip([name], f"{error}: no block tells of any concept")
