"""Explain an image without a decoder: what a changed factor does to the prediction, and which real images look so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..distributed import choose_device, draw_seed
from ..errors import DataError, UsageError, nearest
from ..figures.explanations import Look, plot_explanation
from ..figures.plots import save_figure
from ..io.rundir import write_json
from ..metrics.bootstrap import FEW_ITEMS, Interval, mean_interval
from ..metrics.neighbours import nearest_rows
from ..plugin_api import Dataset
from ..progress import Reporter, Silent
from ..translator import edit
from .decoding import decode_pixels, encode_pixels
from .explain_library import Library, Space, open_library
from .inputs import Inputs, choose_items, recorded_data, split_items, starts
from .opening import OpenTranslator, open_data, open_translator
from .outputs import open_output
from .predictions import log_probabilities
from .reading import from_tilde, to_tilde
from .swap import check_factors
from .walk_paths import walk_noise

__all__ = ["ExplainMode", "ExplainResult", "explain"]

ExplainMode = Literal["swap", "walk"]
# Edits of each factor that the figure shows; the table and the JSON are of all.
SHOWN = 2


@dataclass(frozen=True)
class ExplainResult:
    """What was explained.

    Attributes:
        out: the file or folder written.
        sources: edits of each factor of each image.
        searched: real images among which the nearest were sought, in `space`.
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
    search: int = 5000,
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
        search: how many images at most are compared with, drawn by `seed`.
        steps, gamma, walk_sigma: of the walks.

    Results so far are saved after every image. Raises UsageError, DataError (images), CheckpointError (unfit files).
    """
    report, seed = report or Silent(), draw_seed(seed)
    _check(mode, space, source, gamma)
    opened = open_translator(translator, choose_device(device), backbone)
    _ = opened.backbone
    names = tuple(factors) or opened.factors.names
    check_factors(opened, names)
    dataset = open_data(data, recorded_data(opened), data_root, report)
    where = {"data": data, "data_root": data_root, "split": split, "n": n, "seed": seed}
    targets = starts(opened, images, **where)
    endings = (".json", ".png") if len(targets) == 1 else (".json",)
    with open_output(out, "explain", endings, "an explanation") as (place, is_file):
        wishes = _Wishes(mode, names, k, space, top, seed, steps, gamma, walk_sigma)
        library = open_library(opened, dataset, space, search, seed, report)
        given = (
            starts(opened, source, **where) if source else _sources(opened, dataset, split, n, sources, seed, report)
        )
        work = _Explainer(opened, wishes, library, given, sources, report)
        result = ExplainResult(
            str(place), mode, names, work.count, k, space, len(library), seed, str(opened.path), dataset.name
        )
        for number in range(len(targets)):
            result = _with_image(result, work, targets, number, place, is_file)
    return result


@dataclass(frozen=True)
class _Wishes:
    """What the user asked for."""

    mode: ExplainMode
    factors: tuple[str, ...]
    k: int
    space: Space
    top: int
    seed: int
    steps: int
    gamma: float
    walk_sigma: float | None


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
    result: ExplainResult, work: _Explainer, targets: Inputs, number: int, place: Path, is_file: bool
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


class _Explainer:
    """Everything that is the same for all images of a call."""

    def __init__(
        self,
        opened: OpenTranslator,
        wishes: _Wishes,
        library: Library,
        sources: Inputs,
        count: int,
        report: Reporter,
    ) -> None:
        self.opened, self.wishes, self.library, self.sources, self.report = opened, wishes, library, sources, report
        self.classes = opened.backbone.classes
        if wishes.mode == "swap":
            self.count = len(sources)
            self.from_sources = to_tilde(opened, encode_pixels(opened.backbone, sources.pixels, opened.device))
        else:
            self.count = count
            self.kicks = walk_noise(range(wishes.seed, wishes.seed + count), wishes.steps, opened.translator.dim)
        if self.count < FEW_ITEMS and self.classes is not None:
            report.note(f"intervals over {self.count} edits of each factor are rough")

    def explain(self, pixels: np.ndarray, name: str) -> tuple[dict[str, Any], list[Look]]:
        """Explain an image uint8 (S, S, 3): JSON values, and the rows of its figure."""
        z = encode_pixels(self.opened.backbone, pixels[None], self.opened.device)
        z_tilde = to_tilde(self.opened, z)
        itself = self.library.same_as(z)
        edits = {factor: self._edited(z_tilde, factor) for factor in self.wishes.factors}
        latents = {factor: from_tilde(self.opened, edited) for factor, edited in edits.items()}
        near = self._near(z, z_tilde, itself)
        found: dict[str, Any] = {"image": name, "nearest": self.library.describe(*near)[0]}
        looks = [Look("as it is", pixels, self._drawn(z), self.library.looks(near[0][0]))]
        parts = self._predicted(z, latents)
        if parts:
            found |= parts.pop("")
        found["factors"] = {}
        for factor, edited in edits.items():
            near = self._near(latents[factor], edited, itself)
            found["factors"][factor] = self._part(factor, near, parts.get(factor, {}))
            looks += self._looks(factor, latents[factor], near[0], found["factors"][factor])
        return found, looks

    def _edited(self, z_tilde: Tensor, factor: str) -> Tensor:
        """Return z̃ (edits, N) with one factor changed."""
        start = z_tilde.expand(self.count, -1)
        if self.wishes.mode == "swap":
            return edit.swap(start, self.from_sources, self.opened.factors, [factor])
        wishes = self.wishes
        walk = edit.ou_walk(start, self.opened.factors, [factor], self.kicks, wishes.gamma, wishes.walk_sigma)
        return walk[-1]

    def _near(self, z: Tensor, z_tilde: Tensor, itself: Tensor) -> tuple[Tensor, Tensor]:
        queries = z if self.wishes.space == "z" else z_tilde
        return nearest_rows(queries, self.library.rows, self.wishes.k, itself)

    def _predicted(self, z: Tensor, latents: dict[str, Tensor]) -> dict[str, dict[str, Any]]:
        """Say what a classifier makes of the image (key "") and of the edits of each factor; nothing otherwise."""
        if self.classes is None:
            return {}
        joint = torch.cat((z, *latents.values()))
        probabilities = log_probabilities(self.opened, joint, self.report).exp().double().numpy()
        before, after = probabilities[0], np.split(probabilities[1:], len(latents))
        shown = self._shown_classes(before, [part - before for part in after])
        own = {"predicted": self.classes[int(before.argmax())], "probabilities": self._named(before, shown)}
        parts: dict[str, dict[str, Any]] = {"": own}
        for factor, part in zip(latents, after, strict=True):
            changed = (part.argmax(1) != before.argmax()).astype(np.float64)
            parts[factor] = {
                "changed": mean_interval(changed).as_dict(),
                "delta": {
                    self.classes[index]: mean_interval(part[:, index] - before[index]).as_dict() for index in shown
                },
                "predicted": [self.classes[int(index)] for index in part.argmax(1)],
            }
        return parts

    def _shown_classes(self, before: np.ndarray, deltas: list[np.ndarray]) -> list[int]:
        """Choose the predicted class and those whose probability changes most, for all factors alike."""
        most = np.max([np.abs(delta.mean(0)) for delta in deltas], axis=0)
        most[before.argmax()] = np.inf
        return np.argsort(-most, kind="stable")[: self.wishes.top].tolist()

    def _named(self, values: np.ndarray, shown: list[int]) -> dict[str, float]:
        return {self.classes[index]: float(values[index]) for index in shown}

    def _part(self, factor: str, near: tuple[Tensor, Tensor], predicted: dict[str, Any]) -> dict[str, Any]:
        classes = predicted.pop("predicted", None)
        described = self.library.describe(*near)
        edits = [
            {"source": self._source(row), "nearest": rows} | ({"predicted": classes[row]} if classes else {})
            for row, rows in enumerate(described)
        ]
        return {"edits": edits, "nearest_labels": self.library.label_shares(near[0]), **predicted}

    def _looks(self, factor: str, z: Tensor, near: Tensor, part: dict[str, Any]) -> list[Look]:
        drawn = self._drawn(z[:SHOWN])
        return [
            Look(
                factor,
                self.sources.pixels[row] if self.wishes.mode == "swap" else None,
                None if drawn is None else drawn[row : row + 1],
                self.library.looks(near[row]),
                part.get("delta"),
                part["edits"][row].get("predicted"),
            )
            for row in range(min(SHOWN, self.count))
        ]

    def _drawn(self, z: Tensor) -> np.ndarray | None:
        """Decode z (B, N) where the backbone can, uint8 (B, S, S, 3)."""
        return decode_pixels(self.opened.backbone, z, self.opened.device) if self.classes is None else None

    def _source(self, row: int) -> str:
        return self.sources.names[row] if self.wishes.mode == "swap" else f"walk {row}"


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
