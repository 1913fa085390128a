"""The demo: `colordigits` end to end: train an autoencoder, size the factors, fit, swap, walk, sample, score."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...data import open_dataset
from ...distributed import choose_device, draw_seed
from ...editing.priors import TranslatorPrior, generate
from ...editing.swap import swap
from ...editing.swap_scores import SwapScores, score_swaps
from ...editing.walk import walk
from ...figures.grids import image_grid, save_png
from ...fitting.fit_translator import fit_translator
from ...fitting.train_backbone import train_backbone
from ...interpretation.opening import open_translator
from ...io.rundir import open_run, write_json
from ...metrics.judges import ColorJudge, LabelJudge, shape_classifier
from ...plan import Wishes
from ...progress import Reporter, Silent

__all__ = ["DemoResult", "demo"]

DATA, CONCEPTS = "colordigits", ("digit", "color")
BACKBONE_SECONDS, TRANSLATOR_SECONDS = 110.0, 110.0
SCORED_PAIRS = 1000


@dataclass(frozen=True)
class DemoResult:
    """What the demo made.

    Attributes:
        swap: factor -> transfer and kept, see `SwapScores`.
        reconstruction_accuracy: of the independent digit classifier on plain reconstructions of test images.
        figures: what to look at, in `out`.
    """

    out: str
    seconds: float
    seed: int
    factors: dict[str, int]
    heldout_nll: float
    swap: dict[str, dict[str, float]]
    reconstruction_accuracy: float
    figures: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)

    def tables(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return factors and swap scores as one titled table."""
        rows = [
            {"factor": name, "dims": size, **self.swap.get(name, {"transfer": None, "kept": None})}
            for name, size in self.factors.items()
        ]
        return [("swaps of unseen images, judged independently", rows)]


def demo(
    out: Path | None = None,
    *,
    seed: int | None = None,
    device: str = "auto",
    backbone_seconds: float = BACKBONE_SECONDS,
    translator_seconds: float = TRANSLATOR_SECONDS,
    report: Reporter | None = None,
) -> DemoResult:
    """Interpret a network from nothing: images that come with scikit-learn, all else trained here.

    Args:
        backbone_seconds, translator_seconds: how long each training may take.
    """
    report, seed, started = report or Silent(), draw_seed(seed), time.monotonic()
    with open_run(out, "demo") as folder:
        report.note(f"run folder {folder}")
        report.note("1/4  an autoencoder learns to draw coloured digits through 64 numbers")
        train_backbone(
            "autoencoder",
            DATA,
            out=folder / "backbone",
            max_seconds=backbone_seconds,
            seed=seed,
            device=device,
            report=report,
        )
        report.note("2/4  a translator learns which of what it knows is digit, which is colour, which is neither")
        fit = fit_translator(
            str(folder / "backbone"),
            CONCEPTS,
            out=folder / "translator",
            wishes=Wishes(max_seconds=translator_seconds),
            seed=seed,
            device=device,
            report=report,
        )
        report.note("3/4  edits of images neither has seen")
        figures = _draw(folder, folder / "translator", seed, device, report)
        report.note("4/4  an independent classifier judges the edits")
        scores = _score(folder / "translator", seed, device, report)
        result = DemoResult(
            out=str(folder),
            seconds=round(time.monotonic() - started, 1),
            seed=seed,
            factors=fit.factors,
            heldout_nll=float(fit.heldout_nll or 0),
            swap=scores.swap,
            reconstruction_accuracy=scores.reconstruction["digit"],
            figures=tuple(figures),
        )
        write_json(folder / "demo.json", result.as_dict())
        return result


def _draw(folder: Path, translator: Path, seed: int, device: str, report: Reporter) -> Sequence[str]:
    for factor in (*CONCEPTS, "residual"):
        swap(translator, [factor], out=folder / f"swap-{factor}.png", n=8, seed=seed, device=device, report=report)
    walk(translator, "linear", out=folder / "walk-linear.png", n=4, seed=seed, device=device, report=report)
    for factor in CONCEPTS:
        walk(
            translator, "ou", [factor], out=folder / f"walk-{factor}.png", n=4, seed=seed, device=device, report=report
        )
    opened = open_translator(translator, choose_device(device))
    samples = np.concatenate(list(generate(opened.image_backbone, TranslatorPrior(opened), range(64), opened.device)))
    save_png(folder / "samples.png", image_grid(samples.reshape(8, 8, *samples.shape[1:])))
    return sorted(path.name for path in folder.glob("*.png"))


def _score(translator: Path, seed: int, device: str, report: Reporter) -> SwapScores:
    dataset: Any = open_dataset(DATA)
    opened = open_translator(translator, choose_device(device))
    # One rendering of each drawing teaches shapes; the classifier is blind to colour.
    _, first = np.unique(dataset.sources, return_index=True)
    shown = first[np.isin(first, dataset.splits["train"])]
    labels = dataset.labels["digit"].values
    predict = shape_classifier(dataset.images(shown, opened.image_backbone.image_size), labels[shown])
    judges = {"digit": LabelJudge(predict, labels), "color": ColorJudge(dataset.colors)}
    return score_swaps(opened, dataset, judges, count=SCORED_PAIRS, seed=seed, report=report)
