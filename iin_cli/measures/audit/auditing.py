"""Audit a translator: does each factor hold its concept, all of it and nothing else, and how sure is that?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...errors import UsageError, attempt
from ...interpretation.performance import Performance, performance_of
from ...interpretation.reading import Reading
from ...metrics.bootstrap import Resampling
from ...plugin_api import ConceptProvider, Dataset
from ...progress import Reporter, Silent, Task
from ...results import Result, Table
from ...translator.factors import Factors
from .conditions import Condition, failures
from .findings import Figure, Findings
from .gathering import gather
from .material import AuditMaterial
from .parts import correlation, likelihood, normality, round_trip
from .probes import informativeness
from .swaps import Oracle, swaps
from .tables import audit_tables, draw_matrices
from .verdicts import FactorVerdict, judge_factors

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Plot

__all__ = ["USABLE", "AuditResult", "audit", "items_to_read"]

USABLE = "is each factor usable, and what for?"
# Pairs of many small groups need more items to be found among than figures of single items; a label of few values,
# of which at least so many items each are audited, makes pairs of nearly any two.
POOL, POOL_OF_FEW, ITEMS_EACH = 5, 2, 10


@dataclass(frozen=True)
class AuditResult(Result):
    """What the audit found.

    Attributes:
        out: the folder written: `audit.json`, `audit.png`; empty where nothing was.
        n: items looked at.
        factors: name -> dimensions.
        verdicts: of each factor, in words: what it is usable for, and why not.
        training: training items that probes learned from; 0 where they learned from the audited items in turn.
        figures: name -> figure with its interval, as `describe_names` describes them.
        skipped: name, or how the names begin -> why there is no such figure.
        failed: one line per condition that holds or cannot be judged.
        complete: whether the audit went through to its end.
        performance: how well the network does on the items.
    """

    out: str
    translator: str
    data: str
    n: int
    seed: int
    factors: dict[str, int]
    verdicts: tuple[FactorVerdict, ...] = ()
    training: int = 0
    figures: dict[str, Figure] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    complete: bool = False
    performance: Performance | None = None

    def tables(self) -> list[Table]:
        """Return how well the network does, whether factors are usable, then the figures, as titled tables."""
        first = [self.performance.table()] if self.performance is not None else []
        verdicts = [(USABLE, [verdict.as_row() for verdict in self.verdicts])] if self.verdicts else []
        return [*first, *verdicts, *audit_tables(tuple(self.factors), self.figures, self.skipped, self.failed)]

    def plot(self) -> Plot:
        """Draw the matrices of concepts and factors as heat maps; UsageError where none was measured."""
        figure = draw_matrices(tuple(self.factors), self.figures)
        if figure is None:
            raise UsageError("the audit measured no matrix of concepts and factors: read its tables()")
        return figure

    def failures(self, conditions: Sequence[Condition]) -> tuple[str, ...]:
        """Return one line per condition that holds, or whose figure was not measured."""
        values = {name: figure.interval.value for name, figure in self.figures.items()}
        return failures(conditions, values, self.skipped)


@dataclass(frozen=True)
class _Part:
    """A part of an audit, and how the names of its figures begin."""

    title: str
    names: tuple[str, ...]
    measure: Callable[[AuditMaterial, Findings, Task], None]


def audit(
    pool: Reading,
    n: int = 2000,
    *,
    training: Reading | None = None,
    oracles: Sequence[Oracle] = (),
    given: Mapping[str, ConceptProvider] | None = None,
    resampling: Resampling | None = None,
    report: Reporter | None = None,
    save: Callable[[AuditResult], None] | None = None,
) -> AuditResult:
    """Measure on items that are read already how well the factors keep what their names promise.

    Args:
        pool: what was read; `items_to_read` says how many give pairs enough.
        n: items looked at, and pairs of each concept, at most.
        training: items from which probes learn, except those audited; None lets them learn from the audited ones, in
            turn.
        oracles: classifiers that judge the images of swaps.
        given: factor -> concept, where the factor's name does not say it.
        save: called with what there is after every part.

    A part that fails says why in `skipped` and stops no other.
    """
    report, findings = report or Silent(), Findings(resampling or Resampling())
    performance = performance_of(pool, findings.seed, report)
    material = gather(pool, training, given or {}, n, findings.seed, report)
    parts = _parts(oracles)
    with report.task("auditing", len(parts), "parts") as task:
        for number, part in enumerate(parts, 1):
            task.advance(0, part=part.title)
            why = attempt(lambda part=part: part.measure(material, findings, task))
            if why is not None:
                findings.skip(part.names, why)
                report.warn(f"{part.title} failed: {why}")
            if save is not None:
                save(_result(material, findings, performance, complete=number == len(parts)))
            task.advance()
    for name, reason in findings.skipped.items():
        report.note(f"not measured: {name}: {reason}")
    return _result(material, findings, performance, complete=True)


def items_to_read(factors: Factors, dataset: Dataset, n: int) -> int:
    """Return how many items an audit of `n` reads, so that it finds about as many pairs of every concept."""
    columns = [dataset.column(factor.name) for factor in factors if factor.relation == "share"]
    labels = [dataset.labels[column] for column in columns if column is not None]
    is_easy = len(labels) == len(columns) and all(
        not each.continuous and ITEMS_EACH * len(np.unique(each.values)) <= n for each in labels
    )
    return (POOL_OF_FEW if is_easy else POOL) * n


def _parts(oracles: Sequence[Oracle]) -> tuple[_Part, ...]:
    return (
        _Part("round trip", ("round_trip_error", "no_op_agreement"), round_trip),
        _Part("likelihood", ("heldout_nll",), likelihood),
        _Part("pair correlation", ("correlation", "correlation_gap"), correlation),
        _Part("normality", ("gaussianity", "mean_error", "covariance_error"), normality),
        _Part("swaps", ("transfer", "preservation", "reconstruction"), swaps(oracles)),
        _Part("probes", ("information", "leakage", "informativeness", "mig", "dci"), informativeness),
    )


def _result(material: AuditMaterial, findings: Findings, performance: Performance, complete: bool) -> AuditResult:
    return AuditResult(
        out="",
        translator=material.opened.called,
        data=material.pool.dataset.name,
        n=len(material.items),
        seed=findings.seed,
        factors=material.opened.factors.dims,
        verdicts=judge_factors(material.opened.factors, findings.figures),
        training=max(
            (len(each.known.taught.z_tilde) for each in material.concepts if each.known and each.known.taught),
            default=0,
        ),
        figures=dict(findings.figures),
        skipped=dict(findings.skipped),
        complete=complete,
        performance=performance,
    )
