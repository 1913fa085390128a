"""Draw maps of a latent space: z with walks (Fig 10), factor against factor (Figs 9, 13, 14), and the residual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from ...errors import IinError, one_of
from ...interpretation.performance import Performance, performance_of
from ...interpretation.reading import Reading
from ...metrics.bootstrap import Interval
from ...metrics.embedding import Method, require_method
from ...progress import Reporter, Silent
from ...results import Result, Table
from ...translator.edit import OUWalk
from .maps import Atlas, Kind, Map

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EmbedResult", "MapChoice", "embed_items"]


@dataclass(frozen=True)
class MapChoice:
    """Which maps are made, and how.

    Attributes:
        kinds: `latent`, `product` and `residual`, in this order; all where none is named.
        method: `umap`, or `pca`, which needs no other package.
        color_by: label columns; default: class on the map of z, elsewhere the columns named after the factors.

    Raises UsageError for an unknown kind or method, and for one that is not installed.
    """

    kinds: tuple[Kind, ...] = ()
    method: Method = "umap"
    color_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind in self.kinds:
            one_of("--kind", kind, get_args(Kind))
        require_method(self.method)
        kinds = tuple(kind for kind in get_args(Kind) if not self.kinds or kind in self.kinds)
        object.__setattr__(self, "kinds", kinds)


@dataclass(frozen=True)
class EmbedResult(Result):
    """What was embedded.

    Attributes:
        out: the file or folder written; empty where nothing was.
        count: images.
        factors: those that walk on the map, and that are drawn against each other.
        performance: how well the network does on these images.
        reading: what was embedded.
        figures: file names of the figures written.
        stays: on the map of z, factor -> the fraction of walks' points whose nearest image, in z, has the class of the
            walk's start, over walks from 16 images of which the first is drawn; None without class labels.
        failures: kind -> why it could not be drawn.
        maps: kind -> what draws it.
        places: what was embedded -> where each image lies, (M, dims).
    """

    out: str
    method: Method
    kinds: tuple[Kind, ...]
    count: int
    seed: int
    translator: str
    data: str
    factors: tuple[str, ...]
    performance: Performance
    reading: Reading = field(repr=False, compare=False)
    figures: tuple[str, ...] = ()
    stays: dict[str, Interval] | None = None
    failures: dict[str, str] = field(default_factory=dict)
    maps: dict[Kind, Map] = field(default_factory=dict, repr=False, compare=False)
    places: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def tables(self) -> list[Table]:
        """Return how well the network does and each factor's walk keeps the class, and what could not be drawn."""
        stays = [
            {"factor": name, "stays_in_class": str(share), "starts": share.items}
            for name, share in (self.stays or {}).items()
        ]
        failures = [{"kind": kind, "reason": reason} for kind, reason in self.failures.items()]
        parts = (self.performance.table(), ("walks on the map", stays), ("not drawn", failures))
        return [(title, rows) for title, rows in parts if rows]

    def plot(self) -> Figure:
        """Draw the first kind; the others are drawn by `maps[kind].plot()`."""
        return next(iter(self.maps.values())).plot()

    def coordinates(self) -> list[dict[str, Any]]:
        """Return a row per image: its item, its labels, and where it lies on every map."""
        dataset, items = self.reading.dataset, self.reading.items
        columns = {"item": items.tolist(), "image": [dataset.path(int(item)) for item in items]}
        columns |= {f"label.{name}": labels.values[items].tolist() for name, labels in dataset.labels.items()}
        for name, points in self.places.items():
            columns |= {f"{name}.{axis}": points[:, axis].tolist() for axis in range(points.shape[1])}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def embed_items(
    reading: Reading,
    choice: MapChoice,
    walk: OUWalk,
    seed: int = 0,
    report: Reporter | None = None,
    save: Callable[[EmbedResult], None] | None = None,
) -> EmbedResult:
    """Embed the items of `reading` as maps; equal seeds give equal maps.

    Args:
        choice: which maps.
        walk: Eq 17; its factors walk and are drawn against each other, all of the translator's where it names none.
        save: called with the result so far after every kind.

    A kind that cannot be drawn is recorded in `failures`; its error is raised only where none can be drawn. Raises
    DataError for fewer than 4 items or a label column that is not there, UsageError for an unknown factor.
    """
    report = report or Silent()
    atlas = Atlas(reading, choice.method, walk, choice.color_by, seed, report)
    where = {"translator": reading.opened.called, "data": reading.dataset.name, "reading": reading}
    where["performance"] = performance_of(reading, seed, report)
    result = EmbedResult("", choice.method, choice.kinds, len(reading), seed, factors=atlas.factors, **where)
    first: IinError | None = None
    for kind in choice.kinds:
        try:
            made = atlas.draw(kind)
            result = replace(result, maps={**result.maps, kind: made}, stays=made.stays or result.stays)
        except IinError as error:
            report.warn(f"{kind} is not drawn: {error}")
            first = first or error
            result = replace(result, failures={**result.failures, kind: str(error)})
        result = replace(result, places=dict(atlas.places))
        if save is not None:
            save(result)
    if first is not None and not result.maps:
        raise first
    return result
