"""What a report measures on test images: the responses to each factor, and the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..figures.saving import save_figure
from ..interpretation.performance import TITLE
from ..measures.audit.auditing import USABLE, AuditResult, audit
from ..measures.audit.tables import draw_matrices
from ..measures.responses.measure import measure_responses
from ..measures.responses.results import VERDICTS
from ..measures.responses.walks import WalkDesign
from ..metrics.bootstrap import Resampling
from ..results import Table as ResultTable
from .page import Block, Fault, Pictures, Table, Text, picture_of
from .subject import ReportSubject
from .words import AUDIT_PARTS, of_audit_figures, of_lessons, of_responses

__all__ = ["audited", "responses"]

# Matrix of the audit -> its caption.
MATRICES = {
    "correlation": "Correlation in pairs of a concept, by factor",
    "swap": "What becomes of a concept when a factor is swapped",
    "information": "Information of a factor on a concept",
}


def responses(subject: ReportSubject) -> list[Block]:
    """Measure how much the answer owes to every factor, beside random subspaces of its size."""
    count, file = subject.walked, subject.file("respond")
    result = measure_responses(subject.read(count), WalkDesign(seed=subject.seed), subject.report)
    for each in result.factors:
        effect = each.reality.effect if each.reality is not None else None
        found: dict[str, str | None] = {
            next(iter(each.overall)): f"{each.main.factor:.2g}",
            "by_chance": f"{each.main.control:.2g}",
        }
        if effect is not None:
            found["really_edited"] = f"{effect.edited:.2g}"
            found["of_it_reproduced"] = f"{effect.share:.2g}" if effect.share is not None else None
        subject.note(each.name, **found, verdict_on_the_answer=each.verdict.headline)
    save_figure(file, result.plot(), subject.figures.dpi)
    figure = picture_of(
        file,
        f"Violin plots, one row per factor ({', '.join(each.name for each in result.factors)}): the factor's walks "
        "beside those of a random subspace. The tables give the figures.",
        "Distributions along the walks: the factor beside random subspaces of its size.",
        plot=True,
        dpi=subject.figures.dpi,
    )
    failed = [Fault(name, why) for name, why in result.failed.items()]
    again = subject.again(lambda lines: [lines.command("respond", "--n", count, out="respond")])
    opening = [Text(of_responses(result, subject.network.answer.noun)), Text(f"{_capital(str(result.performance))}.")]
    verdicts = [Text(f"{each.name}: {each.verdict}.") for each in result.factors]
    # The page begins with the one, and says the other in whole sentences.
    tables = _tables([each for each in result.tables() if each[0] not in (TITLE, VERDICTS)])
    return [*opening, *verdicts, figure, *tables, *failed, *again]


def audited(subject: ReportSubject) -> list[Block]:
    """Ask whether every factor holds its concept, all of it and nothing else."""
    resampling = replace(subject.effort.resampling or Resampling(), seed=subject.seed)
    result = audit(
        subject.read(subject.pool),
        subject.n,
        training=subject.training,
        resampling=resampling,
        report=subject.report,
    )
    subject.verdicts = result.verdicts
    for name in subject.concepts:
        known, left = (result.figures.get(f"{key}.{name}") for key in ("information", "leakage"))
        subject.note(
            name,
            known_from_it=f"{known.interval:.2g}" if known is not None else None,
            known_from_the_residual=f"{left.interval:.2g}" if left is not None else None,
        )
    learned = of_lessons(result.training)
    blocks: list[Block] = [
        Text(f"Measured on {result.n} images of {result.data}; in brackets the 95 % interval over images. {learned}"),
        *_matrices(subject, result),
    ]
    for title, rows in result.tables():
        # Both stand at the head of the page.
        if title in (USABLE, TITLE):
            continue
        said = AUDIT_PARTS.get(title)
        table = Table(_capital(title), of_audit_figures(subject.opened.factors, rows) if title == "figures" else rows)
        blocks += [table, Text(said, "soft")] if said else [table]
    return [*blocks, *subject.again(lambda lines: [lines.command("audit", "--n", subject.n, out="audit")])]


def _matrices(subject: ReportSubject, result: AuditResult) -> list[Block]:
    """Draw the audit's matrices one by one, which fit a phone where all in a row would not."""
    pictures = []
    for kind, caption in MATRICES.items():
        plot = draw_matrices(tuple(result.factors), result.figures, (kind,))
        if plot is not None:
            file, dpi = subject.file(f"audit-{kind}"), subject.figures.dpi
            save_figure(file, plot, dpi)
            alt = f"Heat map. {caption}. The tables give the figures."
            pictures.append(picture_of(file, alt, f"{caption}.", True, dpi=dpi))
    return [Pictures(pictures)] if pictures else []


def _tables(tables: Sequence[ResultTable]) -> list[Block]:
    return [Table(_capital(title), rows) for title, rows in tables]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
