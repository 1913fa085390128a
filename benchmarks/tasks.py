"""The tasks that defaults are judged on: a network, data, concepts, and figures in [0, 1] of which more is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from factors import latents, r_squared, told_by_label
from stages import run

from iin_cli.data import open_dataset
from iin_cli.editing.swap_scores import score_swaps
from iin_cli.interpretation.opening import open_network, open_translator
from iin_cli.latents.cache import as_images
from iin_cli.metrics.judges import ColorJudge, LabelJudge, shape_classifier
from iin_cli.plugin_api import Dataset

__all__ = ["TASKS", "Context", "Task", "fitted", "networks", "opened_data"]

PAIRS, IMAGES = 2000, 500


@dataclass(frozen=True)
class Context:
    """Where a task's figures are measured: folder of its stages, data root, weights of EfficientNet-Lite0, seed."""

    work: Path
    root: Path | None
    lite0: Path | None
    seed: int


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        network: arguments of `train-backbone`; of a pretrained network its name alone.
        judge: arguments of `train-backbone` for a network that judges and takes no other part.
        figures: measures the translator in a run folder.
        goals: figure -> what issue or paper ask for, where that is a bound on the figure.
    """

    name: str
    data: str
    concepts: tuple[str, ...]
    network: tuple[str, ...]
    figures: Callable[[Context, Path], dict[str, float]]
    goals: dict[str, float] = field(default_factory=dict)
    judge: tuple[str, ...] = ()


def opened_data(context: Context, data: str) -> Dataset:
    """Open a dataset by name, or a folder of the data root."""
    folder = (context.root or Path()) / data
    return open_dataset(str(folder) if folder.is_dir() else data, context.root)


def _swaps(scores: Any) -> dict[str, float]:
    accuracy = scores.reconstruction["digit"]
    return {
        "digit transferred": min(1.0, scores.swap["digit"]["transfer"] / accuracy),
        "digit kept": min(1.0, scores.swap["digit"]["kept"] / accuracy),
        "color transferred": scores.swap["color"]["transfer"],
        "color kept": scores.swap["color"]["kept"],
    }


def colordigits(context: Context, fit: Path) -> dict[str, float]:
    """Swaps of unseen images, judged as the demo judges them, ÷ reconstructions where the digit is read."""
    dataset, opened = open_dataset("colordigits"), open_translator(fit)
    labels, train = dataset.labels["digit"].values, dataset.splits["train"]
    first = np.unique(dataset.sources, return_index=True)[1]
    shown = first[np.isin(first, train)]
    predict = shape_classifier(dataset.images(shown, 32), labels[shown])
    judges = {"digit": LabelJudge(predict, labels), "color": ColorJudge(dataset.colors)}
    return _swaps(score_swaps(opened, dataset, judges, count=PAIRS, seed=0))


def colormnist(context: Context, fit: Path) -> dict[str, float]:
    """Swaps of unseen images, judged by a classifier that was trained apart."""
    dataset, opened = open_dataset("colormnist", context.root), open_translator(fit)
    oracle = open_network(str(context.work / "judge")).backbone

    @torch.inference_mode()
    def predict(images: np.ndarray) -> np.ndarray:
        return oracle.decode(oracle.encode(as_images(images))).argmax(1).numpy()

    judges = {"digit": LabelJudge(predict, dataset.labels["digit"].values), "color": ColorJudge(dataset.colors)}
    return _swaps(score_swaps(opened, dataset, judges, count=PAIRS, seed=0))


def answers(context: Context, fit: Path) -> dict[str, float]:
    """How often the prediction flips along 100 points of a walk in each factor (Fig 9)."""
    where = ["--data-root", str(context.root)] if context.root else []
    options = ["--n", str(IMAGES), "--steps", "100", "--seed", "0", "--out", str(fit.with_name(fit.name + "-respond"))]
    found = run(fit.parent, fit.name + "-respond", ["respond", "--translator", str(fit), *where, *options])
    flips = {factor["name"]: factor["overall"]["flip_rate"]["factor"] for factor in found["factors"]}
    # The upper end of the interval: a flip rate that was too rarely seen to be told from more is none to boast of.
    return {"digit flips": flips["digit"]["value"], "color does not": 1 - flips["color"]["high"]}


def corners(context: Context, fit: Path) -> dict[str, float]:
    """R² of the known roundness, by ridge regression on z̃ of test images: of its own factor, and of any other."""
    dataset, opened = open_dataset("shapes:corners"), open_translator(fit)
    roundness = dataset.labels["roundness"].values
    parts = [np.asarray(dataset.splits[name]) for name in ("train", "test")]
    tilde = [opened.transform(latents(opened, dataset, items)) for items in parts]
    known = [roundness[items] for items in parts]
    found: dict[str, float] = {}
    for factor in opened.factors.names:
        own = [z[:, opened.factors.slice(factor)].numpy() for z in tilde]
        found[factor] = r_squared(*zip(own, known, strict=True))
    others = max(value for name, value in found.items() if name != "roundness")
    return {"roundness: own": max(0.0, found["roundness"]), "not elsewhere": 1 - max(0.0, others)}


def told_apart(concepts: tuple[str, ...], data: str, *, swaps: bool) -> Callable[[Context, Path], dict[str, float]]:
    """What probes tell of labels from their own and other factors, or what swaps do to a probe of z."""

    def figures(context: Context, fit: Path) -> dict[str, float]:
        found: dict[str, float] = {}
        for concept in concepts:
            known = told_by_label(open_translator(fit), opened_data(context, data), concept, 0)
            found[f"{concept}: own"] = known["own"][0]
            if swaps:
                found[f"{concept}: swap takes it"] = known["takes"]
                found["residual changes nothing"] = 1 - known["residual"]
            else:
                found[f"{concept}: not elsewhere, linear"] = 1 - known["others"][0]
                found[f"{concept}: not elsewhere, MLP"] = 1 - known["others"][1]
        return found

    return figures


CLASSIFIER = ("--backbone", "classifier", "--data", "colormnist", "--max-seconds", "150", "--seed", "0")
JUDGE = ("--backbone", "classifier", "--data", "colormnist", "--max-seconds", "150", "--seed", "1")
CORNERS = ("--backbone", "classifier", "--data", "shapes:corners", "--image-size", "64", "--steps", "20000")
CORNERS += ("--max-seconds", "600", "--seed", "0")
LITE0 = ("timm:tf_efficientnet_lite0",)
TASKS = {
    task.name: task
    for task in (
        Task(
            "colordigits",
            "colordigits",
            ("digit", "color"),
            ("--backbone", "autoencoder", "--data", "colordigits", "--steps", "440", "--seed", "0"),
            colordigits,
            {"digit transferred": 0.97, "color transferred": 0.985},
        ),
        Task(
            "colormnist-autoencoder",
            "colormnist",
            ("digit", "color"),
            ("--backbone", "autoencoder", "--data", "colormnist", "--max-seconds", "400", "--seed", "0"),
            colormnist,
            {"digit transferred": 0.97, "digit kept": 0.99, "color transferred": 0.99},
            JUDGE,
        ),
        Task(
            "colormnist-classifier",
            "colormnist",
            ("digit", "color"),
            CLASSIFIER,
            answers,
            {"digit flips": 0.85, "color does not": 0.98},
        ),
        Task(
            "corners",
            "shapes:corners",
            ("redraw:roundness", "attribute:turn"),
            CORNERS,
            corners,
            {"roundness: own": 0.82, "not elsewhere": 0.95},
        ),
        Task(
            "lite0-cueconflict",
            "cueconflict",
            ("label:shape", "label:texture"),
            LITE0,
            told_apart(("shape", "texture"), "cueconflict", swaps=False),
            {"shape: own": 0.48, "texture: own": 0.99}
            | {f"{name}: not elsewhere, linear": 0.85 for name in ("shape", "texture")}
            | {f"{name}: not elsewhere, MLP": 0.75 for name in ("shape", "texture")},
        ),
        Task(
            "lite0-clothes",
            "clothes",
            ("class", "greyscale"),
            LITE0,
            told_apart(("class",), "clothes", swaps=True),
            {"class: swap takes it": 0.92, "residual changes nothing": 0.94},
        ),
    )
}


def networks(task: Task, context: Context) -> float:
    """Train the task's networks where it has any of its own; return the seconds that took."""
    context.work.mkdir(parents=True, exist_ok=True)
    root, wall = (["--data-root", str(context.root)] if context.root else []), 0.0
    for name, arguments in (("network", task.network), ("judge", task.judge)):
        if len(arguments) > 1:
            out = ["--out", str(context.work / name)]
            wall += run(context.work, name, ["train-backbone", *arguments, *root, *out])["wall"]
    return wall


def fitted(task: Task, context: Context, name: str, options: list[str], seed: int) -> dict[str, Any]:
    """Fit a translator into the folder `name` by `options`, unless that is done already."""
    ready, folder = len(task.network) == 1, (context.root or Path()) / task.data
    where = ["--backbone", *(task.network if ready else [str(context.work / "network")])]
    where += ["--weights", str(context.lite0)] if ready else []
    where += ["--data", str(folder) if folder.is_dir() else task.data]
    where += ["--data-root", str(context.root)] if context.root else []
    concepts = [part for concept in task.concepts for part in ("--concept", concept)]
    out = ["--seed", str(seed), "--out", str(context.work / name)]
    return run(context.work, name, ["fit-translator", *where, *concepts, *options, *out])
