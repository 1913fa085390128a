"""`iin audit`: open → read → audit → write after every part, and judge by the user's conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...distributed import choose_device
from ...editing.described import described_factors
from ...errors import attempt
from ...figures.saving import save_figure
from ...interpretation.data_choice import DataChoice
from ...interpretation.factor_concepts import given_concepts
from ...interpretation.opening import open_translator
from ...interpretation.reading import ChosenData
from ...io.output import Figures, require_folder
from ...io.rundir import open_run, write_result
from ...measures.audit import auditing
from ...measures.audit.auditing import AuditResult, items_to_read
from ...measures.audit.conditions import describe_names, parse_conditions
from ...measures.audit.gathering import FEWEST_LESSONS, LESSONS
from ...measures.audit.swaps import open_oracles
from ...measures.audit.tables import draw_matrices
from ...metrics.bootstrap import Resampling
from ...progress import Reporter, Silent

__all__ = ["audit", "metric_names"]

ITEMS = 2000


def metric_names(translator: Path) -> dict[str, str]:
    """Return the name of every figure an audit of `translator` may give, and what it is; nothing is measured."""
    return describe_names(described_factors(translator))


def audit(
    translator: Path,
    choice: DataChoice,
    *,
    oracles: Sequence[Path] = (),
    concepts: Sequence[str] = (),
    fail_if: Sequence[str] = (),
    out: Path | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    resampling: Resampling | None = None,
    figures: Figures | None = None,
    report: Reporter | None = None,
) -> AuditResult:
    """Measure on test items how well the factors of `translator` keep what their names promise.

    Args:
        choice: which data; `n` items at most, and pairs of each concept.
        oracles: classifiers that judge the images of swaps, each trained on a concept's labels.
        concepts: `NAME[:ARGUMENT]` of concepts that the name of their factor does not say.
        fail_if: conditions on figures, `leakage.color>0.1`.

    `skipped` says what could not be measured, and the folder holds what was measured after every part. Raises
    UsageError (conditions, oracles, concepts) before the work begins, DataError, CheckpointError.
    """
    require_folder(out, "figures and audit.json")
    report, n = report or Silent(), choice.n or ITEMS
    opened = open_translator(translator, choose_device(device), backbone, report=report)
    conditions = parse_conditions(fail_if, tuple(describe_names(opened.factors)))
    given = given_concepts(concepts, opened.factors)
    data = ChosenData(opened, choice, report)

    def work() -> AuditResult:
        with open_run(out, f"audit-{translator.stem}") as folder:
            data.say_part(n)
            judges = open_oracles(oracles, opened, data.dataset, report)

            def judged(found: AuditResult) -> AuditResult:
                return replace(found, out=str(folder), failed=found.failures(conditions) if found.complete else ())

            result = judged(
                auditing.audit(
                    data.read(items_to_read(opened.factors, data.dataset, n)),
                    n,
                    training=data.read_training(max(LESSONS * n, FEWEST_LESSONS)),
                    oracles=judges,
                    given=given,
                    resampling=replace(resampling or Resampling(), seed=choice.seed),
                    report=report,
                    save=lambda found: write_result(folder / "audit.json", judged(found).as_dict()),
                )
            )
            how = figures or Figures()
            why = attempt(lambda: _draw(result, folder / f"audit{how.ending}", how.dpi))
            if why is not None:
                report.warn(f"the heat map failed: {why}")
                result = replace(result, skipped={**result.skipped, f"audit{how.ending}": why})
        return result

    return data.lead(work)


def _draw(result: AuditResult, file: Path, dpi: int | None) -> None:
    """Draw the heat map, if the audit measured any matrix."""
    figure = draw_matrices(tuple(result.factors), result.figures)
    if figure is not None:
        save_figure(file, figure, dpi)
