"""How work that takes longer than two seconds tells where it stands, without knowing who listens.

Rooms below the command line call a `Reporter`; `cli/output.py` draws it on a terminal or writes plain lines elsewhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Reporter", "Silent", "Task"]


class Task(Protocol):
    """One running piece of work with a known length."""

    def advance(self, amount: float = 1, **metrics: float | str) -> None:
        """Move on by `amount` units; `metrics` are shown beside the bar (`loss=1.2`)."""
        ...


class Reporter(Protocol):
    """Receives progress; implementations must be cheap to call thousands of times a second."""

    @contextmanager
    def task(self, description: str, total: float | None, unit: str = "it") -> Iterator[Task]:
        """Open one piece of work of `total` units (None: unknown)."""
        ...

    def note(self, text: str) -> None:
        """Say one line that a user should know (what was inferred, what was skipped)."""
        ...

    def warn(self, text: str) -> None:
        """Say one line that a user should act on."""
        ...


class _SilentTask:
    def advance(self, amount: float = 1, **metrics: float | str) -> None:
        pass


class Silent:
    """The reporter of the Python API: says nothing."""

    @contextmanager
    def task(self, description: str, total: float | None, unit: str = "it") -> Iterator[Task]:
        """Yield a task that says nothing."""
        yield _SilentTask()

    def note(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""
