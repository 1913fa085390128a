"""The demo: `colordigits` end to end: train an autoencoder, size the factors, fit, swap, walk, sample, score."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...distributed import choose_device, draw_seed
from ...editing import swap, walk
from ...editing.priors import TranslatorPrior, generate
from ...editing.swap_scores import SwapScores, score_swaps
from ...editing.walk_paths import LinearWalk, Wandering
from ...figures.grids import Sheet
from ...figures.saving import save_page
from ...fitting.backbone_training import BackboneChoice
from ...interpretation.data_choice import DataChoice
from ...interpretation.network_choice import NetworkChoice
from ...interpretation.opening import open_translator
from ...interpretation.reading import ChosenData
from ...io.output import Figures, Output, require_folder
from ...io.rundir import open_run, write_json
from ...metrics.judges import ColorJudge, LabelJudge, shape_classifier
from ...plan import Wishes
from ...progress import Reporter, Silent
from ...results import Result, Table
from ...training.runs import RunChoice
from ...translator.edit import OUWalk
from ..make.fit_translator import fit_translator
from ..make.train_backbone import train_backbone

__all__ = ["DemoResult", "demo"]

DATA, CONCEPTS = "colordigits", ("digit", "color")
# Work, not time: what the demo reaches does not depend on what else the machine does.
BACKBONE_STEPS, TRANSLATOR_STEPS = 440, 600
SWAPPED, SCORED_PAIRS = 8, 1000


@dataclass(frozen=True)
class DemoResult(Result):
    """What the demo made.

    Attributes:
        swap: factor -> transfer and kept, see `SwapScores`.
        reconstruction_accuracy: how often the independent classifier reads the digit in plain reconstructions of test
            images.
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

    def tables(self) -> list[Table]:
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
    backbone_seconds: float | None = None,
    translator_seconds: float | None = None,
    figures: Figures | None = None,
    report: Reporter | None = None,
) -> DemoResult:
    """Interpret a network from nothing: the images come with scikit-learn, everything else is trained here.

    Args:
        backbone_seconds, translator_seconds: how long each training may take; None gives each its steps.
        figures: how pictures are written.
    """
    report, seed, started = report or Silent(), draw_seed(seed), time.monotonic()
    require_folder(out, "a network, a translator and pictures")
    with open_run(out, "demo") as folder:
        report.note(f"run folder {folder}")
        report.note("1/4  an autoencoder learns to draw coloured digits through 64 numbers")
        train_backbone(
            BackboneChoice(
                "autoencoder",
                steps=BACKBONE_STEPS if backbone_seconds is None else None,
                max_seconds=backbone_seconds,
            ),
            DataChoice(DATA),
            RunChoice(folder / "backbone", seed, device),
            report,
        )
        report.note("2/4  a translator learns which part of them is the digit, which the colour, and which neither")
        fit = fit_translator(
            NetworkChoice(str(folder / "backbone")),
            CONCEPTS,
            wishes=Wishes(
                steps=TRANSLATOR_STEPS if translator_seconds is None else None, max_seconds=translator_seconds
            ),
            run=RunChoice(folder / "translator", seed, device),
            report=report,
        )
        report.note("3/4  edits of images neither has seen")
        opened = open_translator(folder / "translator", choose_device(device))
        data = ChosenData(opened, DataChoice(seed=seed), report)
        drawn = _draw(folder, data, figures or Figures())
        report.note("4/4  an independent classifier judges the edits")
        scores = _score(data)
        result = DemoResult(
            out=str(folder),
            seconds=round(time.monotonic() - started, 1),
            seed=seed,
            factors=fit.factors,
            heldout_nll=float(fit.heldout_nll or 0),
            swap=scores.swap,
            reconstruction_accuracy=scores.reconstruction["digit"],
            figures=drawn,
        )
        write_json(folder / "demo.json", result.as_dict())
        return result


def _draw(folder: Path, data: ChosenData, figures: Figures) -> tuple[str, ...]:
    """Write swaps, walks and samples; returns the names of the figures."""

    def place(name: str) -> Output:
        return Output(folder / f"{name}{figures.ending}", True, figures)

    opened, network = data.opened, data.network
    targets, sources = data.targets_and_sources((), (), SWAPPED)
    for factor in (*CONCEPTS, "residual"):
        swapped = swap.swap(opened, targets, sources, [factor], data.report)
        swap.write(swapped, place(f"swap-{factor}"))
    for name, mode in {"linear": LinearWalk(), **{name: Wandering(ou=OUWalk(name)) for name in CONCEPTS}}.items():
        walk.write(walk.walk(data, mode), place(f"walk-{name}"))
    samples = np.concatenate(list(generate(network.backbone, TranslatorPrior(opened), range(64), network.device)))
    save_page(place("samples").path, Sheet(samples.reshape(8, 8, *samples.shape[1:])), figures.dpi)
    return tuple(sorted(path.name for path in folder.glob(f"*{figures.ending}")))


def _score(data: ChosenData) -> SwapScores:
    dataset = data.dataset
    # One rendering of each drawing teaches shapes; the classifier is blind to colour.
    _, first = np.unique(dataset.sources, return_index=True)
    shown = first[np.isin(first, dataset.splits["train"])]
    labels = dataset.labels["digit"].values
    predict = shape_classifier(dataset.images(shown, data.network.backbone.image_size), labels[shown])
    judges = {"digit": LabelJudge(predict, labels), "color": ColorJudge(np.asarray(dataset.colors))}
    return score_swaps(data.opened, dataset, judges, count=SCORED_PAIRS, seed=data.choice.seed, report=data.report)
