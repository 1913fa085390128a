"""Progress of work that takes longer than two seconds, reported to whatever displays it.

Code below the command line calls a `Reporter`; `cli/output.py` draws bars on a terminal and plain lines elsewhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Reporter", "Silent", "Task"]


class Task(Protocol):
    """One running piece of work."""

    def advance(self, amount: float = 1, **metrics: float | str) -> None:
        """Advance by `amount` units; `metrics` are shown beside the bar (`loss=1.2`)."""
        ...


class Reporter(Protocol):
    """Receives progress; implementations must be cheap to call thousands of times a second."""

    @contextmanager
    def task(self, description: str, total: float | None, unit: str = "it") -> Iterator[Task]:
        """Open one piece of work of `total` units (None: unknown)."""
        ...

    def note(self, text: str) -> None:
        """Report one line that a user should know (what was inferred, what was skipped)."""
        ...

    def warn(self, text: str) -> None:
        """Report one line that a user should act on."""
        ...


class _SilentTask:
    def advance(self, amount: float = 1, **metrics: float | str) -> None:
        pass


class Silent:
    """The default reporter of the Python API, which reports nothing."""

    @contextmanager
    def task(self, description: str, total: float | None, unit: str = "it") -> Iterator[Task]:
        """Yield a task that reports nothing."""
        yield _SilentTask()

    def note(self, text: str) -> None:
        """Report nothing."""

    def warn(self, text: str) -> None:
        """Report nothing."""
