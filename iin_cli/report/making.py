"""Make the page: one section after the other, and the whole page after each, so that none is lost."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import attempt
from ..interpretation.reading import ChosenData
from ..io.output import Figures
from ..progress import Reporter, Task
from ..results import Result
from ..results import Table as ResultTable
from .command_lines import CommandLines
from .overview import glance, verdicts
from .page import Block, Fault, Section, Text, page
from .sections import SECTIONS
from .subject import Effort, ReportSubject

__all__ = ["OUTSTANDING", "ReportResult", "make_report"]

OUTSTANDING = "not made: the report was interrupted, or is still being made"


@dataclass(frozen=True)
class ReportResult(Result):
    """What the page holds.

    Attributes:
        out: the page's file; empty where none was written.
        n: how many images were measured.
        bytes: size of the page.
        made: titles of the sections.
        failed: title -> why a section, or a part of one, could not be made.
        page: the page itself, HTML that needs nothing else.
    """

    out: str
    translator: str
    data: str
    n: int
    seed: int
    bytes: int
    seconds: float
    made: tuple[str, ...]
    failed: dict[str, str]
    page: str = field(repr=False, compare=False)

    def tables(self) -> list[ResultTable]:
        """Return the sections as a table."""
        rows = [{"section": title, "made": "yes"} for title in self.made]
        return [("sections", rows + [{"section": title, "made": f"no: {why}"} for title, why in self.failed.items()])]


def make_report(
    data: ChosenData,
    effort: Effort | None = None,
    lines: CommandLines | None = None,
    save: Callable[[str], object] | None = None,
    figures: Figures | None = None,
) -> ReportResult:
    """Measure and draw everything there is to know of a translator, on one HTML page.

    Args:
        data: the open translator and its data; `n` of its choice says how many images are measured, 500 where it says
            nothing, 100 above 128². Sizes are of training images.
        lines: the command lines that the page shows.
        save: called with the page as it is after every section.
        figures: how pictures are drawn, as PNG or SVG.

    A section that cannot be made says why in the page and stops no other.
    """
    began, listening = time.monotonic(), _Listening(data.report)
    with tempfile.TemporaryDirectory(prefix="iin-report-") as folder:
        subject = ReportSubject(
            data.varied(report=listening), effort or Effort(), lines, Path(folder), figures or Figures()
        )
        data.say_part(subject.n)
        making = _Making(subject, listening, data.report)
        for number in range(len(SECTIONS)):
            making.make(number)
            if save is not None:
                save(making.page())
    whole = making.page()
    return ReportResult(
        out="",
        translator=data.opened.called,
        data=data.dataset.name,
        n=subject.n,
        seed=subject.seed,
        bytes=len(whole.encode()),
        seconds=round(time.monotonic() - began, 1),
        made=tuple(making.made),
        failed=making.failed,
        page=whole,
    )


class _Listening:
    """A reporter that passes everything on and keeps the warnings, which belong on the page too."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.warnings: list[str] = []

    @contextmanager
    def task(self, description: str, total: float | None, unit: str = "it") -> Iterator[Task]:
        """Open a task."""
        with self._reporter.task(description, total, unit) as task:
            yield task

    def note(self, text: str) -> None:
        """Pass a line on."""
        self._reporter.note(text)

    def warn(self, text: str) -> None:
        """Pass a warning on once in a section, which may warn of the same for every concept, and keep it."""
        if text not in self.warnings:
            self.warnings.append(text)
            self._reporter.warn(text)


class _Making:
    """The page as far as it is made."""

    def __init__(self, subject: ReportSubject, listening: _Listening, report: Reporter) -> None:
        self.subject, self.listening, self.report = subject, listening, report
        self.sections = [Section(title, [Fault("Outstanding", OUTSTANDING)]) for title, _ in SECTIONS]
        self.made: list[str] = []
        self.failed: dict[str, str] = {}

    def make(self, number: int) -> None:
        """Make one section, or say in its place why it could not be made."""
        title, function = SECTIONS[number]
        self.report.note(f"report: {number + 1} of {len(SECTIONS)}: {title}")
        self.listening.warnings = []
        blocks: list[Block] = []
        why = attempt(lambda: blocks.extend(function(self.subject)))
        if why is None:
            self.made.append(title)
            self.failed |= {f"{title}: {block.what}": block.why for block in blocks if isinstance(block, Fault)}
        else:
            self.report.warn(f"{title}: not made: {why}")
            blocks, self.failed[title] = [Fault("This section could not be made", why)], why
        blocks += [Text(f"Warning: {text}", "soft") for text in self.listening.warnings]
        self.sections[number] = Section(title, blocks)

    def page(self) -> str:
        """Return the page."""
        subject, factors, name = self.subject, self.subject.opened.factors, self.subject.network.name
        title = f"What a network knows: {name} on {Path(subject.dataset.name).name}"
        listed = ", ".join(f"{factor} ({dim})" for factor, dim in factors.dims.items())
        lead = (
            f"A translator reads the {factors.dim} features of {name} as independent factors: {listed}. "
            "This page shows what each of them holds and does, how sure that is, and how to measure it again."
        )
        opening: list[Block] = [Text(lead, "lead"), *verdicts(subject), *glance(subject)]
        if self.failed:
            opening.append(Fault("Not everything could be made", "; ".join(self.failed)))
        return page(title, opening, self.sections)
