"""Walk through the interpretable representation: lines (Fig 4), attributes (Eq 14), grids (Fig 7), chance (Eq 17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..distributed import choose_device, draw_seed
from ..figures.grids import save_png
from ..figures.plots import save_figure
from ..interpretation.data_choice import choose_items
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.opening import open_translator
from ..interpretation.reading import Inputs
from ..io.rundir import write_json
from ..io.tables import write_table
from ..plugin_api import Dataset
from ..progress import Reporter, Silent
from ..translator.edit import Center
from .attributes import parse_attributes
from .axes import AXIS_IMAGES, Axis, AxisPart, axis_from_folders, axis_from_labels
from .walk_drawing import class_rows, class_values, flip_rate, save_film, walk_figure, walk_plot
from .walk_paths import INTERPRETABLE, LATENT, Walks, attribute_walks, corner_grid, linear_walks, wandering_walks
from .walk_wishes import AxisWish, Mode, Where, check_axis, check_choices, film_format, open_place, usual_steps

__all__ = ["WalkResult", "walk"]

STRENGTH = (-3.0, 3.0)


@dataclass(frozen=True)
class WalkResult:
    """What was walked.

    Attributes:
        out: the file or folder written.
        factors: the factors that moved; all where `--factor` names none.
        steps: points of each walk, both ends included; of a grid, images a side.
        count: walks, or 1 grid.
        flip_rate: of a classifier, the fraction of points after the first where the predicted class is not the first's,
            over all interpretable walks; `latent_flip_rate` the same over the latent ones. Else None. Along an
            attribute the point of least strength counts as the first.
        attributes: of an attribute walk, what its axis is made of; `strength` its ends.
    """

    out: str
    mode: Mode
    factors: tuple[str, ...]
    steps: int
    count: int
    seed: int
    translator: str
    starts: tuple[str, ...]
    ends: tuple[str, ...] | None = None
    flip_rate: float | None = None
    latent_flip_rate: float | None = None
    attributes: tuple[AxisPart, ...] = ()
    strength: tuple[float, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)

    def tables(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return what a person reads as tables: title and rows."""
        rows = [asdict(part) for part in self.attributes]
        return [("axis", rows)] if rows else []


