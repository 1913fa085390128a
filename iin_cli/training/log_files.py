"""`log.jsonl`: what a training reports as it goes, one JSON object per line; written by `logs`, read here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from ..errors import DataError, UsageError, one_of
from ..io.holding import is_held
from ..io.rundir import LOG_NAME, RESULT_NAME

__all__ = ["LOGS", "PLACE", "Report", "RunHistory", "State", "logged_runs", "read_reports", "read_run", "require_log"]

# What `--log` may name besides the log that is always written.
LOGS = ("tensorboard",)
# Of a report: where in the run it was made. All else are figures.
PLACE = ("step", "seconds")
# What float32 holds: no figure of a training is larger, and differences of such numbers are numbers, too.
MOST = 2.0**128

Report = dict[str, float]
State = Literal["running", "finished", "stopped"]


@dataclass(frozen=True)
class RunHistory:
    """What a run has reported so far.

    Attributes:
        name: the folder's name.
        state: whether it goes on, has finished, or ended before that.
        reports: step, seconds and figures, by rising step.
    """

    name: str
    folder: Path
    state: State
    reports: tuple[Report, ...]

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of all figures, in the order in which they were first reported."""
        return tuple(dict.fromkeys(name for report in self.reports for name in report if name not in PLACE))

    def curve(self, figure: str, by: str = "step") -> tuple[list[float], list[float]]:
        """Return where a figure was reported, in steps or `seconds`, and its values."""
        found = [(report[by], report[figure]) for report in self.reports if figure in report and by in report]
        return [at for at, _ in found], [value for _, value in found]


def require_log(word: str | None) -> str | None:
    """Return what `--log` names. UsageError for an unknown word, and for a package that is not installed."""
    if word is not None:
        one_of("--log", word, LOGS)
        if find_spec("tensorboard") is None:
            raise UsageError(
                "--log tensorboard needs TensorBoard, which is not installed: pip install 'iin-cli[tensorboard]'"
            )
    return word


def read_reports(file: Path) -> tuple[Report, ...]:
    """Return the reports of a log by rising step, () where there is none; a line that a kill cut off is left out.

    A step that is there twice counts as it was written last. Raises DataError for a file that cannot be read.
    """
    try:
        text = file.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror or error}") from error
    return _sorted(_parsed(line) for line in text.splitlines())


def read_run(folder: Path) -> RunHistory:
    """Return what the run in `folder` has reported; of runs from before there were logs, what their result keeps.

    Raises DataError where there is neither; a run that ended before its first report has an empty log.
    """
    reports, result = read_reports(folder / LOG_NAME), folder / RESULT_NAME
    running = folder.is_dir() and is_held(folder)
    state: State = "running" if running else "finished" if result.is_file() else "stopped"
    if not reports and result.is_file():
        reports = _recorded(result)
    if not reports and not running and not _is_empty(folder / LOG_NAME):
        raise DataError(f"{folder} holds no {LOG_NAME} of a training: name the run folder of one")
    return RunHistory(folder.resolve().name, folder, state, reports)


def logged_runs(path: Path) -> list[Path]:
    """Return the run folder that `path` is or whose log it is, else those directly in it that hold a log.

    Raises DataError for a path that leads nowhere.
    """
    if not path.exists():
        raise DataError(f"no such run folder: {path}")
    if path.name == LOG_NAME:
        return [path.parent]
    if not path.is_dir() or (path / LOG_NAME).exists() or (path / RESULT_NAME).exists():
        return [path]
    return sorted(entry.parent for entry in path.glob(f"*/{LOG_NAME}")) or [path]


def _is_empty(file: Path) -> bool:
    """Say whether a log was begun and its run ended before the first report."""
    return file.is_file() and file.stat().st_size == 0


def _recorded(result: Path) -> tuple[Report, ...]:
    """Return the validations that a result keeps; () for the result of something else."""
    try:
        found: Any = json.loads(result.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    history = found.get("history") if isinstance(found, dict) else None
    return _sorted(_numbers(entry) for entry in history) if isinstance(history, list) else ()


def _sorted(reports: Iterable[Report | None]) -> tuple[Report, ...]:
    by_step = {report["step"]: report for report in reports if report is not None}
    return tuple(by_step[step] for step in sorted(by_step))


def _parsed(line: str) -> Report | None:
    try:
        return _numbers(json.loads(line))
    except (ValueError, RecursionError):
        return None


def _numbers(entry: Any) -> Report | None:
    """Return the numbers of a report that can be drawn; None for anything that is none."""
    if not isinstance(entry, Mapping):
        return None
    # JSON's own numbers have no end, and Python's reader takes NaN: a log may be anybody's.
    found = {str(name): value for name, value in entry.items() if type(value) in (int, float) and abs(value) < MOST}
    return found if type(found.get("step")) is int else None
