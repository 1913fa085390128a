"""Draw maps of a latent space: z with walks (Fig 10), factor against factor (Figs 9, 13, 14), and the residual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from ...distributed import draw_seed
from ...errors import IinError, UsageError, nearest
from ...interpretation.opening import open_translator
from ...io.rundir import write_json
from ...io.tables import write_table
from ...metrics.bootstrap import Interval
from ...metrics.embedding import Method, require_method
from ...progress import Reporter, Silent
from .maps import Kind, Maps, Walk

__all__ = ["EmbedResult", "embed"]


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
    walk = Walk(steps, gamma, walk_sigma)
    wanted = _check(kinds, method, walk, translator, factors)
    endings = () if len(wanted) > 1 else (".png", ".gif") if wanted == ("product",) else (".png",)
    with open_output(out, "embed", endings, "several figures" if len(wanted) > 1 else "a figure") as (place, is_file):
        where = {"data": data, "data_root": data_root, "split": split, "n": n, "seed": seed}
        reading = open_reading(translator, **where, backbone=backbone, device=device, report=report)
        work = Maps(reading, method, tuple(factors), tuple(color_by), seed, report)
        failures: dict[str, IinError] = {}
        result = None
        for kind in wanted:
            try:
                work.draw(kind, place, is_file, walk)
            except IinError as error:
                report.warn(f"{kind} is not drawn: {error}")
                failures[kind] = error
            result = _result(work, place, wanted, {name: str(error) for name, error in failures.items()})
            if not is_file and work.figures:
                write_json(place / "embed.json", result.as_dict())
        if len(failures) == len(wanted):
            raise failures[wanted[0]]
        if coordinates and not is_file:
            write_table(place / "embed.csv", work.table())
    return result


def _check(kinds: Sequence[str], method: str, walk: Walk, translator: Path, factors: Sequence[str]) -> tuple[Kind, ...]:
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
        check_factors(open_translator(translator, with_network=False), factors)
    return tuple(kind for kind in get_args(Kind) if not kinds or kind in kinds)


def _result(work: Maps, place: Path, kinds: tuple[Kind, ...], failures: dict[str, str]) -> EmbedResult:
    """Return what was made so far."""
    reading = work.reading
    return EmbedResult(
        str(place),
        work.method,
        kinds,
        len(reading),
        work.seed,
        str(reading.opened.path),
        reading.dataset.name,
        work.factors,
        tuple(work.figures),
        work.stays,
        failures,
    )
