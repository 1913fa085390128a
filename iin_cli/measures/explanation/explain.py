"""Explain an image without a decoder: what a changed factor does to the prediction, and which real images look so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

from ...distributed import choose_device, draw_seed
from ...errors import DataError, UsageError, nearest
from ...figures.explanations import plot_explanation
from ...figures.plots import save_figure
from ...interpretation.data_choice import choose_items, split_items
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.opening import open_translator
from ...interpretation.reading import Inputs
from ...io.rundir import write_json
from ...metrics.bootstrap import Interval
from ...plugin_api import Dataset
from ...progress import Reporter, Silent
from .edits import Explainer, ExplainMode, Wishes
from .library import Space, open_library

__all__ = ["ExplainResult", "explain"]


@dataclass(frozen=True)
class ExplainResult:
    """What was explained.

    Attributes:
        out: the file or folder written.
        sources: edits of each factor of each image.
        searched: real images among which the nearest were sought, in `space`; drawn by `seed` of the `searchable`.
        images: of every image its name, its nearest images, of a classifier its class and probabilities, and `factors`:
            name -> `edits` (source, class, nearest), `nearest_labels` (label -> fraction), and of a classifier, with
            intervals, `changed` (how often the class changed) and `delta` (class -> change of its probability).
        figures: file names of the figures.
    """

    out: str
    mode: ExplainMode
    factors: tuple[str, ...]
    sources: int
    k: int
    space: Space
    searched: int
    searchable: int
    seed: int
    translator: str
    data: str
    images: tuple[dict[str, Any], ...] = ()
    figures: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)

    def tables(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return one table per image: a row for each factor."""
        return [(_title(image), [_row(name, part) for name, part in image["factors"].items()]) for image in self.images]


def explain(
    translator: Path,
    images: Sequence[Path] = (),
    out: Path | None = None,
    *,
    mode: str = "swap",
    factors: Sequence[str] = (),
    sources: int = 16,
    source: Sequence[Path] = (),
    k: int = 5,
    space: str = "z-tilde",
    top: int = 5,
    search: int | None = None,
    steps: int = 20,
    gamma: float = 0.1,
    walk_sigma: float | None = None,
    data: str | None = None,
    data_root: Path | None = None,
    split: str = "test",
    n: int = 1,
    seed: int | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> ExplainResult:
    """Change each factor of an image `sources` times, and see what is predicted and which real images are nearest.

    Args:
        images: files or folders; `n` images of the data when empty.
        out: a new folder (`explain.json`, a figure per image), or a new `.json`, or for one image a `.png`.
        mode: `swap` takes the factor from source images; `walk` takes it from the ends of walks of Eq 17.
        factors: those to change, one at a time; all when empty.
        sources: how many source images are drawn, or walks made; the intervals are over them.
        source: images to take factors from instead.
        k: nearest images of the data's training split for each edit; the image itself never counts.
        space: `z-tilde`, where Euclidean distance is that of whitened factors since each is N(0, 1), or `z`.
        top: classes whose probability is reported.
        search: how many images at most are compared with, drawn by `seed`; None: all where their latents are
            cached, else 5,000.
        steps, gamma, walk_sigma: of the walks.

    Results so far are saved after every image. Raises UsageError, DataError (images), CheckpointError (unfit files).
    """
    report, seed = report or Silent(), draw_seed(seed)
    _check(mode, space, source, gamma)
    opened = open_translator(translator, choose_device(device), backbone)
    _ = opened.backbone
    names = tuple(factors) or opened.factors.names
    opened.require_factors(names)
    dataset = open_data(data, recorded_data(opened), data_root, report)
    where = {"data": data, "data_root": data_root, "split": split, "n": n, "seed": seed}
    targets = starts(opened, images, **where)
    endings = (".json", ".png") if len(targets) == 1 else (".json",)
    with open_output(out, "explain", endings, "an explanation") as (place, is_file):
        wishes = Wishes(mode, names, k, space, top, seed, steps, gamma, walk_sigma)
        library = open_library(opened, dataset, space, search, seed, report)
        given = (
            starts(opened, source, **where) if source else _sources(opened, dataset, split, n, sources, seed, report)
        )
        work = Explainer(opened, wishes, library, given, sources, report)
        searched = (len(library), library.searchable)
        result = ExplainResult(
            str(place), mode, names, work.count, k, space, *searched, seed, str(opened.path), dataset.name
        )
        for number in range(len(targets)):
            result = _with_image(result, work, targets, number, place, is_file)
    return result


def _check(mode: str, space: str, source: Sequence[Path], gamma: float) -> None:
    for option, value, known in (("--mode", mode, get_args(ExplainMode)), ("--space", space, get_args(Space))):
        if value not in known:
            raise UsageError(f"{option} {value!r}: {nearest(value, known)}")
    if mode == "walk" and source:
        raise UsageError("--source is what a swap takes factors from; a walk has none, so leave it out")
    if not 0 < gamma <= 1:
        raise UsageError(f"gamma must be in (0, 1], got {gamma}")


def _sources(
    opened: OpenTranslator, dataset: Dataset, split: str, n: int, count: int, seed: int, report: Reporter
) -> Inputs:
    """Draw source images, none of which is an image that `starts` draws; all there are where they are too few."""
    there = len(split_items(dataset, split)) - n
    if there < 1:
        raise DataError(f"{dataset.name} has no other image in {split} to take a factor from: name one by --source")
    if there < count:
        report.warn(f"{dataset.name} has only {there} images in {split} to take factors from")
    items = choose_items(dataset, split, n + min(count, there), seed)[n:]
    pixels = dataset.images(items, opened.backbone.image_size, opened.backbone.interpolation)
    return Inputs(pixels, tuple(dataset.path(int(item)) for item in items))


def _with_image(
    result: ExplainResult, work: Explainer, targets: Inputs, number: int, place: Path, is_file: bool
) -> ExplainResult:
    """Explain image `number`, draw it, and save what is known so far."""
    found, looks = work.explain(targets.pixels[number], targets.names[number])
    result = replace(result, images=(*result.images, found))
    if not is_file or place.suffix.lower() == ".png":
        file = place if is_file else place / ("explain.png" if len(targets) == 1 else f"explain-{number:03d}.png")
        save_figure(file, plot_explanation(looks, _title(found), found.get("probabilities")))
        result = replace(result, figures=(*result.figures, file.name))
    if not is_file or place.suffix.lower() == ".json":
        write_json(place if is_file else place / "explain.json", result.as_dict())
    return result


def _title(image: dict[str, Any]) -> str:
    name = Path(image["image"]).name
    if "predicted" not in image:
        return name
    return f"{name}: {image['predicted']}, p = {image['probabilities'][image['predicted']]:.2f}"


def _row(factor: str, part: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"factor": factor}
    if "delta" in part:
        changed = part["changed"]
        row["class_changes"] = f"{Interval(**changed):.2f}"
        most = max(part["delta"], key=lambda name: abs(part["delta"][name]["value"]))
        delta = part["delta"][most]
        row["moves_most"] = f"{most}: {Interval(**delta):+.2f}"
    shares = sorted(part["nearest_labels"].items(), key=lambda item: -item[1])[:3]
    row["nearest_images"] = ", ".join(f"{name} {share:.0%}" for name, share in shares) or "-"
    return row
