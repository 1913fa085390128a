"""Read what trainings reported as they went: find → read → choose figures → draw."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UsageError, nearest, one_of
from ...figures.curves import Line, plot_curves
from ...figures.saving import save_figure
from ...figures.text_curves import BLOCKS, sparkline
from ...io.output import PICTURES, Figures, Output
from ...results import Result, Table
from ...training.log_files import PLACE, Report, RunHistory, logged_runs, read_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LogResult", "log", "new_reports", "save_curves"]

# How often a run is looked at again, in seconds.
WATCH_SECONDS = 0.5


@dataclass(frozen=True)
class LogResult(Result):
    """What runs have reported so far.

    Attributes:
        runs: each with its reports.
        figures: names of the figures shown.
        by: what curves are drawn over: step or seconds.
        out: the file of the curves; None where none was written.
    """

    runs: tuple[RunHistory, ...] = field(repr=False)
    figures: tuple[str, ...]
    by: str = "step"
    out: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return every run with its state, and each figure's steps, seconds and values."""
        runs = []
        for run, name in zip(self.runs, self.names, strict=True):
            curves = {
                figure: {
                    "step": run.curve(figure)[0],
                    "seconds": run.curve(figure, "seconds")[0],
                    "value": run.curve(figure)[1],
                }
                for figure in self.figures
                if figure in run.figures
            }
            runs.append({"run": name, "folder": str(run.folder), "state": run.state, **_end(run), "figures": curves})
        return {"runs": runs, "out": self.out}

    @property
    def names(self) -> list[str]:
        """What the runs are called: their folders, with as much of the path as tells them apart."""
        parts = [run.folder.resolve().parts for run in self.runs]
        depth = 1
        while len({part[-depth:] for part in parts}) < len({*parts}) and depth < max(map(len, parts)):
            depth += 1
        return ["/".join(part[-depth:]) for part in parts]

    @property
    def lines(self) -> list[Line]:
        """The curves of all runs, figure by figure; without what was never reported with a place in `by`."""
        lines = [
            Line(name, figure, *run.curve(figure, self.by))
            for figure in self.figures
            for run, name in zip(self.runs, self.names, strict=True)
        ]
        return [line for line in lines if line.values]

    def tables(self, blocks: str = BLOCKS) -> list[Table]:
        """Return the runs, and where each figure began and ended, with its curve in `blocks`, from low to high."""
        runs = [{"run": n, "state": run.state, **_end(run)} for run, n in zip(self.runs, self.names, strict=True)]
        figures = [
            {
                "figure": line.figure,
                **({"run": line.run} if len(self.runs) > 1 else {}),
                "curve": sparkline(line.values, blocks=blocks),
                "first": line.values[0],
                "last": line.values[-1],
                "lowest": min(line.values),
                "highest": max(line.values),
            }
            for line in self.lines
        ]
        return [("runs", runs), ("figures", figures)]

    def facts(self) -> dict[str, Any]:
        """Return the file of the curves, if there is one."""
        return {"out": self.out} if self.out else {}

    def plot(self) -> Figure:
        """Draw one panel per figure, one colour per run."""
        if not self.lines:
            raise UsageError("nothing was reported yet, so there is nothing to draw")
        return plot_curves(self.lines, self.by)


def log(paths: Sequence[Path], only: Sequence[str] = (), by: str = "step") -> LogResult:
    """Read the runs in `paths`, or directly below them.

    Args:
        only: the figures wanted; all where none is named.
        by: `step` or `seconds`.

    Raises DataError for a folder without a training, UsageError for a figure that no run has.
    """
    one_of("--by", by, PLACE)
    # A run that is named twice, by whatever paths, is drawn once.
    found: dict[Path, Path] = {}
    for folder in (folder for path in paths for folder in logged_runs(path)):
        found.setdefault(folder.resolve(), folder)
    runs = tuple(map(read_run, found.values()))
    known = list(dict.fromkeys(name for run in runs for name in run.figures))
    for name in only:
        # A run that has just begun may report it later.
        if name not in known and any(run.reports for run in runs):
            raise UsageError(f"--figure {name!r}: {nearest(name, known)}")
    return LogResult(runs, tuple(only or known), by)


def save_curves(result: LogResult, out: Path | None, figures: Figures) -> LogResult:
    """Write the curves into the file `out`, or into a numbered folder; returns the result with the place.

    Raises UsageError where nothing was reported yet, and for a name that is taken or not that of a figure.
    """
    if out is not None and out.suffix.lower() not in PICTURES:
        raise UsageError(f"--out {out}: the result is a figure; name a file that ends in {' or '.join(PICTURES)}")
    plot = result.plot()
    with Output.open(out, "log", PICTURES, "a figure", figures) as output:
        file = output.figure("log") or output.path
        save_figure(file, plot, figures.dpi)
    return replace(result, out=str(file))


def new_reports(result: LogResult, only: Sequence[str] = ()) -> Iterator[tuple[str, Report]]:
    """Yield every report of the runs with the run's name, those there are and each as it arrives, until all have ended.

    Args:
        only: figures, as of `log`.
    """
    seen = {name: -1.0 for name in result.names}
    while True:
        # Looked at before the log is read, so that what was reported last is not missed.
        runs = [read_run(run.folder) for run in result.runs]
        for name, run in zip(result.names, runs, strict=True):
            for report in run.reports:
                if report["step"] > seen[name]:
                    seen[name] = report["step"]
                    shown = {key: value for key, value in report.items() if key in (*PLACE, *(only or run.figures))}
                    if len(shown) > len(PLACE):
                        yield name, shown
        if not any(run.state == "running" for run in runs):
            return
        time.sleep(WATCH_SECONDS)


def _end(run: RunHistory) -> dict[str, float]:
    """Return how far a run came, where it came anywhere."""
    last = run.reports[-1] if run.reports else {}
    return {name: last[name] for name in PLACE if name in last}
