"""Walk through the interpretable representation, and say what the network answers on the way."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..figures.saving import save_figure, save_page
from ..interpretation.answers import Classes
from ..interpretation.network import Network
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.reading import ChosenData
from ..io.output import Output
from ..io.rundir import write_result
from ..io.tables import write_table
from ..progress import Reporter, Silent
from ..results import Result, Table
from .axes import AxisPart
from .walk_drawing import class_rows, flip_rate, save_film, walk_plot, walk_sheet
from .walk_paths import INTERPRETABLE, LATENT, Mode, WalkMode, Walks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["WalkResult", "show", "walk", "write"]

# Mode -> what a reader calls it.
MODES: dict[Mode, str] = {
    "linear": "straight walk",
    "ou": "random walk (Eq 17)",
    "grid": "grid of straight walks",
    "attribute": "walk along an attribute's axis",
}


@dataclass(frozen=True)
class WalkResult(Result):
    """What was walked.

    Attributes:
        out: the file or folder written; empty where none was.
        factors: the factors that moved.
        steps: points of each walk, both ends included; of a grid, images a side.
        count: walks, or 1 grid.
        flip_rate: for a classifier, the fraction of points after the first where the predicted class is not the
            first's, over all interpretable walks; `latent_flip_rate` the same over the latent ones. Else None. Along an
            attribute the point of least strength counts as the first.
        attributes: what the axis of an attribute walk is made of; `strength` its ends.
        values: for a classifier, kind of walk -> log-probabilities (steps, B, classes).
    """

    out: str
    mode: Mode
    factors: tuple[str, ...]
    steps: int
    count: int
    seed: int
    translator: str
    starts: tuple[str, ...]
    ends: tuple[str, ...] | None
    flip_rate: float | None
    latent_flip_rate: float | None
    attributes: tuple[AxisPart, ...]
    strength: tuple[float, float] | None
    network: Network = field(compare=False, repr=False)
    walks: Walks = field(compare=False, repr=False)
    values: dict[str, Tensor] = field(compare=False, repr=False)

    def tables(self) -> list[Table]:
        """Return what the axis is made of as one titled table."""
        rows = [asdict(part) for part in self.attributes]
        return [("axis", rows)] if rows else []

    def facts(self) -> dict[str, Any]:
        """Return the single values; the mode in words."""
        return {**super().facts(), "mode": MODES[self.mode]}

    def plot(self) -> Figure:
        """Draw the images, or plot the class log-probabilities, along all walks."""
        if not self.values:
            return walk_sheet(self.network, self.walks, Silent()).figure()
        moved = ", ".join([part.attribute for part in self.attributes] or self.factors)
        title = f"{MODES[self.mode].capitalize()} of {moved} (squares: class predicted)"
        return walk_plot(self.values, self.walks, self.network.classes, title)


def walk(data: ChosenData, mode: WalkMode, film: bool = False) -> WalkResult:
    """Walk as `mode` says from images of `data`; with `film` also through the points of an animation.

    Raises UsageError, DataError and CheckpointError as the mode and the data do.
    """
    return show(data.opened, mode, mode.go(data, film), data.choice.seed, data.report)


def show(opened: OpenTranslator, mode: WalkMode, walks: Walks, seed: int, report: Reporter | None = None) -> WalkResult:
    """Let the network answer along walks that `mode` went."""
    network = opened.require_network()
    values: dict[str, Tensor] = {}
    # Images are drawn when they are looked at: a figure and a film have different points.
    if isinstance(network.answer, Classes):
        for kind, z in walks.z.items():
            values[kind] = network.answers(z.flatten(0, 1), report).view(*z.shape[:2], -1)
    rates = {kind: flip_rate(of_kind, walks.strengths) for kind, of_kind in values.items()}
    return WalkResult(
        out="",
        mode=mode.name,
        factors=mode.moving(opened),
        steps=mode.points(opened),
        count=1 if walks.is_grid else len(walks.starts),
        seed=seed,
        translator=opened.called,
        starts=walks.starts.names,
        ends=walks.ends.names if walks.ends is not None else None,
        flip_rate=rates.get(INTERPRETABLE),
        latent_flip_rate=rates.get(LATENT),
        attributes=walks.attributes,
        strength=(walks.strengths[0], walks.strengths[-1]) if walks.strengths else None,
        network=network,
        walks=walks,
        values=values,
    )


def write(result: WalkResult, output: Output, film: str | None = None, report: Reporter | None = None) -> WalkResult:
    """Write figure and film (of the format `film`), or plot and table; returns the result with its place."""
    result, report, figure = replace(result, out=str(output.path)), report or Silent(), output.figure("walk")
    network, walks = result.network, result.walks
    if result.values:
        if figure is not None:
            save_figure(figure, result.plot(), output.figures.dpi)
        if not output.is_figure:
            rows = class_rows(result.values, walks, network.answer)
            write_table(output.path if output.is_file else output.path / "walk.csv", rows)
    else:
        if figure is not None:
            save_page(figure, walk_sheet(network, walks, report), output.figures.dpi)
        if film is not None and (file := output.at(f"walk.{film}")) is not None:
            save_film(file, network, walks, report)
    if not output.is_file:
        write_result(output.path / "walk.json", result.as_dict())
    return result
