"""The maps of one embedding: z with walks (Fig 10), factor against factor (Figs 9, 13, 14), and the residual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from ...editing.walk_paths import walk_noise
from ...errors import UsageError
from ...figures.embeddings import Plane, plot_planes, plot_walks_on_map
from ...figures.saving import save_figure
from ...interpretation.answers import Nothing
from ...interpretation.reading import Reading
from ...io.output import Output
from ...metrics.bootstrap import Interval, Resampling, mean_interval
from ...metrics.embedding import Method, Projection, project
from ...metrics.neighbours import nearest_rows
from ...progress import Reporter
from ...translator.edit import OUWalk
from ...translator.factors import RESIDUAL
from .animation import Film, product_film
from .colors import Colors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Atlas", "Kind", "Map"]

Kind = Literal["latent", "product", "residual"]
# Images that walks start from.
STARTS = 16


@dataclass(frozen=True)
class Map:
    """What one kind of figure shows; drawn when it is asked for.

    Attributes:
        plot: draws it.
        film: shows it in motion; None where it only stands still.
        stays: of walks on the map, factor -> fraction of their points that stay in the start's class.
    """

    kind: Kind
    plot: Callable[[], Figure]
    film: Callable[[], Film] | None = None
    stays: dict[str, Interval] | None = None

    def write(self, output: Output) -> list[str]:
        """Write the figure, and the film, where `output` takes them; returns the names of the files."""
        figure, film = output.figure(self.kind), output.at(f"{self.kind}.gif")
        if figure is not None:
            save_figure(figure, self.plot(), output.figures.dpi)
        if self.film is None:
            film = None
        elif film is not None:
            self.film().save(film)
        return [file.name for file in (figure, film) if file is not None]


class Atlas:
    """The maps of one call.

    Attributes:
        factors: those that walk, and that are drawn against each other.
        places: what was embedded -> where each image lies, (M, dims).
    """

    def __init__(
        self, reading: Reading, method: Method, walk: OUWalk, color_by: Sequence[str], seed: int, report: Reporter
    ) -> None:
        self.reading, self.walk, self.seed, self.report = reading, walk, seed, report
        self.method: Method = method
        self.factors = reading.opened.choose_factors(walk.factors)
        self.colors = Colors(reading, color_by, report)
        self.places: dict[str, np.ndarray] = {}

    def draw(self, kind: Kind) -> Map:
        """Embed what a kind of figure shows. Raises DataError where it has no map, UsageError for a lone factor."""
        return {"latent": self._latent, "product": self._product, "residual": self._residual}[kind]()

    def _latent(self) -> Map:
        """Fig 10: walks of each factor from one image, on the map of z; more walks say whether the class stays."""
        reading = self.reading
        projection = self._project("z", reading.z, 2)
        plane = self._plane(projection, "z")
        walks: list[tuple[str, np.ndarray]] = []
        stays = {} if "class" in reading.dataset.labels else None
        with self.report.task("walking", len(self.factors), "factors") as task:
            for name in self.factors:
                z, title = self._walked(name), f"{name} walks"
                path = self._points(projection.place(z[:, 0].numpy()))
                # The start lies on the map already; `place` would put it only near.
                path[0] = plane.points[0]
                if stays is not None:
                    stays[name] = self._stays(z)
                    title += f": {stays[name].value:.0%} stay in class"
                walks.append((title, path))
                task.advance()

        def plot() -> Figure:
            coloring = self.colors.of(())[0]
            return plot_walks_on_map(plane, coloring, walks, f"{self.method.upper()} of z, walks from one image")

        return Map("latent", plot, stays=stays)

    def _product(self) -> Map:
        """Figs 9 (right), 13, 14: each factor's own 1-D embedding against another's, and the first pair in motion."""
        known = self.reading.opened.factors
        names = [name for name in self.factors if name != RESIDUAL]
        # A lone factor has only the residual to be drawn against.
        names = names if len(names) > 1 else list(dict.fromkeys([*names, *known.names[::-1]]))[:2]
        if len(names) < 2:
            raise UsageError(f"factor against factor needs two of them, and {self.reading.opened.called} has one")
        lines = {name: self._project(name, self.reading.z_tilde[:, known.slice(name)], 1) for name in names}
        planes = {pair: _against(pair, [lines[name] for name in pair]) for pair in combinations(names, 2)}
        first, plane = next(iter(planes.items()))
        ends = (lines[first[0]], lines[first[1]])
        film = partial(product_film, self.reading, plane, first, ends, self.report)
        answers = not isinstance(self.reading.network.answer, Nothing)
        return Map("product", partial(self._plot, list(planes.values()), names, "factors"), film if answers else None)

    def _residual(self) -> Map:
        """The residual in two dimensions: where a concept's colours do not mix, some of the concept was left in it."""
        known = self.reading.opened.factors
        projection = self._project(RESIDUAL, self.reading.z_tilde[:, known.slice(RESIDUAL)], 2)
        names = [name for name in known.names if name != RESIDUAL]
        return Map("residual", partial(self._plot, [self._plane(projection, RESIDUAL)], names, RESIDUAL))

    def _plot(self, planes: Sequence[Plane], names: Sequence[str], what: str) -> Figure:
        return plot_planes(
            planes, self.colors.of(names), f"{self.method.upper()} of {what}, {len(self.reading)} images"
        )

    def _project(self, what: str, rows: Tensor, dims: int) -> Projection:
        with self.report.task(f"{self.method} of {what}", None, "maps") as task:
            projection = project(rows.numpy(), dims, self.method, self.seed)
            task.advance()
        self.places[what] = projection.points
        return projection

    def _walked(self, name: str) -> Tensor:
        """Let factor `name` walk from the first images, z (steps, starts, N)."""
        start, opened = self.reading.z_tilde[:STARTS], self.reading.opened
        kicks = walk_noise(range(self.seed, self.seed + len(start)), self.walk.steps, start.shape[1])
        return opened.inverse_transform(replace(self.walk, factors=name).path(start, opened.factors, kicks))

    def _stays(self, z: Tensor) -> Interval:
        """Return the fraction of walked points whose nearest image has the class of the walk's start."""
        labels = torch.from_numpy(self.reading.dataset.labels["class"].values[self.reading.items])
        near, _ = nearest_rows(z[1:].flatten(0, 1), self.reading.z, 1)
        own = labels[near[:, 0]].view(len(z) - 1, -1) == labels[: z.shape[1]]
        return mean_interval(own.double().T.numpy(), Resampling(seed=self.seed))

    def _plane(self, projection: Projection, title: str) -> Plane:
        axes = (*projection.axes, "(at random, to be seen)")
        return Plane(self._points(projection.points), (axes[0], axes[1]), title)

    def _points(self, points: np.ndarray) -> np.ndarray:
        """Give points of one dimension a second, at random."""
        if points.shape[1] > 1:
            return points.copy()
        return np.concatenate((points, np.random.default_rng(self.seed).random(points.shape)), 1)


def _against(pair: tuple[str, str], lines: Sequence[Projection]) -> Plane:
    points = np.concatenate([line.points for line in lines], 1)
    first, second = (f"{name}: {line.axes[0]}" for name, line in zip(pair, lines, strict=True))
    return Plane(points, (first, second), f"{pair[1]} against {pair[0]}")
