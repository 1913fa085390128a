"""Progress in a notebook: a callback, a bar like tqdm's, or silence; warnings are kept with the result."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol, cast, runtime_checkable

from ..errors import UsageError
from ..progress import Reporter, Silent, Task

__all__ = ["Bar", "Callback", "Listener", "Progress", "listen"]

# (what is being done, units done, units in all or None, figures shown beside)
Callback = Callable[[str, float, float | None, dict[str, float | str]], object]


@runtime_checkable
class Bar(Protocol):
    """A progress bar as tqdm makes them."""

    def update(self, n: float) -> object:
        """Move on by `n` units."""
        ...

    def close(self) -> object:
        """End the bar."""
        ...


# None for silence, a callback, a class like tqdm.auto.tqdm, or a reporter of one's own.
Progress = Callback | type[Any] | Reporter | None


class Listener:
    """A reporter that keeps warnings and notes, and passes progress on.

    Attributes:
        warnings, notes: what was said, in order, each once.
    """

    def __init__(self, inner: Reporter) -> None:
        self._inner = inner
        self.warnings: list[str] = []
        self.notes: list[str] = []

    @contextmanager
    def task(self, description: str, total: float | None, unit: str = "it") -> Generator[Task]:
        """Open a piece of work."""
        with self._inner.task(description, total, unit) as task:
            yield task

    def note(self, text: str) -> None:
        """Keep a line."""
        if text not in self.notes:
            self.notes.append(text)
            self._inner.note(text)

    def warn(self, text: str) -> None:
        """Keep a warning."""
        if text not in self.warnings:
            self.warnings.append(text)
            self._inner.warn(text)


def listen(progress: Progress) -> Listener:
    """Turn what the user gave as `progress` into a reporter. UsageError for anything else.

    >>> seen = []
    >>> with listen(lambda what, done, total, figures: seen.append((what, done, total))).task("fitting", 2) as task:
    ...     task.advance()
    >>> seen
    [('fitting', 1.0, 2)]
    """
    if progress is None:
        return Listener(Silent())
    if isinstance(progress, Listener):
        return progress
    if hasattr(progress, "task"):
        return Listener(cast(Reporter, progress))
    if isinstance(progress, type) and hasattr(progress, "update"):
        return Listener(_Bars(progress))
    if callable(progress):
        return Listener(_Calls(cast(Callback, progress)))
    raise UsageError(
        f"progress is a {type(progress).__name__}: give a function (what, done, total, figures), or a class like tqdm"
    )


class _Calls(Silent):
    def __init__(self, callback: Callback) -> None:
        self._callback = callback

    @contextmanager
    def task(self, description: str, total: float | None, unit: str = "it") -> Generator[Task]:
        yield _CallTask(self._callback, description, total)


class _CallTask:
    def __init__(self, callback: Callback, description: str, total: float | None) -> None:
        self._callback, self._description, self._total = callback, description, total
        self._done, self._figures = 0.0, dict[str, float | str]()

    def advance(self, amount: float = 1, **metrics: float | str) -> None:
        self._done += amount
        self._figures.update(metrics)
        self._callback(self._description, self._done, self._total, dict(self._figures))


class _Bars(Silent):
    def __init__(self, bar: type[Any]) -> None:
        self._bar = bar

    @contextmanager
    def task(self, description: str, total: float | None, unit: str = "it") -> Generator[Task]:
        bar = self._bar(total=total, desc=description, unit=unit)
        try:
            yield _BarTask(bar)
        finally:
            bar.close()


class _BarTask:
    def __init__(self, bar: Bar) -> None:
        self._bar = bar

    def advance(self, amount: float = 1, **metrics: float | str) -> None:
        if metrics and hasattr(self._bar, "set_postfix"):
            getattr(self._bar, "set_postfix")(metrics, refresh=False)  # noqa: B009 - only some bars have it
        self._bar.update(amount)
