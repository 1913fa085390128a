"""`iin report`: open → one section after the other, the page written after each."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from ...distributed import choose_device
from ...errors import UsageError
from ...interpretation.data_choice import DataChoice
from ...interpretation.opening import open_translator
from ...interpretation.reading import ChosenData
from ...io.atomic import write_text
from ...io.output import Figures
from ...io.rundir import new_file
from ...progress import Reporter, Silent
from ...report.command_lines import CommandLines
from ...report.making import ReportResult, make_report
from ...report.subject import Effort

__all__ = ["report"]

# An audit splits its items in three.
FEWEST = 3


def report(
    translator: Path,
    choice: DataChoice,
    out: Path | None = None,
    *,
    effort: Effort | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    figures: Figures | None = None,
    report: Reporter | None = None,
) -> ReportResult:
    """Measure and draw everything there is to know of a translator, and write it as one HTML page.

    Args:
        choice: which part of the data is measured; `n` images, None takes 500, or 100 of images above 128².
        out: a new `.html` file.
        figures: how its pictures are drawn, as PNG or SVG.

    A section that cannot be made says why in the page and stops no other; the page is written after every section.
    Raises UsageError, DataError and CheckpointError where the checkpoint, its backbone or the data cannot be opened.
    """
    began = time.monotonic()
    _check(out, choice.n, figures)
    opened = open_translator(translator, choose_device(device), backbone, report=report)
    data = ChosenData(opened, choice, report or Silent())

    def work() -> ReportResult:
        data.split_items()
        lines = CommandLines.of(data, backbone, device)
        with new_file(out, "report", "report.html") as file:
            result = make_report(data, effort, lines, lambda page: write_text(file, page), figures)
        return replace(result, out=str(file), seconds=round(time.monotonic() - began, 1))

    return data.lead(work)


def _check(out: Path | None, n: int | None, figures: Figures | None) -> None:
    if figures is not None and figures.format == "pdf":
        raise UsageError("--format pdf: no browser shows a PDF within a page; give png or svg")
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {out}: the report is one page; name a file that ends in .html")
    if out is not None and out.exists():
        raise UsageError(f"--out {out} exists already: choose another name or remove it")
    if n is not None and n < FEWEST:
        raise UsageError(f"--n must be at least {FEWEST}, got {n}")
