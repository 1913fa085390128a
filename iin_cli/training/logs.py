"""Write what a training reports as it goes: `log.jsonl`, and TensorBoard's event files where they are wanted."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..distributed import is_main_rank
from ..errors import IinError, reason
from ..io.atomic import write_text
from ..io.rundir import EVENTS_NAME, LOG_NAME
from ..progress import Reporter, Silent
from .log_files import PLACE, Report, read_reports, require_log

__all__ = ["RunLog"]


class RunLog:
    """Writes the reports of one run, in the main process alone; each is on disk at once.

    A log that cannot be written ends no training: a warning says so, and the run goes on without.

    Args:
        folder: of the run; None writes nothing.
        kind: `tensorboard` for event files in the folder of that name, too.
        report: what warnings go to.
    """

    def __init__(self, folder: Path | None = None, kind: str | None = None, report: Reporter | None = None) -> None:
        self.folder = folder if is_main_rank() else None
        self.kind, self.report = require_log(kind), report or Silent()
        self._lines: Any = None
        self._events: Any = None

    def begin(self, history: Sequence[Mapping[str, float]] = (), steps: int = 0) -> None:
        """Open the files; of a run that goes on after `steps`, keep its `history` and the reports up to there."""
        if self.folder is None:
            return
        file = self.folder / LOG_NAME
        try:
            before = [report for report in read_reports(file) if report["step"] <= steps] if steps else []
            kept = {entry["step"]: _plain(entry) for entry in (*before, *history)}
            reports = [kept[step] for step in sorted(kept)]
            write_text(file, "".join(map(_line, reports)))
            # Without a buffer: a line is written in one piece, and none is left over where that fails.
            self._lines = open(file, "ab", buffering=0)  # noqa: SIM115 - closed by `close`
        except (OSError, IinError) as error:
            self._give_up(LOG_NAME, error)
            return
        if self.kind is not None:
            self._begin_events(self.folder / EVENTS_NAME, reports, steps)

    def add(self, report: Mapping[str, float]) -> None:
        """Write one report: `step`, `seconds`, and figures by name."""
        plain = _plain(report)
        if self._lines is not None:
            try:
                line = _line(plain).encode()
                if self._lines.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                self._give_up(LOG_NAME, error)
        if self._events is not None:
            self._add_events([plain])

    def close(self) -> None:
        """Close the files."""
        lines, self._lines = self._lines, None
        events, self._events = self._events, None
        for each in (lines, events):
            try:
                if each is not None:
                    each.close()
            except OSError as error:
                self._give_up(LOG_NAME if each is lines else EVENTS_NAME, error)

    def _begin_events(self, folder: Path, reports: Sequence[Report], steps: int) -> None:
        # Events of steps that are taken again are dropped by whoever reads them.
        again = folder.is_dir()
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(str(folder), purge_step=steps + 1 if steps else None)
        except Exception as error:
            self._give_up(EVENTS_NAME, error)
            return
        self._add_events([] if again else reports)

    def _add_events(self, reports: Sequence[Report]) -> None:
        try:
            for report in reports:
                for name, value in report.items():
                    if name not in PLACE:
                        self._events.add_scalar(name, value, int(report["step"]))
            self._events.flush()
        # The files of another package: whatever fails there must not cost the training.
        except Exception as error:
            self._events = None
            self._give_up(EVENTS_NAME, error)

    def _give_up(self, name: str, error: Exception) -> None:
        if name == LOG_NAME and self._lines is not None:
            self._lines.close()
            self._lines = None
        self.report.warn(f"the log {name} cannot be written, and the training goes on without: {reason(error)}")


def _plain(report: Mapping[str, float]) -> Report:
    """Return a report with Python's own numbers; those that are not finite are left out, since JSON has none."""
    plain = {name: value if isinstance(value, int) else float(value) for name, value in report.items()}
    return {name: value for name, value in plain.items() if math.isfinite(value)}


def _line(report: Report) -> str:
    return json.dumps(report) + "\n"
