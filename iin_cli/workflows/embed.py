"""Draw maps of a latent space: z with walks (Fig 10), factor against factor (Figs 9, 13, 14), and the residual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..distributed import draw_seed
from ..errors import IinError, UsageError, nearest
from ..figures.embeddings import Coloring, Plane, plot_planes, plot_walks_on_map
from ..figures.plots import save_figure
from ..io.rundir import write_json
from ..metrics.bootstrap import Interval, mean_interval
from ..metrics.embedding import Method, Projection, project, require_method
from ..metrics.neighbours import nearest_rows
from ..progress import Reporter, Silent
from ..translator import edit
from ..translator.factors import RESIDUAL
from .embed_animation import animate_product
from .embed_colors import choose_colorings
from .opening import open_translator
from .outputs import open_output
from .predictions import write_table
from .reading import Reading, from_tilde, open_reading
from .swap import check_factors
from .walk_paths import walk_noise

__all__ = ["EmbedResult", "Kind", "embed"]

Kind = Literal["latent", "product", "residual"]
STARTS = 16


@dataclass(frozen=True)
class EmbedResult:
    """What was embedded.

    Attributes:
        out: the file or folder written.
        count: images.
        figures: file names of the figures made.
        factors: those that walk on the map, and that are drawn against each other.
        stays: of the map with walks, factor -> the fraction of walks' points whose nearest image, in z, has the class
            of the walk's start, over walks from 16 images of which the first is drawn; None without class labels.
        failures: kind -> why it could not be drawn.
    """

    out: str
    method: Method
    kinds: tuple[Kind, ...]
    count: int
    seed: int
    translator: str
    data: str
    factors: tuple[str, ...]
    figures: tuple[str, ...] = ()
    stays: dict[str, Interval] | None = None
    failures: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)

    def tables(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return how well each factor's walk keeps the class, and what could not be drawn."""
        stays = [
            {"factor": name, "stays_in_class": str(share), "starts": share.items}
            for name, share in (self.stays or {}).items()
        ]
        failures = [{"kind": kind, "reason": reason} for kind, reason in self.failures.items()]
        tables = [("walks on the map", stays), ("not drawn", failures)]
        return [(title, rows) for title, rows in tables if rows]


def embed(
    translator: Path,
    kinds: Sequence[str] = (),
    out: Path | None = None,
    *,
    method: str = "umap",
    factors: Sequence[str] = (),
    color_by: Sequence[str] = (),
    n: int = 1000,
    steps: int = 50,
    gamma: float = 0.1,
    walk_sigma: float | None = None,
    coordinates: bool = False,
    data: str | None = None,
    data_root: Path | None = None,
    split: str = "test",
    seed: int | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> EmbedResult:
    """Embed `n` images of the translator's data, and draw them as maps; equal seeds give equal figures.

    Args:
        kinds: of the figures: `latent` (`latent.png`), `product` (`product.png`, `product.gif`), `residual`
            (`residual.png`); all when empty.
        out: a new folder, or for one kind a new `.png`, for `product` also a `.gif` (the animation).
        method: umap, or pca, which needs no other package.
        factors: those that walk and are drawn against each other; default all, in the product without the residual.
        color_by: label columns; default: class on the map, elsewhere the columns named after the factors.
        steps, gamma, walk_sigma: of the walks of Eq 17.
        coordinates: write `embed.csv`, every image's labels and places.

    A figure that cannot be drawn is named with its reason, the others are made; `embed.json` grows with each. Raises
    UsageError (method, kind, factor, `out`), DataError (images; no figure at all), CheckpointError (unfit files).
    """
    report, seed = report or Silent(), draw_seed(seed)
    walk = _Walk(steps, gamma, walk_sigma)
    wanted = _check(kinds, method, walk, translator, factors)
    endings = () if len(wanted) > 1 else (".png", ".gif") if wanted == ("product",) else (".png",)
    with open_output(out, "embed", endings, "several figures" if len(wanted) > 1 else "a figure") as (place, is_file):
        where = {"data": data, "data_root": data_root, "split": split, "n": n, "seed": seed}
        reading = open_reading(translator, **where, backbone=backbone, device=device, report=report)
        work = _Maps(reading, method, tuple(factors), tuple(color_by), seed, report)
        failures: dict[str, IinError] = {}
        result = None
        for kind in wanted:
            try:
                work.draw(kind, place, is_file, walk)
            except IinError as error:
                report.warn(f"{kind} is not drawn: {error}")
                failures[kind] = error
            result = work.result(place, wanted, {name: str(error) for name, error in failures.items()})
            if not is_file and work.figures:
                write_json(place / "embed.json", result.as_dict())
        if len(failures) == len(wanted):
            raise failures[wanted[0]]
        if coordinates and not is_file:
            write_table(place / "embed.csv", work.table())
    return result


@dataclass(frozen=True)
class _Walk:
    """The walks' settings, Eq 17."""

    steps: int
    gamma: float
    sigma: float | None


def _check(
    kinds: Sequence[str], method: str, walk: _Walk, translator: Path, factors: Sequence[str]
) -> tuple[Kind, ...]:
    """Refuse what cannot be drawn before anything is encoded; returns the kinds in their order."""
    for kind in kinds:
        if kind not in get_args(Kind):
            raise UsageError(f"--kind {kind!r}: {nearest(kind, get_args(Kind))}")
    require_method(method)
    if walk.steps < 2:
        raise UsageError(f"a walk needs at least 2 steps, got {walk.steps}")
    if not 0 < walk.gamma <= 1:
        raise UsageError(f"gamma must be in (0, 1], got {walk.gamma}")
    if factors:
        check_factors(open_translator(translator, with_backbone=False), factors)
    return tuple(kind for kind in get_args(Kind) if not kinds or kind in kinds)


class _Maps:
    """The maps of one call, each embedded once."""

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

    def draw(self, kind: Kind, place: Path, is_file: bool, walk: _Walk) -> None:
        """Draw one kind of figure into the folder `place`, or as the file `place`."""
        if kind == "latent":
            self._save(place, is_file, "latent.png", lambda: self._latent(walk))
        elif kind == "residual":
            self._save(place, is_file, "residual.png", self._residual)
        else:
            self._product(place, is_file)

    def result(self, place: Path, kinds: tuple[Kind, ...], failures: dict[str, str]) -> EmbedResult:
        """Return what was made so far."""
        return EmbedResult(
            str(place),
            self.method,
            kinds,
            len(self.reading),
            self.seed,
            str(self.reading.opened.path),
            self.reading.dataset.name,
            self.factors,
            tuple(self.figures),
            self.stays,
            failures,
        )

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

    def _latent(self, walk: _Walk) -> Any:
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

    def _walked(self, name: str, walk: _Walk) -> Tensor:
        """Walk factor `name` from the first images, z (steps, starts, N)."""
        start = self.reading.z_tilde[:STARTS]
        kicks = walk_noise(range(self.seed, self.seed + len(start)), walk.steps, start.shape[1])
        walked = edit.ou_walk(start, self.reading.opened.factors, [name], kicks, walk.gamma, walk.sigma)
        return from_tilde(self.reading.opened, walked)

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
