"""What an explanation found: of each image and factor the edits, the nearest real images, and the change of classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...figures.explanations import Look, plot_explanation
from ...interpretation.performance import Performance
from ...metrics.bootstrap import Interval
from ...results import Result, Table
from .edits import ExplainMode
from .library import Near, Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Edit", "ExplainResult", "Explanation", "FactorEffect"]


@dataclass(frozen=True)
class Edit:
    """One edit: where its factor comes from, the real images nearest to it, and the class a classifier gives it."""

    source: str
    nearest: tuple[Near, ...]
    predicted: str | None


@dataclass(frozen=True)
class FactorEffect:
    """What the edits of one factor do.

    Attributes:
        nearest_labels: label -> fraction of the nearest images; empty without class labels.
        changed: how often a classifier's class changes; `delta`: class -> change of its probability.
    """

    edits: tuple[Edit, ...]
    nearest_labels: dict[str, float]
    changed: Interval | None
    delta: dict[str, Interval] | None

    def row(self, factor: str) -> dict[str, Any]:
        """Return the effect as a row of a table."""
        row: dict[str, Any] = {"factor": factor}
        if self.delta is not None:
            most = max(self.delta.items(), key=lambda item: abs(item[1].value))
            row |= {"class_changes": f"{self.changed:.2f}", "moves_most": f"{most[0]}: {most[1]:+.2f}"}
        shares = sorted(self.nearest_labels.items(), key=lambda item: -item[1])[:3]
        return row | {"nearest_images": ", ".join(f"{name} {share:.0%}" for name, share in shares) or "-"}


@dataclass(frozen=True)
class Explanation:
    """One image explained.

    Attributes:
        image: what it is called.
        nearest: the real images nearest to it.
        predicted: the class a classifier gives it; `probabilities`: class -> its probability.
        factors: name -> what its edits do.
    """

    image: str
    nearest: tuple[Near, ...]
    predicted: str | None
    probabilities: dict[str, float] | None
    factors: dict[str, FactorEffect]

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON values, without what only a classifier tells where it is none."""
        return asdict(self, dict_factory=_known)

    @property
    def title(self) -> str:
        """The file's name and the class that a classifier gives it, with its probability."""
        name = Path(self.image).name
        if self.predicted is None or self.probabilities is None:
            return name
        return f"{name}: {self.predicted}, p = {self.probabilities[self.predicted]:.2f}"


@dataclass(frozen=True)
class ExplainResult(Result):
    """What was explained.

    Attributes:
        out: the file or folder written; empty where nothing was.
        sources: edits of each factor of each image.
        searched: real images that were compared with, in `space`; drawn by `seed` from the `searchable`.
        performance: how well the network does on the real images.
        figures: file names of the figures.
        looks: of each image, what makes the rows of its figure; pictures are read and decoded only then.
    """

    out: str
    mode: ExplainMode
    factors: tuple[str, ...]
    sources: int
    k: int
    space: Space
    searched: int
    searchable: int
    seed: int
    translator: str
    data: str
    performance: Performance
    images: tuple[Explanation, ...] = ()
    figures: tuple[str, ...] = ()
    looks: tuple[Callable[[], list[Look]], ...] = field(default=(), repr=False, compare=False)

    def tables(self) -> list[Table]:
        """Return one table per image: a row for each factor."""
        return [(each.title, [effect.row(name) for name, effect in each.factors.items()]) for each in self.images]

    def plot(self, number: int = 0) -> Figure:
        """Draw image `number`, its edits, the nearest real images, and what the edits do to the classes."""
        image = self.images[number]
        return plot_explanation(self.looks[number](), image.title, image.probabilities)


def _known(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # An image without a label says so.
    return {key: value for key, value in pairs if value is not None or key == "label"}
