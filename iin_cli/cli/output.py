"""The output of commands: results on stdout (a table or one JSON object), everything else on stderr."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..printable import printable
from ..progress import Reporter, Silent, Task
from ..results import Result, single_values, with_left_out
from .stdout import for_results

__all__ = ["has_blocks", "print_lines", "print_result", "reporter"]

FIRST_BEAT_SECONDS, HEARTBEAT_SECONDS = 2.0, 10.0


def reporter(quiet: bool = False) -> Reporter:
    """Return the reporter for this stderr: bars on a terminal, a plain line every ten seconds elsewhere."""
    from ..distributed import is_main_rank

    if quiet or not is_main_rank():
        return Silent()
    return _Bars() if sys.stderr.isatty() else _Lines()


def print_result(
    result: Result | Mapping[str, Any] | Sequence[Mapping[str, Any]],
    as_json: bool,
    tables: Sequence[tuple[str, Sequence[Mapping[str, Any]]]] = (),
) -> None:
    """Print a command's result on stdout, on rank 0 alone.

    Args:
        result: what a verb returned, with its own tables; or JSON values, printed with `--json` as they are, else as
            one line per scalar. A list has no scalars: only its `tables` are shown.
        as_json: print `result` as one JSON object (or list).
        tables: (title, rows) shown above the scalars; each row maps column to value.
    """
    from ..distributed import is_main_rank

    if not is_main_rank():
        return
    with for_results():
        if as_json:
            values = result.as_dict() if isinstance(result, Result) else result
            values = with_left_out(values) if isinstance(values, Mapping) else values
            print(json.dumps(_finite(values), default=str))
        elif isinstance(result, Result):
            _print(result.facts(), tables or result.tables())
        else:
            _print(single_values(result) if isinstance(result, Mapping) else {}, tables)


def has_blocks() -> bool:
    """Say whether stdout takes the letters that curves are drawn with."""
    with for_results():
        return (sys.stdout.encoding or "").lower().startswith("utf")


def print_lines(lines: Sequence[str]) -> None:
    """Print lines on stdout at once."""
    with for_results():
        for line in lines:
            print(printable(line), flush=True)


def _print(facts: Mapping[str, Any], tables: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> None:
    from rich.console import Console

    # A pipe has no width, and results must not be cut to 80 columns there.
    terminal = sys.stdout.isatty()
    # Names and paths are data: [red] or :smile: in one is neither markup nor an emoji.
    console = Console(
        soft_wrap=not terminal, width=None if terminal else 200, highlight=False, markup=False, emoji=False
    )
    for title, rows in tables:
        console.print(_table(title, rows))
    width = max((len(printable(key)) for key in facts), default=0)
    for key, value in facts.items():
        console.print(f"{printable(key):<{width}}  {_shown(value)}")


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=printable(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    columns = list(rows[0]) if rows else []
    for column in columns:
        numeric = all(isinstance(row[column], (int, float)) for row in rows)
        table.add_column(printable(column).replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_shown(row[column]) for column in columns))
    return table


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:.4g}"
    return printable(str(value))


def _finite(value: Any) -> Any:
    """Replace NaN and infinities by None, since JSON has neither."""
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _metrics(metrics: Mapping[str, float | str]) -> str:
    return "  ".join(f"{printable(key)} {_shown(value)}" for key, value in metrics.items())


class _LineTask:
    def __init__(self, description: str, total: float | None, unit: str) -> None:
        self.description, self.total, self.unit = description, total, unit
        self.done, self.started = 0.0, time.monotonic()
        self.spoken = self.started + FIRST_BEAT_SECONDS - HEARTBEAT_SECONDS
        self.metrics: dict[str, float | str] = {}
        self.has_news = True

    def advance(self, amount: float = 1, **metrics: float | str) -> None:
        self.done += amount
        self.metrics.update(metrics)
        self.has_news = True
        now = time.monotonic()
        if now - self.spoken >= HEARTBEAT_SECONDS:
            self.spoken = now
            self.say(now)

    def say(self, now: float) -> None:
        self.has_news = False
        elapsed = max(now - self.started, 1e-9)
        total = f"/{self.total:g}" if self.total else ""
        speed = f"{self.done / elapsed:.3g} {self.unit}/s"
        _write(
            f"{self.description}: {self.done:g}{total} {self.unit}  {elapsed:.0f} s  {speed}  {_metrics(self.metrics)}"
        )


class _Lines:
    """Plain lines for logs."""

    @contextmanager
    def task(self, description: str, total: float | None, unit: str = "it") -> Iterator[Task]:
        task = _LineTask(description, total, unit)
        yield task
        if time.monotonic() - task.started >= 2 and task.has_news:
            task.say(time.monotonic())

    def note(self, text: str) -> None:
        _write(printable(text))

    def warn(self, text: str) -> None:
        _write(f"warning: {printable(text)}")


class _BarTask:
    def __init__(self, progress: Any, identity: Any) -> None:
        self.progress, self.identity = progress, identity
        self.metrics: dict[str, float | str] = {}

    def advance(self, amount: float = 1, **metrics: float | str) -> None:
        self.metrics.update(metrics)
        self.progress.update(self.identity, advance=amount, metrics=_metrics(self.metrics))


class _Bars:
    """Bars for a person at a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False, markup=False, emoji=False)

    @contextmanager
    def task(self, description: str, total: float | None, unit: str = "it") -> Iterator[Task]:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}", markup=False),
        )
        with Progress(*columns, console=self.console) as progress:
            yield _BarTask(progress, progress.add_task(printable(description), total=total, metrics=""))

    def note(self, text: str) -> None:
        self.console.print(printable(text), markup=False)

    def warn(self, text: str) -> None:
        self.console.print(f"warning: {printable(text)}", style="yellow", markup=False)


def _write(text: str) -> None:
    # In one piece: a signal between the text and its end would put its own message behind the text.
    sys.stderr.write(f"{printable(text)}\n")
    sys.stderr.flush()