def walk(
    translator: Path,
    mode: Mode = "linear",
    factors: Sequence[str] = (),
    target: Sequence[Path] = (),
    source: Sequence[Path] = (),
    out: Path | None = None,
    *,
    steps: int | None = None,
    n: int = 4,
    gamma: float = 0.1,
    walk_sigma: float | None = None,
    center: Center = "origin",
    attributes: Sequence[str] = (),
    with_folder: Path | None = None,
    without_folder: Path | None = None,
    strength: tuple[float, float] | None = None,
    axis_images: int = AXIS_IMAGES,
    animate: str | None = None,
    data: str | None = None,
    data_root: Path | None = None,
    split: str = "test",
    seed: int | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> WalkResult:
    """Walk from images, and draw what the backbone shows or predicts along the way.

    `linear` goes from each target to its source: the interpretable walk on the straight line in z̃, in the chosen
    factors only where some are given, and below it the latent walk on the straight line in z between the same ends.
    `ou` lets the chosen factors of each target wander (Eq 17). `grid` spreads z̃ between four targets, linearly in
    both directions (Fig 7). `attribute` adds an attribute to each target, or takes it away (Fig 8): z̃ − s · axis, with
    Eq 14's axis, the mean z̃ of images without the attribute minus that of images with it. So a strength s of 1 adds
    the whole difference between the two means, and a negative one takes it away.

    Args:
        factors: names of the translator's factors; `ou` needs at least one.
        target, source: images (files or folders); what is not given is drawn from the data, `n` each, by `seed`.
        out: a new folder, which gets figure and film, or the file of one: `.png`, `.gif`, `.webp`, `.mp4`; of a
            classifier `.png`, `.json`, `.csv`.
        steps: points of a walk; None: 8 for images, 50 for a classifier, along an attribute 7 and 51.
        gamma: rate of return γ in (0, 1] of `ou`.
        walk_sigma: step size of `ou`; None keeps N(0, 1) stationary.
        center: `ou` is pulled back to the origin, or to the input.
        attributes: `NAME[=VALUE][:WEIGHT]`, as `parse_attributes` and `has_attribute` read them.
        with_folder, without_folder: images with an attribute and without, instead of `attributes`.
        strength: where an attribute walk begins and ends; None: −3 to 3.
        axis_images: images that the axis averages, at most.
        animate: format of the film in a folder: gif (the default), webp or mp4.

    Raises UsageError, DataError and CheckpointError as their docstrings say.
    """
    report, where = report or Silent(), Where(data, data_root, split, n, draw_seed(seed))
    wish = AxisWish(attributes, with_folder, without_folder, strength, axis_images)
    check_choices(mode, center, source, n)
    check_axis(mode, wish)
    opened = open_translator(translator, choose_device(device), backbone)
    film = film_format(opened.backbone, mode, out, animate)
    if mode == "ou" or factors:
        opened.require_factors(factors)
    names, steps = tuple(factors) or opened.factors.names, steps or usual_steps(opened.backbone, mode)
    label = "-".join([f"walk-{mode}", *factors, *(text.partition(":")[0] for text in attributes)])
    with open_place(out, label, opened.backbone) as (place, is_file):
        axis = None
        if mode == "linear":
            pairs = targets_and_sources(opened, target, source, **vars(where))
            walks = linear_walks(opened, *pairs, names, steps, film is not None)
        elif mode == "ou":
            begin = starts(opened, target, **vars(where))
            walks = wandering_walks(
                opened, begin, names, steps, where.seed, gamma, walk_sigma, center, film is not None
            )
        elif mode == "grid":
            walks = corner_grid(opened, starts(opened, target, **vars(where)), names, steps, film is not None)
        else:
            begin, axis = _begin_and_axis(opened, target, wish, names, where, report)
            walks = attribute_walks(opened, begin, axis.vector, strength or STRENGTH, steps, film is not None)
        result = WalkResult(
            str(place),
            mode,
            names,
            steps,
            1 if walks.is_grid else len(walks.starts),
            where.seed,
            str(opened.path),
            walks.starts.names,
            walks.ends.names if walks.ends is not None else None,
            attributes=axis.parts if axis is not None else (),
            strength=(walks.strengths[0], walks.strengths[-1]) if walks.strengths else None,
        )
        result = _write(opened, walks, result, place, is_file, film, report)
        if not is_file:
            write_json(place / "walk.json", result.as_dict())
    return result


def _begin_and_axis(
    opened: OpenTranslator,
    target: Sequence[Path],
    wish: AxisWish,
    names: Sequence[str],
    where: Where,
    report: Reporter,
) -> tuple[Inputs, Axis]:
    """Return where an attribute walk begins, and its axis; the data is opened once for both."""
    if wish.attributes:
        dataset = open_data(where.data, recorded_data(opened), where.data_root, report)
        begin = starts(opened, target, **vars(where)) if target else _drawn(opened, dataset, where)
        attributes = parse_attributes(wish.attributes)
        return begin, axis_from_labels(opened, dataset, attributes, names, wish.most, report)
    begin = starts(opened, target, **vars(where))
    return begin, axis_from_folders(opened, wish.with_folder, wish.without_folder, names, wish.most, report)


def _drawn(opened: OpenTranslator, dataset: Dataset, where: Where) -> Inputs:
    items = choose_items(dataset, where.split, where.n, where.seed)
    pixels = dataset.images(items, opened.backbone.image_size, opened.backbone.interpolation)
    return Inputs(pixels, tuple(dataset.path(int(item)) for item in items))


def _write(
    opened: OpenTranslator,
    walks: Walks,
    result: WalkResult,
    place: Path,
    is_file: bool,
    film: str | None,
    report: Reporter,
) -> WalkResult:
    """Write what the walk shows into the file or the folder; of a classifier, also say how often predictions flip."""
    ending = place.suffix.lower() if is_file else ""
    classes = opened.backbone.classes
    if classes is None:
        if ending in ("", ".png"):
            save_png(place if is_file else place / "walk.png", walk_figure(opened, walks, report))
        if film is not None:
            save_film(place if is_file else place / f"walk.{film}", opened, walks, report)
        return result
    values = class_values(opened, walks, report)
    if ending in ("", ".png"):
        moved = [part.attribute for part in result.attributes] or result.factors
        title = f"{result.mode} walk of {', '.join(moved)} (squares: class predicted)"
        save_figure(place if is_file else place / "walk.png", walk_plot(values, walks, classes, title))
    if ending != ".png":
        write_table(place if is_file else place / "walk.csv", class_rows(values, walks, classes))
    rates = {kind: flip_rate(of_kind, walks.strengths) for kind, of_kind in values.items()}
    return replace(result, flip_rate=rates[INTERPRETABLE], latent_flip_rate=rates.get(LATENT))
