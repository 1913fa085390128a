"""Walk through the interpretable representation: straight lines (Fig 4) or an Ornstein–Uhlenbeck walk (Eq 17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..distributed import choose_device, draw_seed, noise
from ..errors import UsageError
from ..figures.grids import image_grid, save_png
from ..figures.plots import plot_walks, save_figure
from ..io.rundir import write_json
from ..progress import Reporter, Silent
from ..translator import edit
from .decoding import decode_pixels, encode_pixels, in_pieces
from .inputs import Inputs, starts, targets_and_sources
from .opening import OpenTranslator, open_translator
from .outputs import open_output
from .predictions import by_class, log_probabilities, write_table
from .swap import check_factors

__all__ = ["Center", "Mode", "WalkResult", "walk"]

Mode = Literal["linear", "ou"]
Center = Literal["origin", "input"]
IMAGE_STEPS = 8
CLASSIFIER_STEPS = 50
# What a walk is called in figures and tables.
INTERPRETABLE, LATENT = "interpretable", "latent"


@dataclass(frozen=True)
class WalkResult:
    """What was walked.

    Attributes:
        out: the file or folder written.
        factors: the factors that moved; of a linear walk without `--factor`, all.
        steps: points of each walk, both ends included.
        count: walks.
        flip_rate: of a classifier, the fraction of points after the first where the predicted class is not the first's,
            over all interpretable walks; `latent_flip_rate` the same over the latent ones. Else None.
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

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Walks:
    """Latents z (steps, B, N) along each kind of walk, and where they begin and end."""

    z: dict[str, Tensor]
    starts: Inputs
    ends: Inputs | None

    @property
    def count(self) -> int:
        return len(self.starts)


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
    `ou` lets the chosen factors of each target wander (Eq 17).

    Args:
        factors: names of the translator's factors; `ou` needs at least one.
        target, source: images (files or folders); what is not given is drawn from the data, `n` each, by `seed`.
        steps: points of a walk; None: 8 for images, 50 for a classifier.
        gamma: rate of return γ in (0, 1] of `ou`.
        walk_sigma: step size of `ou`; None keeps N(0, 1) stationary.
        center: `ou` is pulled back to the origin, or to the input.

    Raises UsageError, DataError and CheckpointError as their docstrings say.
    """
    report, seed = report or Silent(), draw_seed(seed)
    _check_choices(mode, center, source)
    opened = open_translator(translator, choose_device(device), backbone)
    if mode == "ou" or factors:
        check_factors(opened, factors)
    names = tuple(factors) or opened.factors.names
    classes = opened.backbone.classes
    steps = steps or (IMAGE_STEPS if classes is None else CLASSIFIER_STEPS)
    endings = (".png",) if classes is None else (".png", ".json", ".csv")
    with open_output(out, f"walk-{mode}-{'-'.join(factors)}", endings, "a figure") as (place, is_file):
        where = {"data": data, "data_root": data_root, "split": split, "n": n, "seed": seed}
        if mode == "linear":
            walks = _linear(opened, *targets_and_sources(opened, target, source, **where), names, steps)
        else:
            walks = _wandering(opened, starts(opened, target, **where), names, steps, seed, gamma, walk_sigma, center)
        ends = walks.ends.names if walks.ends is not None else None
        result = WalkResult(
            str(place), mode, names, steps, walks.count, seed, str(opened.path), walks.starts.names, ends
        )
        if classes is None:
            save_png(place if is_file else place / "walk.png", _image_figure(opened, walks, report))
        else:
            result = _predict(opened, walks, classes, result, place, is_file, report)
        if not is_file:
            write_json(place / "walk.json", result.as_dict())
    return result


def _check_choices(mode: str, center: str, source: Sequence[Path]) -> None:
    if mode not in get_args(Mode):
        raise UsageError(f"--mode {mode!r}: choose from {', '.join(get_args(Mode))}")
    if center not in get_args(Center):
        raise UsageError(f"--center {center!r}: choose from {', '.join(get_args(Center))}")
    if mode == "ou" and source:
        raise UsageError("--source is where a linear walk ends; an ou walk has no end, so leave it out")


def _linear(opened: OpenTranslator, targets: Inputs, sources: Inputs, names: Sequence[str], steps: int) -> _Walks:
    if len(targets) != len(sources):
        raise UsageError(f"{len(targets)} targets and {len(sources)} sources make no pairs: give as many of each")
    z_tilde = _to_z_tilde(opened, encode_pixels(opened.backbone, targets.pixels, opened.device))
    z_tilde_source = _to_z_tilde(opened, encode_pixels(opened.backbone, sources.pixels, opened.device))
    end = edit.swap(z_tilde, z_tilde_source, opened.factors, names)
    interpretable = _to_z(opened, edit.linear_walk(z_tilde, end, steps))
    latent = edit.linear_walk(interpretable[0], interpretable[-1], steps)
    return _Walks({INTERPRETABLE: interpretable, LATENT: latent}, targets, sources)


def _wandering(
    opened: OpenTranslator,
    targets: Inputs,
    names: Sequence[str],
    steps: int,
    seed: int,
    gamma: float,
    sigma: float | None,
    center: Center,
) -> _Walks:
    if steps < 2:
        raise UsageError(f"a walk needs at least 2 steps, got {steps}")
    z_tilde = _to_z_tilde(opened, encode_pixels(opened.backbone, targets.pixels, opened.device))
    # Each walk has noise of its own, so that the walk of an image does not depend on those beside it.
    kicks = noise(range(seed, seed + len(targets)), (steps - 1) * opened.translator.dim)
    kicks = kicks.view(len(targets), steps - 1, -1).transpose(0, 1)
    walked = edit.ou_walk(z_tilde, opened.factors, names, kicks, gamma, sigma, center == "input")
    return _Walks({INTERPRETABLE: _to_z(opened, walked)}, targets, None)


def _to_z_tilde(opened: OpenTranslator, z: Tensor) -> Tensor:
    return torch.cat(list(in_pieces(len(z), z.__getitem__, lambda rows: opened.translator(rows)[0], opened.device)))


def _to_z(opened: OpenTranslator, z_tilde: Tensor) -> Tensor:
    """T⁻¹ along walks, (steps, B, N) -> (steps, B, N)."""
    flat = z_tilde.flatten(0, 1)
    z = torch.cat(list(in_pieces(len(flat), flat.__getitem__, opened.translator.inverse, opened.device)))
    return z.view_as(z_tilde)


def _image_figure(opened: OpenTranslator, walks: _Walks, report: Reporter) -> np.ndarray:
    """Draw one row per walk, between the inputs; of linear walks the interpretable one above the latent one."""
    rows, labels, gaps = [], [], []
    decoded = {
        kind: decode_pixels(opened.backbone, z.flatten(0, 1), opened.device, report).reshape(
            *z.shape[:2], *_shape(opened)
        )
        for kind, z in walks.z.items()
    }
    for walk_index in range(walks.count):
        for kind, images in decoded.items():
            frame = [walks.starts.pixels[walk_index][None], images[:, walk_index]]
            frame += [walks.ends.pixels[walk_index][None]] if walks.ends is not None else []
            rows.append(np.concatenate(frame))
            labels.append(kind if len(decoded) > 1 else "")
        gaps.append(len(rows) - 1)
    steps = len(next(iter(decoded.values())))
    points = [str(step) for step in range(steps)]
    columns = ["target", *points, "source"] if walks.ends is not None else ["input", *points]
    wide = (0, steps) if walks.ends is not None else (0,)
    return image_grid(np.stack(rows), labels if len(decoded) > 1 else (), columns, gaps, wide)


def _shape(opened: OpenTranslator) -> tuple[int, int, int]:
    return (opened.backbone.image_size, opened.backbone.image_size, 3)


def _predict(
    opened: OpenTranslator,
    walks: _Walks,
    classes: tuple[str, ...],
    result: WalkResult,
    place: Path,
    is_file: bool,
    report: Reporter,
) -> WalkResult:
    """Write the class log-probabilities along the walks as plot and table, and say how often predictions flip."""
    values = {
        kind: log_probabilities(opened, z.flatten(0, 1), report).view(*z.shape[:2], len(classes))
        for kind, z in walks.z.items()
    }
    if not is_file or place.suffix.lower() == ".png":
        panels = [
            (f"{Path(walks.starts.names[index]).name}: {kind} walk", of_kind[:, index].numpy())
            for index in range(walks.count)
            for kind, of_kind in values.items()
        ]
        title = f"{result.mode} walk of {', '.join(result.factors)} (squares: class predicted)"
        save_figure(place if is_file else place / "walk.png", plot_walks(panels, classes, 2, title))
    if not is_file or place.suffix.lower() != ".png":
        write_table(place if is_file else place / "walk.csv", _table(values, walks, classes))
    rates = {kind: _flip_rate(of_kind) for kind, of_kind in values.items()}
    return replace(result, flip_rate=rates[INTERPRETABLE], latent_flip_rate=rates.get(LATENT))


def _table(values: dict[str, Tensor], walks: _Walks, classes: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "start": walks.starts.names[index],
            "walk": kind,
            "step": step,
            "predicted": classes[int(row.argmax())],
            "log_probability": by_class(row, classes),
        }
        for index in range(walks.count)
        for kind, of_kind in values.items()
        for step, row in enumerate(of_kind[:, index])
    ]


def _flip_rate(log_probability: Tensor) -> float:
    """Fraction of points after the first whose class is not the first's, (steps, B, classes)."""
    predicted = log_probability.argmax(2)
    return (predicted[1:] != predicted[:1]).double().mean().item()
