"""What is left of erased concepts in latents: how well probes tell them before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from ...errors import DataError
from ...interpretation.reading import Reading
from ...metrics.informativeness import Lesson
from ...metrics.telling import told
from ...plugin_api import ConceptProvider
from ...progress import Reporter
from .gathering import gather
from .material import AuditedConcept

__all__ = ["Remains", "remains"]

# Training items that the probes learn from at most: a probe of few tells less than there is.
LESSONS = 4000


@dataclass(frozen=True)
class Remains:
    """How well a linear probe and a small network tell a concept from z, before and after it was erased.

    Attributes:
        unit: `accuracy` of labels, or `R²` of measurements.
        items, learned: how many were asked about, and learned from; 0 where a third of the items is asked about, and
            the others are learned from.
        chance: what is told without z.
    """

    concept: str
    unit: str
    items: int
    learned: int
    chance: float
    linear_before: float
    linear_after: float
    network_before: float
    network_after: float

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return asdict(self)

    def as_row(self) -> dict[str, Any]:
        """Return the figures as a row of a table."""
        return {
            "concept": self.concept,
            "told as": self.unit,
            "images": self.items,
            "chance": self.chance,
            "linear, before": self.linear_before,
            "after": self.linear_after,
            "small network, before": self.network_before,
            "after ": self.network_after,
        }


def remains(
    pool: Reading,
    training: Reading | None,
    erased: Callable[[Tensor], Tensor],
    names: Sequence[str],
    given: Mapping[str, ConceptProvider],
    seed: int,
    report: Reporter,
) -> tuple[list[Remains], dict[str, str]]:
    """Probe z and `erased(z)` for the concepts `names`; also returns why a concept could not be probed.

    A probe finds whatever goes with the concept, too, where the items are biased: erasing leaves that.

    Args:
        pool: items asked about.
        training: items that probes learn from; None lets them learn from some of `pool`, and asks about the others.
        erased: z (M, N) -> z without the concepts.
        given: concepts that are not to be guessed from their factors' names.
    """
    material = gather(pool, training, given, len(pool), seed, report, names=names, lessons=LESSONS)
    found: list[Remains] = []
    reasons: dict[str, str] = {}
    with report.task("telling what is left", len(material.concepts), "concepts") as task:
        for concept in material.concepts:
            try:
                found.append(_probed(concept, pool, erased, seed))
            except DataError as error:
                reasons[concept.name] = str(error)
            task.advance()
    return found, reasons


def _probed(concept: AuditedConcept, pool: Reading, erased: Callable[[Tensor], Tensor], seed: int) -> Remains:
    known = concept.known
    if known is None:
        raise DataError(concept.reasons["known"])
    taught = known.taught
    z = pool.opened.inverse_transform(known.z_tilde)
    learned = None if taught is None else pool.opened.inverse_transform(taught.z_tilde)
    before, after = (
        told(
            change(z).numpy(),
            known.target,
            None if taught is None or learned is None else Lesson(change(learned).numpy(), taught.target),
            seed,
        )
        for change in (lambda rows: rows, erased)
    )
    return Remains(
        concept.name,
        "R²" if known.target.continuous else "accuracy",
        len(z),
        0 if learned is None else len(learned),
        before.chance,
        before.linear,
        after.linear,
        before.network,
        after.network,
    )
