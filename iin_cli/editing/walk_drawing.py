"""What a walk shows: figure and film of the images drawn, or plot and table of the classes predicted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import Tensor

from ..errors import UsageError
from ..figures.animation import FORMATS, require_format, save_animation, there_and_back, tile
from ..figures.grids import image_grid, save_png
from ..figures.pictures import picture
from ..figures.plots import plot_walks, save_figure
from ..interpretation.answers import Classes
from ..interpretation.network import Network
from ..io.output import Output
from ..io.tables import write_table
from ..progress import Reporter
from .walk_paths import WalkMode, Walks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PicturedWalk", "PredictedWalk", "ShownWalk", "shown_as"]

SMALLEST_IN_FILM, SMALLEST_ALONE = 128, 256
# Strengths written below a plot, from end to end.
TICKS = 7


class ShownWalk(ABC):
    """A network's answers along walks.

    Attributes:
        endings: of the files that can hold them.
        holds: what such a file is, for a message.
        title: of a plot.
    """

    endings: ClassVar[tuple[str, ...]]
    holds: ClassVar[str]

    def __init__(self, network: Network, walks: Walks, title: str, report: Reporter) -> None:
        self.network, self.walks, self.title, self.report = network, walks, title, report

    @classmethod
    @abstractmethod
    def film_format(cls, network: Network, mode: WalkMode, out: Path | None, animate: str | None) -> str | None:
        """Return the format of the film to write, None for none. UsageError for what cannot be shown."""

    @abstractmethod
    def plot(self) -> Figure:
        """Draw all walks."""

    @abstractmethod
    def write(self, output: Output, film: str | None) -> None:
        """Write what goes into the file or the folder."""

    def flip_rates(self) -> dict[str, float]:
        """Return, for each kind of walk, the fraction of points after the first that are of another class than it.

        Along an attribute the point of least strength counts as the first. Empty where no class is predicted.
        """
        return {}


class PicturedWalk(ShownWalk):
    """Images along walks: a figure, and a film of more points."""

    endings: ClassVar[tuple[str, ...]] = (".png", *(f".{name}" for name in FORMATS))
    holds: ClassVar[str] = "a figure or an animation"

    @classmethod
    def film_format(cls, network: Network, mode: WalkMode, out: Path | None, animate: str | None) -> str | None:
        """Return the format that `out` ends in, else `animate`, else gif; None for a `.png`."""
        ending = _ending(out)
        if animate is not None and (ending in FORMATS or ending == "png"):
            raise UsageError(
                f"--out {out} says what is written: leave --animate out, or name a folder for figure and film"
            )
        film = None if ending == "png" else ending if ending in FORMATS else animate or FORMATS[0]
        if film is not None:
            require_format(film)
        return film

    def plot(self) -> Figure:
        """Show the page."""
        return picture(self.page())

    def write(self, output: Output, film: str | None) -> None:
        """Write figure and film."""
        if (file := output.at("walk.png")) is not None:
            save_png(file, self.page())
        if film is not None and (file := output.at(f"walk.{film}")) is not None:
            self._save_film(file)

    def page(self) -> np.ndarray:
        """Draw one row per walk, between the inputs; of linear walks the interpretable one above the latent one.

        A grid is drawn as it is, without its inputs. Returns uint8 (H, W, 3).
        """
        walks, decoded = self.walks, self._drawn(self.walks.z)
        if walks.is_grid:
            return image_grid(next(iter(decoded.values())).swapaxes(0, 1))
        rows, labels, gaps = [], [], []
        for index in range(len(walks.starts)):
            for kind, images in decoded.items():
                row = [walks.starts.pixels[index][None], images[:, index]]
                row += [walks.ends.pixels[index][None]] if walks.ends is not None else []
                rows.append(np.concatenate(row))
                labels.append(kind if len(decoded) > 1 else "")
            gaps.append(len(rows) - 1)
        steps = len(next(iter(decoded.values())))
        points = [_signed(value) for value in walks.strengths] or [str(step) for step in range(steps)]
        columns = ["target", *points, "source"] if walks.ends is not None else ["input", *points]
        wide = (0, steps) if walks.ends is not None else (0,)
        return image_grid(np.stack(rows), labels if len(decoded) > 1 else (), columns, gaps, wide)

    def _save_film(self, file: Path) -> None:
        """Write the walks side by side as an animation: there and back, or round and round the edge of a grid."""
        walks, decoded = self.walks, np.stack(list(self._drawn(self.walks.film).values()))
        points = decoded.shape[1]
        order, milliseconds = (list(range(points)), [60] * points) if walks.is_grid else there_and_back(points)
        kinds = list(walks.film) if len(walks.film) > 1 else []

        def frames() -> Iterator[np.ndarray]:
            drawn: dict[int, np.ndarray] = {}
            with self.report.task(f"writing {file.name}", len(order), "frames") as task:
                for point in order:
                    if point not in drawn:
                        drawn[point] = _frame(decoded[:, point], kinds, walks.film_strengths[point : point + 1])
                    yield drawn[point]
                    task.advance()

        save_animation(file, frames(), milliseconds)

    def _drawn(self, z: dict[str, Tensor]) -> dict[str, np.ndarray]:
        """Decode (steps, B, N) of each kind to uint8 (steps, B, S, S, 3)."""
        images = {kind: self.network.draw(points.flatten(0, 1), self.report) for kind, points in z.items()}
        return {kind: pixels.reshape(*z[kind].shape[:2], *pixels.shape[1:]) for kind, pixels in images.items()}


class PredictedWalk(ShownWalk):
    """Class log-probabilities along walks: a plot, a table, and how often the class flips."""

    endings: ClassVar[tuple[str, ...]] = (".png", ".json", ".csv")
    holds: ClassVar[str] = "a plot or a table"

    @classmethod
    def film_format(cls, network: Network, mode: WalkMode, out: Path | None, animate: str | None) -> None:
        """Return None; UsageError for a walk that only images show, and for a film."""
        if mode.draws:
            raise UsageError(
                f"{network.name} is a classifier and draws no images for a {mode.name}: "
                "use --mode linear, ou or attribute"
            )
        if animate is not None or _ending(out) in FORMATS:
            raise UsageError(
                f"{network.name} is a classifier, whose walk is a plot and a table: no animation is made of it"
            )

    @cached_property
    def values(self) -> dict[str, Tensor]:
        """Log-probabilities (steps, B, classes) along each kind of walk."""
        return {
            kind: self.network.answers(z.flatten(0, 1), self.report).view(*z.shape[:2], -1)
            for kind, z in self.walks.z.items()
        }

    def plot(self) -> Figure:
        """Plot class log-probabilities, one panel per walk; along an attribute over its strength."""
        walks = self.walks
        panels = [
            (f"{Path(walks.starts.names[index]).name}: {kind} walk", of_kind[:, index].numpy())
            for index in range(len(walks.starts))
            for kind, of_kind in self.values.items()
        ]
        figure = plot_walks(panels, self.network.classes, 2, self.title)
        if walks.strengths:
            ends = walks.strengths[0], walks.strengths[-1]
            labels = [_signed(value) for value in np.linspace(*ends, TICKS).round(12)]
            for panel in figure.axes:
                panel.set_xticks(np.linspace(0, len(walks.strengths) - 1, TICKS), labels)
                panel.set_xlabel("strength" if panel.get_xlabel() else "")
        return figure

    def write(self, output: Output, film: str | None) -> None:
        """Write plot and table."""
        if (file := output.at("walk.png")) is not None:
            save_figure(file, self.plot())
        if output.ending != ".png":
            write_table(output.path if output.is_file else output.path / "walk.csv", self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for every point of every walk: what is predicted, with all log-probabilities."""
        walks, answer = self.walks, self.network.answer
        return [
            {
                "start": walks.starts.names[index],
                "walk": kind,
                "step": step,
                **({"strength": walks.strengths[step]} if walks.strengths else {}),
                **answer.row(row),
            }
            for index in range(len(walks.starts))
            for kind, of_kind in self.values.items()
            for step, row in enumerate(of_kind[:, index])
        ]

    def flip_rates(self) -> dict[str, float]:
        """Return the fraction of points that are of another class than the first of their walk."""
        strengths = self.walks.strengths
        first = int(np.argmin(np.abs(strengths))) if strengths else 0
        predicted = {kind: of_kind.argmax(2) for kind, of_kind in self.values.items()}
        return {
            kind: (of_kind != of_kind[first]).sum().item() / (of_kind.shape[1] * (len(of_kind) - 1))
            for kind, of_kind in predicted.items()
        }


def shown_as(network: Network) -> type[ShownWalk]:
    """Return how walks are shown that `network` answers."""
    return PredictedWalk if isinstance(network.answer, Classes) else PicturedWalk


def _ending(out: Path | None) -> str:
    """Return the ending of a file to write, without its dot."""
    return out.suffix.lower().removeprefix(".") if out is not None and not out.is_dir() else ""


def _frame(images: np.ndarray, kinds: Sequence[str], strength: Sequence[float]) -> np.ndarray:
    """Draw what is seen at one point, images (K, B, S, S, 3)."""
    cells = tile(images)
    rows, columns = cells.shape[:2]
    labels = [kinds[row % len(kinds)] for row in range(rows)] if kinds else ()
    above = [_signed(strength[0]), *[""] * (columns - 1)] if strength else ()
    return image_grid(cells, labels, above, smallest=SMALLEST_ALONE if rows * columns == 1 else SMALLEST_IN_FILM)


def _signed(strength: float) -> str:
    return f"{strength:+.2g}" if strength else "0"
