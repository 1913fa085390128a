"""The maps of one embedding: z with walks (Fig 10), factor against factor (Figs 9, 13, 14), and the residual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ...editing.walk_paths import walk_noise
from ...errors import UsageError
from ...figures.embeddings import Coloring, Plane, plot_planes, plot_walks_on_map
from ...figures.plots import save_figure
from ...interpretation.reading import Reading
from ...metrics.bootstrap import Interval, mean_interval
from ...metrics.embedding import Method, Projection, project
from ...metrics.neighbours import nearest_rows
from ...progress import Reporter
from ...translator import edit
from ...translator.factors import RESIDUAL
from .animation import animate_product
from .colors import choose_colorings

__all__ = ["Kind", "Maps", "Walk"]

Kind = Literal["latent", "product", "residual"]
# Images that walks start from.
STARTS = 16


@dataclass(frozen=True)
class Walk:
    """The walks' settings, Eq 17."""

    steps: int
    gamma: float
    sigma: float | None


class Maps:
    """The maps of one call, each embedded once.

    Attributes:
        figures: file names of those drawn so far; `stays`: how well each factor's walk keeps the class.
        places: what was embedded -> where each image lies.
    """

    def __init__(
        self,
        reading: Reading,
        method: Method,
        factors: tuple[str, ...],
        color_by: tuple[str, ...],
        seed: int,
        report: Reporter,
    ) -> None:
        self.reading, self.method, self.seed, self.report = reading, method, seed, report
        self.color_by = color_by
        self.factors = factors or reading.opened.factors.names
        self.figures: list[str] = []
        self.stays: dict[str, Interval] | None = None
        self.places: dict[str, np.ndarray] = {}
        self.chosen: dict[tuple[str, ...], list[Coloring]] = {}

    def draw(self, kind: Kind, place: Path, is_file: bool, walk: Walk) -> None:
        """Draw one kind of figure into the folder `place`, or as the file `place`."""
        if kind == "latent":
            self._save(place, is_file, "latent.png", lambda: self._latent(walk))
        elif kind == "residual":
            self._save(place, is_file, "residual.png", self._residual)
        else:
            self._product(place, is_file)

    def table(self) -> list[dict[str, Any]]:
        """Return a row per image: its item, its labels, and where it lies on every map."""
        dataset, items = self.reading.dataset, self.reading.items
        columns = {f"label.{name}": labels.values[items].tolist() for name, labels in dataset.labels.items()}
        for name, points in self.places.items():
            columns |= {f"{name}.{axis}": points[:, axis].tolist() for axis in range(points.shape[1])}
        names = [dataset.path(int(item)) for item in items]
        rows = zip(items.tolist(), names, *columns.values(), strict=True)
        return [dict(zip(("item", "image", *columns), row, strict=True)) for row in rows]

    def _save(self, place: Path, is_file: bool, name: str, draw: Callable[[], Any]) -> None:
        save_figure(place if is_file else place / name, draw())
        self.figures.append(place.name if is_file else name)

    def _project(self, what: str, rows: Tensor, dims: int) -> Projection:
        with self.report.task(f"{self.method} of {what}", None, "maps") as task:
            projection = project(rows.numpy(), dims, self.method, self.seed)
            task.advance()
        self.places[what] = projection.points
        return projection

    def _latent(self, walk: Walk) -> Any:
        """Fig 10: a walk of each factor from one image, on the map of z; of more walks it is counted where they go."""
        reading = self.reading
        projection = self._project("z", reading.z, 2)
        plane = _plane(projection, self.seed, "z")
        walks = {}
        self.stays = {} if "class" in reading.dataset.labels else None
        with self.report.task("walking", len(self.factors), "factors") as task:
            for name in self.factors:
                z = self._walked(name, walk)
                path = _plane_points(projection.place(z[:, 0].numpy()), self.seed)
                # The start lies on the map already; `place` would put it only near.
                path[0] = plane.points[0]
                walks[name] = path
                if self.stays is not None:
                    self.stays[name] = self._stays(z)
                task.advance()
        coloring = choose_colorings(reading, (), self.color_by, self.report)[0]
        return plot_walks_on_map(plane, coloring, self._titles(walks), f"{self.method} of z, walks from one image")

    def _walked(self, name: str, walk: Walk) -> Tensor:
        """Walk factor `name` from the first images, z (steps, starts, N)."""
        start = self.reading.z_tilde[:STARTS]
        kicks = walk_noise(range(self.seed, self.seed + len(start)), walk.steps, start.shape[1])
        walked = edit.OUWalk(start, self.reading.opened.factors, [name], kicks, walk.gamma, walk.sigma)
        return self.reading.opened.inverse_transform(walked)

    def _stays(self, z: Tensor) -> Interval:
        labels = torch.from_numpy(self.reading.dataset.labels["class"].values[self.reading.items])
        near, _ = nearest_rows(z[1:].flatten(0, 1), self.reading.z, 1)
        own = labels[near[:, 0]].view(len(z) - 1, -1) == labels[: z.shape[1]]
        return mean_interval(own.double().T.numpy())

    def _titles(self, walks: dict[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
        stays = self.stays or {}
        return [
            (f"{name} walks" + (f": {stays[name].value:.0%} stay in class" if name in stays else ""), path)
            for name, path in walks.items()
        ]

    def _product(self, place: Path, is_file: bool) -> None:
        """Figs 9 (right), 13, 14: each factor's own 1-D embedding against another's, and the first pair in motion."""
        known = self.reading.opened.factors
        names = [name for name in self.factors if name != RESIDUAL]
        # A lone factor has only the residual to be drawn against.
        names = names if len(names) > 1 else list(dict.fromkeys([*names, *known.names[::-1]]))[:2]
        if len(names) < 2:
            raise UsageError(f"factor against factor needs two of them, and {self.reading.opened.path} has one")
        lines = {name: self._project(name, self.reading.z_tilde[:, known.slice(name)], 1) for name in names}
        planes = {pair: _against(pair, [lines[name] for name in pair]) for pair in combinations(names, 2)}
        if not is_file or place.suffix.lower() == ".png":
            colorings = self._colorings(names)
            self._save(place, is_file, "product.png", lambda: self._planes(list(planes.values()), colorings, "factors"))
        if not is_file or place.suffix.lower() == ".gif":
            pair, plane = next(iter(planes.items()))
            file = place if is_file else place / "product.gif"
            animate_product(file, self.reading, plane, pair, (lines[pair[0]], lines[pair[1]]), self.report)
            self.figures.append(file.name)

    def _residual(self) -> Any:
        """The residual in two dimensions: where a concept's colours do not mix, some of the concept was left in it."""
        known = self.reading.opened.factors
        projection = self._project(RESIDUAL, self.reading.z_tilde[:, known.slice(RESIDUAL)], 2)
        names = [name for name in known.names if name != RESIDUAL]
        colorings = self._colorings(names)
        return self._planes([_plane(projection, self.seed, RESIDUAL)], colorings, RESIDUAL)

    def _colorings(self, names: Sequence[str]) -> list[Coloring]:
        # Kept, so that what has no colours is said once.
        if tuple(names) not in self.chosen:
            self.chosen[tuple(names)] = choose_colorings(self.reading, names, self.color_by, self.report)
        return self.chosen[tuple(names)]

    def _planes(self, planes: list[Plane], colorings: list[Coloring], what: str) -> Any:
        return plot_planes(planes, colorings, f"{self.method} of {what}, {len(self.reading)} images")


def _plane(projection: Projection, seed: int, title: str) -> Plane:
    axes = (*projection.axes, "(at random, to be seen)")
    return Plane(_plane_points(projection.points, seed), axes[:2], title)


def _plane_points(points: np.ndarray, seed: int) -> np.ndarray:
    """Give points of one dimension a second, at random."""
    if points.shape[1] > 1:
        return points.copy()
    return np.concatenate((points, np.random.default_rng(seed).random(points.shape)), 1)


def _against(pair: tuple[str, str], lines: Sequence[Projection]) -> Plane:
    points = np.concatenate([line.points for line in lines], 1)
    first, second = (f"{name}: {line.axes[0]}" for name, line in zip(pair, lines, strict=True))
    return Plane(points, (first, second), f"{pair[1]} against {pair[0]}")
