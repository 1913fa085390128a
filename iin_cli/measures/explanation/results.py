"""What an explanation found: of each image and factor the edits, the nearest real images, and the change of classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ...editing.real_edits import Reality
from ...figures.explanations import Look, plot_explanation
from ...interpretation.performance import Performance
from ...metrics.bootstrap import Interval
from ...results import Result, Table
from .edits import ExplainMode
from .library import Found, Near, Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Agreement", "Edit", "ExplainResult", "Explanation", "FactorEffect"]

REALITY = "what really editing images does to the answer, beside exchanging the factor alone"


@dataclass(frozen=True)
class Agreement:
    """The share of nearest real images that the network gives the same class as what they are nearest to.

    Attributes:
        share: in the space that was searched; `in_z`: had it been plain z.
    """

    share: float
    in_z: float

    @classmethod
    def of(cls, predicted: np.ndarray, found: Found) -> Self | None:
        """Compare the classes `predicted` (Q,) with those of the images found; None where the network names none."""
        if found.says is None or found.says_in_z is None:
            return None
        own, in_z = (float((says.numpy() == predicted[:, None]).mean()) for says in (found.says, found.says_in_z))
        return cls(own, in_z)

    def __str__(self) -> str:
        return f"{self.share:.2f} (in z {self.in_z:.2f})"


@dataclass(frozen=True)
class Edit:
    """One edit.

    Attributes:
        source: where its factor comes from; `source_predicted`: the class a classifier gives that image.
        nearest: the real images nearest to the edit.
        predicted: the class a classifier gives the edit, with `probability`.
    """

    source: str
    nearest: tuple[Near, ...]
    predicted: str | None = None
    probability: float | None = None
    source_predicted: str | None = None

    @property
    def says(self) -> str | None:
        """The class and its probability, for a caption."""
        return None if self.predicted is None else f"{self.predicted} {self.probability:.2f}"


@dataclass(frozen=True)
class FactorEffect:
    """What the edits of one factor do.

    Attributes:
        nearest_labels: label -> fraction of the nearest images; empty without labels. `labelled_by`: their column.
        agreement: of the nearest images with the edits.
        changed: how often a classifier's class changes; `delta`: class -> change of its probability. The intervals
            are over the edits of this image: how far another draw of as many could be off.
    """

    edits: tuple[Edit, ...]
    nearest_labels: dict[str, float]
    labelled_by: str | None = None
    agreement: Agreement | None = None
    changed: Interval | None = None
    delta: dict[str, Interval] | None = None

    def row(self, factor: str) -> dict[str, Any]:
        """Return the effect as a row of a table."""
        row: dict[str, Any] = {"factor": factor}
        if self.delta is not None:
            most = max(self.delta.items(), key=lambda item: abs(item[1].value))
            row |= {"class_changes": f"{self.changed:.2f}", "moves_most": f"{most[0]}: {most[1]:+.2f}"}
        shares = list(self.nearest_labels.items())[:3]
        row |= {"nearest_images": ", ".join(f"{name} {share:.0%}" for name, share in shares) or "-"}
        return row | ({"neighbours_agree": str(self.agreement)} if self.agreement is not None else {})


@dataclass(frozen=True)
class Explanation:
    """One image explained.

    Attributes:
        image: what it is called.
        nearest: the real images nearest to it; `agreement`: of these with the image.
        predicted: the class a classifier gives it; `probabilities`: class -> its probability.
        factors: name -> what its edits do.
    """

    image: str
    nearest: tuple[Near, ...]
    predicted: str | None
    probabilities: dict[str, float] | None
    factors: dict[str, FactorEffect]
    agreement: Agreement | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON values, without what only a classifier tells where it is none."""
        return asdict(self, dict_factory=_known)

    @property
    def says(self) -> str | None:
        """The class and its probability, for a caption."""
        if self.predicted is None or self.probabilities is None:
            return None
        return f"{self.predicted} {self.probabilities[self.predicted]:.2f}"

    @property
    def title(self) -> str:
        """The file's name and the class that a classifier gives it, with its probability."""
        name = Path(self.image).name
        if self.predicted is None or self.probabilities is None:
            return name
        said = f"{name}: {self.predicted}, p = {self.probabilities[self.predicted]:.2f}"
        return said if self.agreement is None else f"{said}; {self.agreement.share:.0%} of its nearest are too"


@dataclass(frozen=True)
class ExplainResult(Result):
    """What was explained.

    Attributes:
        out: the file or folder written; empty where nothing was.
        sources: edits of each factor of each image.
        searched: real images that were compared with, in `space`; drawn by `seed` from the `searchable`.
        performance: how well the network does on the real images.
        figures: file names of the figures.
        reality: factor -> what really editing its concept does to answers, measured on some of the real images.
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
    reality: dict[str, Reality] = field(default_factory=dict)
    looks: tuple[Callable[[], list[Look]], ...] = field(default=(), repr=False, compare=False)

    def tables(self) -> list[Table]:
        """Return one table per image, a row for each factor; then what really editing images does, where known."""
        images: list[Table] = [
            (each.title, [effect.row(name) for name, effect in each.factors.items()]) for each in self.images
        ]
        edited = [
            {"factor": name, "images": each.images, **each.effect.row()}
            for name, each in self.reality.items()
            if each.effect is not None
        ]
        return [*images, *([(REALITY, edited)] if edited else [])]

    def plot(self, number: int = 0) -> Figure:
        """Draw image `number`, its edits, the nearest real images, and what the edits do to the classes."""
        image = self.images[number]
        return plot_explanation(self.looks[number](), image.title, image.probabilities)


def _known(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # An image without a label says so.
    return {key: value for key, value in pairs if value is not None or key == "label"}
