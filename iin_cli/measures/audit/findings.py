"""What an audit has found so far: figures by name, and why others are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...metrics.bootstrap import Interval, Resampling

__all__ = ["Figure", "Findings"]


@dataclass(frozen=True)
class Figure:
    """A figure with its interval.

    Attributes:
        null: what it is without any structure.
        expected: what T was fitted to.
    """

    interval: Interval
    null: Interval | None = None
    expected: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the figure as JSON values: value, low, high, items, and null and expected where there are such."""
        values: dict[str, Any] = self.interval.as_dict()
        if self.null is not None:
            values["null"] = self.null.as_dict()
        if self.expected is not None:
            values["expected"] = self.expected
        return values


@dataclass
class Findings:
    """What was found so far.

    Attributes:
        resampling: of every interval and every null.
        figures: name -> figure.
        skipped: name, or how the names begin -> why there is no such figure.
    """

    resampling: Resampling
    figures: dict[str, Figure] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The seed of everything random."""
        return self.resampling.seed

    def add(self, name: str, interval: Interval, null: Interval | None = None, expected: float | None = None) -> None:
        """Keep a figure."""
        self.figures[name] = Figure(interval, null, expected)

    def skip(self, names: Sequence[str], reason: str) -> None:
        """Keep why there are no such figures."""
        self.skipped.update(dict.fromkeys(names, reason))
