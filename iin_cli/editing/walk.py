"""Walk through the interpretable representation, and say what the network answers on the way."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from ..interpretation.open_translator import OpenTranslator
from ..interpretation.reading import ChosenData
from ..io.output import Output
from ..io.rundir import write_json
from ..progress import Reporter, Silent
from ..results import Result, Table
from .axes import AxisPart
from .walk_drawing import ShownWalk, shown_as
from .walk_paths import INTERPRETABLE, LATENT, Mode, WalkMode, Walks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["WalkResult", "show", "walk", "write"]


@dataclass(frozen=True)
class WalkResult(Result):
    """What was walked.

    Attributes:
        out: the file or folder written; empty where none was.
        factors: the factors that moved.
        steps: points of each walk, both ends included; of a grid, images a side.
        count: walks, or 1 grid.
        seed: of everything random.
        flip_rate: for a classifier, the fraction of points after the first where the predicted class is not the
            first's, over all interpretable walks; `latent_flip_rate` the same over the latent ones. Else None. Along an
            attribute the point of least strength counts as the first.
        attributes: what the axis of an attribute walk is made of; `strength` its ends.
        shown: the latents, and what the network answers there.
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
    shown: ShownWalk

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "shown"}
        return {**plain, "attributes": [asdict(part) for part in self.attributes]}

    def tables(self) -> list[Table]:
        """Return what the axis is made of as one titled table."""
        rows = [asdict(part) for part in self.attributes]
        return [("axis", rows)] if rows else []

    def plot(self) -> Figure:
        """Draw the images or the class log-probabilities along all walks."""
        return self.shown.plot()


def walk(data: ChosenData, mode: WalkMode, film: bool = False) -> WalkResult:
    """Walk as `mode` says from the images of `data`; with `film` also through the points of an animation.

    Raises UsageError, DataError and CheckpointError as the mode and the data do.
    """
    return show(data.opened, mode, mode.go(data, film), data.choice.seed, data.report)


def show(opened: OpenTranslator, mode: WalkMode, walks: Walks, seed: int, report: Reporter | None = None) -> WalkResult:
    """Let the network answer along walks that `mode` went."""
    network, factors = opened.require_network(), mode.moving(opened)
    moved = ", ".join([part.attribute for part in walks.attributes] or factors)
    title = f"{mode.name} walk of {moved} (squares: class predicted)"
    shown = shown_as(network)(network, walks, title, report or Silent())
    rates = shown.flip_rates()
    return WalkResult(
        out="",
        mode=mode.name,
        factors=factors,
        steps=mode.points(opened),
        count=1 if walks.is_grid else len(walks.starts),
        seed=seed,
        translator=str(opened.path),
        starts=walks.starts.names,
        ends=walks.ends.names if walks.ends is not None else None,
        flip_rate=rates.get(INTERPRETABLE),
        latent_flip_rate=rates.get(LATENT),
        attributes=walks.attributes,
        strength=(walks.strengths[0], walks.strengths[-1]) if walks.strengths else None,
        shown=shown,
    )


def write(result: WalkResult, output: Output, film: str | None = None) -> WalkResult:
    """Write the walk, with a film of the format `film`, and into a folder `walk.json`; returns the result in place."""
    result = replace(result, out=str(output.path))
    result.shown.write(output, film)
    if not output.is_file:
        write_json(output.path / "walk.json", result.as_dict())
    return result
