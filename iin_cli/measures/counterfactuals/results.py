"""What counterfactuals were found: the cheapest edit of each factor, and of a batch the cheapest factor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from ...figures.explanations import Look, plot_explanation
from ...figures.heatmaps import Matrix, plot_matrices
from ...results import Result, Table
from ..explanation.library import Near, Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FREE", "Border", "Counterfactual", "CounterfactualResult", "Way", "borders_of"]

# How an edit of every factor at once is called.
FREE = "all factors"


@dataclass(frozen=True)
class Way:
    """The smallest edit of one factor with which the target is said.

    Attributes:
        factor: its name, or `all factors` for an edit that may change any.
        exists: whether one was found within `radius`; all that follows is None where it was not.
        radius: of the largest edit that counts, in standard deviations: how far 99 % of two real images are apart.
        cost: ‖Δz̃‖ in standard deviations.
        of_typical: the cost over √(2 N_k), how far two real images are typically apart in the factor.
        probability: of the target after the edit.
        likelihood_percentile: the share of real images that are likelier than the edited latent, in per cent.
        in_band: whether it is as likely as 99 % of real images are.
        nearest: the real images nearest to it.
    """

    factor: str
    exists: bool
    radius: float
    cost: float | None = None
    of_typical: float | None = None
    probability: float | None = None
    likelihood_percentile: float | None = None
    in_band: bool | None = None
    nearest: tuple[Near, ...] = ()

    def row(self) -> dict[str, Any]:
        """Return the way as a row of a table."""
        if self.cost is None or self.of_typical is None or self.likelihood_percentile is None:
            none = f"none within {self.radius:.1f}"
            return {"factor": self.factor, "cost": none, **dict.fromkeys(ROW, "-")}
        shown = ", ".join(
            f"{name} {count}" for name, count in Counter(_called(near) for near in self.nearest).most_common(3)
        )
        values = (
            f"{self.of_typical:.2f}",
            f"{self.probability:.2f}",
            f"{self.likelihood_percentile:.0f} %{'' if self.in_band else ' (outside)'}",
            shown,
        )
        return {"factor": self.factor, "cost": f"{self.cost:.2f}", **dict(zip(ROW, values, strict=True))}


ROW = ("of_typical", "probability", "less_likely_than", "nearest_images")


@dataclass(frozen=True)
class Counterfactual:
    """One image that is to be called `target`.

    Attributes:
        predicted: the class it is given, with `probability`.
        cheapest: the factor of the smallest edit of one factor; None where no factor has one.
        ways: for each factor, then for all at once.
    """

    image: str
    predicted: str
    probability: float
    target: str
    cheapest: str | None
    ways: tuple[Way, ...]

    @property
    def title(self) -> str:
        """The file's name, the class and the target."""
        return f"{Path(self.image).name}: {self.predicted}, p = {self.probability:.2f} → {self.target}"


@dataclass(frozen=True)
class Border:
    """What is cheapest on the way from one class to another.

    Attributes:
        images: of class `start`; `reached`: those that an edit of one factor turns into `target`.
        factor: the one that is cheapest most often, for `share` of the reached; None where none is reached.
        cost: median of its costs where it is the cheapest.
    """

    start: str
    target: str
    images: int
    reached: int
    factor: str | None
    share: float | None
    cost: float | None


@dataclass(frozen=True)
class CounterfactualResult(Result):
    """The smallest edits with which other classes are said.

    Attributes:
        out: the file or folder written; empty where nothing was.
        targets: classes to be said; an image that is called so already is in `already`, not among `found`.
        factors: those edited one at a time; all at once comes last.
        real: images of which the band of 99 % of likelihoods, `band` in nats, is made.
        borders: class by class what is cheapest.
        figures: file names of the figures.
    """

    out: str
    targets: tuple[str, ...]
    factors: tuple[str, ...]
    translator: str
    data: str
    real: int
    band: tuple[float, float]
    searched: int
    space: Space
    seed: int
    found: tuple[Counterfactual, ...] = ()
    already: tuple[str, ...] = ()
    borders: tuple[Border, ...] = ()
    figures: tuple[str, ...] = ()
    looks: tuple[Callable[[], list[Look]], ...] = field(default=(), repr=False, compare=False)

    def tables(self) -> list[Table]:
        """Return a table per image, or of many images one of the borders between classes."""
        if len(self.found) <= MOST_TABLES:
            return [(each.title, [way.row() for way in each.ways]) for each in self.found]
        starts, targets, by_pair = self._matrix()
        rows = [
            {"from": start} | {f"to {target}": _cell(by_pair.get((start, target))) for target in targets}
            for start in starts
        ]
        return [
            ("the cheapest factor over each border, its median cost in std, and its share where it has rivals", rows)
        ]

    def plot(self, number: int = 0) -> Figure:
        """Draw image `number`: each way's edit, where G draws, and the real images nearest to it."""
        return plot_explanation(self.looks[number](), self.found[number].title)

    def plot_borders(self) -> Figure:
        """Draw the cheapest factor over each border as a matrix of start class by target class."""
        starts, targets, by_pair = self._matrix()
        grid = [[by_pair.get((start, target)) for target in targets] for start in starts]
        values = np.array([[_share(each) for each in row] for row in grid])
        notes = [[_note(each) for each in row] for row in grid]
        title = "share of images for which the factor below is the cheapest; its median cost in std"
        return plot_matrices([Matrix(title, starts, targets, values, notes, "called", "to be called")])

    def _matrix(self) -> tuple[list[str], list[str], dict[tuple[str, str], Border]]:
        """Return start classes, target classes, and the border between two."""
        starts, targets = {each.start for each in self.borders}, {each.target for each in self.borders}
        return sorted(starts), sorted(targets), {(each.start, each.target): each for each in self.borders}


# Images of which each has a table of its own.
MOST_TABLES = 4


def borders_of(found: Sequence[Counterfactual]) -> tuple[Border, ...]:
    """Say for each pair of classes which factor is the cheapest way, and how often."""
    pairs = sorted({(each.predicted, each.target) for each in found})
    return tuple(_border(*pair, [each for each in found if (each.predicted, each.target) == pair]) for pair in pairs)


def _border(start: str, target: str, found: Sequence[Counterfactual]) -> Border:
    reached = [each for each in found if each.cheapest is not None]
    if not reached:
        return Border(start, target, len(found), 0, None, None, None)
    factor, count = Counter(each.cheapest for each in reached).most_common(1)[0]
    costs = [
        way.cost
        for each in reached
        for way in each.ways
        if each.cheapest == factor == way.factor and way.cost is not None
    ]
    return Border(start, target, len(found), len(reached), factor, count / len(reached), median(costs))


def _called(near: Near) -> str:
    return near.label or near.predicted or Path(near.image).name


def _share(border: Border | None) -> float:
    return np.nan if border is None or border.share is None else border.share


def _cell(border: Border | None) -> str:
    """Write a border as a cell of a table."""
    if border is None:
        return "-"
    if border.share is None:
        return "none"
    return f"{_note(border)}{'' if border.share == 1 else f' ({border.share:.0%})'}"


def _note(border: Border | None) -> str:
    if border is None or border.factor is None:
        return ""
    return f"{border.factor} {border.cost:.1f}"
