"""Audit a translator: does each factor hold its concept, all of it and nothing else, and how sure is that?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...distributed import choose_device, draw_seed
from ...errors import attempt
from ...figures.plots import save_figure
from ...interpretation.opening import open_translator
from ...io.rundir import open_run, write_json
from ...progress import Reporter, Silent, Task
from .conditions import Condition, describe_names, failures, parse_conditions
from .material import Concept, Subject, distinct_items, gather, given_concepts
from .parts import Figure, Findings, correlation, informativeness, likelihood, normality, round_trip
from .swaps import open_oracles, swaps
from .tables import audit_tables, draw_matrices

__all__ = ["AuditResult", "audit", "metric_names"]

# Pairs of many small groups need more items to be found among than figures of single items.
POOL = 5
Part = Callable[[Subject, Sequence[Concept], Findings, Task], None]


@dataclass(frozen=True)
class AuditResult:
    """What the audit found.

    Attributes:
        out: the folder written: `audit.json`, `audit.png`.
        n: test items looked at.
        factors: name -> dimensions.
        figures: name -> figure with its interval, as `metric_names` describes them.
        skipped: name, or how the names begin -> why there is no such figure.
        failed: one line per condition of `--fail-if` that holds or cannot be judged.
        complete: whether the audit went through to its end.
    """

    out: str
    translator: str
    data: str
    n: int
    seed: int
    factors: dict[str, int]
    figures: dict[str, Figure] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    complete: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        figures = {name: figure.as_dict() for name, figure in self.figures.items()}
        return {**vars(self), "figures": figures, "failed": list(self.failed)}

    def tables(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return the figures as titled tables."""
        return audit_tables(tuple(self.factors), self.figures, self.skipped, self.failed)


def metric_names(translator: Path) -> dict[str, str]:
    """Return the name of every figure an audit of `translator` may give, and what it is; nothing is measured."""
    return describe_names(open_translator(translator, with_network=False).factors)


def audit(
    translator: Path,
    *,
    oracles: Sequence[Path] = (),
    concepts: Sequence[str] = (),
    fail_if: Sequence[str] = (),
    data: str | None = None,
    data_root: Path | None = None,
    split: str = "test",
    n: int = 2000,
    seed: int | None = None,
    out: Path | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> AuditResult:
    """Measure on test items how well the factors of `translator` keep what their names promise.

    Args:
        oracles: classifiers that judge the images of swaps, each trained on a concept's labels.
        concepts: `NAME[:ARGUMENT]` of concepts that the name of their factor does not say.
        fail_if: conditions on figures, `leakage.color>0.1`.
        n: items at most, and pairs of each concept.

    What cannot be measured is said in `skipped`, and what was measured is in the folder after every part. Raises
    UsageError (conditions, oracles, concepts) before the work begins, DataError, CheckpointError.
    """
    report, seed = report or Silent(), draw_seed(seed)
    factors = open_translator(translator, with_network=False).factors
    conditions = parse_conditions(fail_if, tuple(describe_names(factors)))
    given = given_concepts(concepts, factors)
    choose_device(device)
    with open_run(out, f"audit-{translator.stem}") as folder:
        pool = open_reading(
            translator,
            data=data,
            data_root=data_root,
            split=split,
            n=POOL * n,
            seed=seed,
            backbone=backbone,
            device=device,
            report=report,
        )
        judges = open_oracles(oracles, pool.opened, pool.dataset, report)
        subject = Subject(pool, distinct_items(pool, n, seed))
        work = _Audit(subject, folder, conditions, seed, report)
        work.run(gather(subject, given, seed, n, report), swaps(judges))
    return work.result(complete=True)


class _Audit:
    """The parts of one audit, one after the other, and the folder that always holds what there is."""

    def __init__(
        self, subject: Subject, folder: Path, conditions: Sequence[Condition], seed: int, report: Reporter
    ) -> None:
        self.subject, self.folder, self.conditions, self.report = subject, folder, conditions, report
        self.findings = Findings(seed)

    def run(self, concepts: Sequence[Concept], swapping: Part) -> None:
        """Run all parts; one that fails says why and stops no other."""
        parts: tuple[tuple[str, tuple[str, ...], Part], ...] = (
            ("round trip", ("round_trip_error", "no_op_agreement"), round_trip),
            ("likelihood", ("heldout_nll",), likelihood),
            ("pair correlation", ("correlation", "correlation_gap"), correlation),
            ("normality", ("gaussianity", "mean_error", "covariance_error"), normality),
            ("swaps", ("transfer", "preservation", "reconstruction"), swapping),
            ("probes", ("information", "leakage", "informativeness", "mig", "dci"), informativeness),
        )
        with self.report.task("auditing", len(parts), "parts") as task:
            for title, names, part in parts:
                task.advance(0, part=title)
                self._try(title, names, part, concepts, task)
                self._save(complete=title == parts[-1][0])
                task.advance()
            self._try("the heat map", ("audit.png",), self._draw, concepts, task)
        for name, reason in self.findings.skipped.items():
            self.report.note(f"not measured: {name}: {reason}")

    def result(self, complete: bool) -> AuditResult:
        """Return what was found so far."""
        pool = self.subject.pool
        values = {name: figure.interval.value for name, figure in self.findings.figures.items()}
        failed = failures(self.conditions, values, self.findings.skipped) if complete else ()
        return AuditResult(
            out=str(self.folder),
            translator=str(pool.opened.path),
            data=pool.dataset.name,
            n=len(self.subject.chosen),
            seed=self.findings.seed,
            factors=pool.opened.factors.dims,
            figures=dict(self.findings.figures),
            skipped=dict(self.findings.skipped),
            failed=failed,
            complete=complete,
        )

    def _try(self, title: str, names: tuple[str, ...], part: Part, concepts: Sequence[Concept], task: Task) -> None:
        why = attempt(lambda: part(self.subject, concepts, self.findings, task))
        if why is not None:
            self.findings.skip(names, why)
            self.report.warn(f"{title} failed: {why}")

    def _save(self, complete: bool) -> None:
        write_json(self.folder / "audit.json", self.result(complete).as_dict())

    def _draw(self, subject: Subject, concepts: Sequence[Concept], findings: Findings, task: Task) -> None:
        figure = draw_matrices(subject.pool.opened.factors.names, findings.figures)
        if figure is not None:
            save_figure(self.folder / "audit.png", figure)
