"""Everything known of a translator on one page: open → one section after the other, the page written each time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..distributed import choose_device, draw_seed
from ..errors import UsageError, attempt
from ..interpretation.data_choice import split_items
from ..interpretation.opening import open_translator
from ..io.atomic import write_text
from ..io.rundir import new_file
from ..progress import Reporter, Silent, Task
from ..registry import names
from .page import Block, Failure, Section, Text, page
from .sections import SECTIONS, glance
from .subject import Subject

__all__ = ["ReportResult", "report"]

# How many images are measured: of larger ones fewer, since a network that sees them takes a hundred times as long.
IMAGES, IMAGES_IF_LARGE, LARGE = 500, 100, 128
# An audit splits its items in three.
FEWEST = 3
OUTSTANDING = "not made: the report was interrupted, or is still being made"


@dataclass(frozen=True)
class ReportResult:
    """What the page holds.

    Attributes:
        out: the page.
        n: how many images were measured.
        made: titles of the sections.
        failed: title -> why a section, or a part of one, could not be made.
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

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)

    def tables(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return the sections as a table."""
        rows = [{"section": title, "made": "yes"} for title in self.made]
        return [("sections", rows + [{"section": title, "made": f"no: {why}"} for title, why in self.failed.items()])]


def report(
    translator: Path,
    out: Path | None = None,
    *,
    n: int | None = None,
    data: str | None = None,
    data_root: Path | None = None,
    split: str = "test",
    seed: int | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> ReportResult:
    """Measure and draw everything there is to know of a translator, and write it as one HTML page.

    Args:
        out: a new `.html` file.
        n: how many images each section measures; None takes 500, of images above 128² 100.
        split: which part of the data is measured; sizes are of training images.

    A section that cannot be made says why in the page and stops no other; the page is written after every section.
    Raises UsageError, DataError and CheckpointError where the checkpoint, its backbone or the data cannot be opened.
    """
    report, seed, began = report or Silent(), draw_seed(seed), time.monotonic()
    _check(out, n)
    opened = open_translator(translator, choose_device(device), backbone)
    size = opened.backbone.image_size
    dataset = open_data(data, recorded_data(opened), data_root, report)
    split_items(dataset, split)
    if data is not None and data not in names("datasets") and Path(data).expanduser().exists():
        data = str(Path(data).expanduser().resolve())
    file = new_file(out, "report", "report.html")
    with tempfile.TemporaryDirectory(prefix="iin-report-") as folder:
        subject = Subject(
            opened=opened,
            dataset=dataset,
            data=data,
            data_root=data_root.resolve() if data_root is not None else None,
            split=split,
            backbone=backbone.resolve() if backbone is not None else None,
            device=device,
            n=n or (IMAGES_IF_LARGE if size > LARGE else IMAGES),
            seed=seed,
            folder=Path(folder),
            report=report,
        )
        made, failed = _make(subject, file, report)
    return ReportResult(
        out=str(file),
        translator=str(opened.path),
        data=dataset.name,
        n=subject.n,
        seed=seed,
        bytes=file.stat().st_size,
        seconds=round(time.monotonic() - began, 1),
        made=made,
        failed=failed,
    )


def _check(out: Path | None, n: int | None) -> None:
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {out}: the report is one page; name a file that ends in .html")
    if out is not None and out.exists():
        raise UsageError(f"--out {out} exists already: choose another name or remove it")
    if n is not None and n < FEWEST:
        raise UsageError(f"--n must be at least {FEWEST}, got {n}")


def _make(subject: Subject, file: Path, report: Reporter) -> tuple[tuple[str, ...], dict[str, str]]:
    """Make the sections in turn; return the titles of those made, and why what else there is could not be."""
    sections = [Section(title, [Failure("Outstanding", OUTSTANDING)]) for title, _ in SECTIONS]
    made, failed = [], {}
    for number, (title, function) in enumerate(SECTIONS):
        report.note(f"report: {number + 1} of {len(SECTIONS)}: {title}")
        listening = _Listening(report)
        blocks: list[Block] = []
        own = replace(subject, report=listening)
        why = attempt(lambda function=function, blocks=blocks, own=own: blocks.extend(function(own)))
        if why is None:
            made.append(title)
            failed |= {f"{title}: {block.what}": block.why for block in blocks if isinstance(block, Failure)}
        else:
            report.warn(f"{title}: not made: {why}")
            blocks, failed[title] = [Failure("This section could not be made", why)], why
        blocks += [Text(f"Warning: {text}", "soft") for text in listening.warnings]
        sections[number] = Section(title, blocks)
        write_text(file, page(_title(subject), _opening(subject, failed), sections))
    return tuple(made), failed


def _title(subject: Subject) -> str:
    return f"What a network knows: {subject.opened.backbone.name} on {Path(subject.dataset.name).name}"


def _opening(subject: Subject, failed: dict[str, str]) -> list[Block]:
    factors = subject.opened.factors
    listed = ", ".join(f"{name} ({dim})" for name, dim in factors.dims.items())
    lead = (
        f"A translator reads the {factors.dim} features of {subject.opened.backbone.name} as independent factors: "
        f"{listed}. This page shows what each of them holds and does, how sure that is, and how to measure it again."
    )
    blocks: list[Block] = [Text(lead, "lead"), *glance(subject)]
    if failed:
        blocks.append(Failure("Not everything could be made", "; ".join(failed)))
    return blocks


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
        """Pass a warning on, and keep it; a section that works concept by concept says one for each, and here once."""
        if text not in self.warnings:
            self.warnings.append(text)
            self._reporter.warn(text)
