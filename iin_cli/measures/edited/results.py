"""What a recipe made of one image."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...editing.recipe import Recipe
from ...errors import UsageError
from ...figures.pictures import picture
from ...figures.saving import save_page
from ...io.output import Output
from ...io.tables import write_table
from ...results import Result, Table
from ..explanation.library import Near

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FILES", "AnswerChange", "EditResult", "Likely", "Predicted", "write"]

# What the network answers with -> endings of the files that can hold an edit, and what such a file is.
FILES = {
    "images": ((".png",), "an image"),
    "classes": ((".json", ".csv"), "predictions and the nearest real images"),
    "nothing": ((".json",), "the nearest real images"),
}


@dataclass(frozen=True)
class AnswerChange:
    """The probability of one class.

    Attributes:
        before: of the image; `after`: of the edit.
        low, high: where it goes by steps of the same length in random subspaces: the band of chance.
    """

    name: str
    before: float
    after: float
    low: float
    high: float


@dataclass(frozen=True)
class Predicted:
    """The classes that a classifier predicts of the image and of the edit."""

    before: str
    after: str


@dataclass(frozen=True)
class Likely:
    """How likely the edit is by T.

    Attributes:
        nll: −log p(z*) in nats.
        percent: the share of real images that are no likelier; None where none are there.
    """

    nll: float
    percent: float | None


@dataclass(frozen=True)
class EditResult(Result):
    """What a recipe made of one image.

    Attributes:
        out: the file or folder written; empty where none was.
        image: what the image is called.
        factors: name -> where the edit lies on the factor's two principal axes.
        answers: of a classifier, every class, the one that moves most first.
        nearest: the real images nearest to the edit; None of a network that draws, and where there are none.
        picture: the edit as the network draws it, uint8 (S, S, 3); None where it does not draw.
        z: the edited latent z* (N,).
    """

    out: str
    image: str
    recipe: Recipe
    translator: str
    factors: dict[str, tuple[float, float]]
    likely: Likely
    predicted: Predicted | None = None
    answers: tuple[AnswerChange, ...] | None = None
    nearest: tuple[Near, ...] | None = None
    picture: np.ndarray | None = field(default=None, compare=False, repr=False)
    z: Tensor = field(default_factory=lambda: torch.empty(0), compare=False, repr=False)

    def tables(self) -> list[Table]:
        """Return the probabilities of the classes, and the nearest real images."""
        tables: list[Table] = []
        if self.answers is not None:
            tables.append(("probabilities", [vars(each) for each in self.answers]))
        if self.nearest is not None:
            tables.append(("nearest real images", [vars(near) for near in self.nearest]))
        return tables

    def facts(self) -> dict[str, Any]:
        """Return the single values; the prediction, and how likely the edit is, in words."""
        found = super().facts()
        if self.predicted is not None:
            found["predicted"] = f"{self.predicted.before} → {self.predicted.after}"
        if self.likely.percent is not None:
            found["likely"] = f"as likely as {self.likely.percent:.0f} % of real images"
        return found

    def plot(self) -> Figure:
        """Show the edited image. UsageError where the network draws none."""
        if self.picture is None:
            raise UsageError("this edit has no picture: the network does not draw; read its tables()")
        return picture(self.picture)


def write(result: EditResult, output: Output) -> EditResult:
    """Write the picture or the table, into a folder `edit.json` too; returns the result with its place."""
    result = replace(result, out=str(output.path))
    if result.picture is not None and (file := output.figure("edit")) is not None:
        save_page(file, result.picture, output.figures.dpi)
    if output.ending == ".csv":
        write_table(output.path, [vars(each) for each in result.answers or ()])
    output.write_json("edit.json", result.as_dict())
    return result
