"""Sketch concepts on photographs: do people and networks see the strokes, and is the content kept?

`roundness` as the default command draws it, read by EfficientNet-Lite0. How strong strokes are was chosen with training
images of `clothes` and images of `animalfaces10` in view; the figures are of test images:

- AUC of a linear probe on z, trained on other images, that tells x_a from x_b;
- turning of contours (`iin_sketch.curvature`): the difference of x_b and x_a in deviations over images;
- the share of images whose top-1 class of 1,000 is that of x, and the share whose class among those of the data set,
  named by a linear probe on z of x, is; beside it the same shares for x moved by four pixels, as a ceiling.

Prints a Markdown table; writes `sketches.json` and, for every data set, a sheet of x, x_a and x_b.

    uv run python benchmarks/sketches.py --data-root DIR [--weights FILE] [--items 80] [--work runs/sketches]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from factors import auc
from iin_sketch.curvature import turning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from stages import machine

from iin_cli.data import open_dataset
from iin_cli.figures.grids import image_grid
from iin_cli.figures.saving import save_png
from iin_cli.interpretation.grouping import circumstances, find_providers
from iin_cli.interpretation.network import Network
from iin_cli.interpretation.opening import open_network
from iin_cli.plugin_api import ConceptProvider, Dataset
from iin_cli.progress import Silent

DATA = ("clothes", "animalfaces10")
SHOWN = 8
MOVED = 4


@dataclass(frozen=True)
class Turns:
    """A statistic of contours: its means over x, x_a and x_b, and the difference of x_b and x_a in deviations."""

    image: float
    round: float
    angular: float
    deviations: float


@dataclass(frozen=True)
class Measured:
    """What was measured on the test images of a data set; `kept_*` are of x_a, x_b, and of x moved by four pixels."""

    data: str
    items: int
    auc: float
    mean_turning: Turns
    sharp_turning: Turns
    kept_top1: tuple[float, float, float]
    kept_own_class: tuple[float, float, float]
    grey_levels: float
    seconds: float


@dataclass(frozen=True)
class Drawn:
    """Images uint8 (M, S, S, 3) and their two drawings, with z (M, N) of each."""

    pixels: tuple[np.ndarray, np.ndarray, np.ndarray]
    z: tuple[np.ndarray, np.ndarray, np.ndarray]


def drawn(network: Network, dataset: Dataset, items: np.ndarray, concept: ConceptProvider) -> Drawn:
    backbone = network.backbone
    x, a, b = (
        concept.draw(dataset, items, backbone.image_size, backbone.interpolation, variant) for variant in range(3)
    )
    za, zb, zx = (network.encode_pixels(pixels).numpy() for pixels in (a, b, x))
    return Drawn((x, a, b), (zx, za, zb))


def turns(found: Drawn, statistic: str) -> Turns:
    # One size for every network: a person's view of a picture does not depend on what a network takes.
    x, a, b = (np.array([getattr(turning(p[::2, ::2]), statistic) for p in pixels]) for pixels in found.pixels)
    deviation = np.sqrt((np.nanvar(a) + np.nanvar(b)) / 2)
    means = [float(np.nanmean(values)) for values in (x, a, b)]
    return Turns(*means, float((means[2] - means[1]) / deviation))


def measure(network: Network, dataset: Dataset, name: str, items: int, work: Path, seed: int) -> Measured:
    started = time.monotonic()
    generator = np.random.default_rng(seed)
    train, test = (
        np.sort(generator.permutation(np.asarray(dataset.splits[part]))[:items]) for part in ("train", "test")
    )
    (concept,) = find_providers(["roundness"])
    concept.prepare(dataset, train, circumstances(network, seed, Silent()))
    learned, held_out = (drawn(network, dataset, part, concept) for part in (train, test))
    x = held_out.pixels[0]
    moved = np.pad(x[:, MOVED:, MOVED:], ((0, 0), (0, MOVED), (0, MOVED), (0, 0)), mode="edge")
    others = (*held_out.z[1:], network.encode_pixels(moved).numpy())
    column = dataset.column("class")
    assert column is not None
    own = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    own.fit(learned.z[0], dataset.labels[column].values[train])
    head = network.backbone.decode
    top1 = [head(torch.from_numpy(z)).argmax(1).numpy() for z in (held_out.z[0], *others)]
    named = [own.predict(z) for z in (held_out.z[0], *others)]
    save_png(work / f"{name}.png", sheet(held_out))
    return Measured(
        data=name,
        items=len(test),
        auc=auc(learned.z[1:], held_out.z[1:]),
        mean_turning=turns(held_out, "mean"),
        sharp_turning=turns(held_out, "sharp"),
        kept_top1=_shares(top1),
        kept_own_class=_shares(named),
        grey_levels=float(np.abs(held_out.pixels[1].astype(float) - held_out.pixels[2]).mean()),
        seconds=round(time.monotonic() - started, 1),
    )


def sheet(found: Drawn) -> np.ndarray:
    return image_grid(np.stack([pixels[:SHOWN] for pixels in found.pixels]), ["x", "x_a: round", "x_b: angular"])


def _shares(answers: list[np.ndarray]) -> tuple[float, float, float]:
    a, b, moved = (float((answer == answers[0]).mean()) for answer in answers[1:])
    return a, b, moved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True, help="the folder that holds clothes and animalfaces10")
    parser.add_argument("--data", nargs="+", default=DATA, help="folders under it")
    parser.add_argument("--backbone", default="timm:tf_efficientnet_lite0")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--items", type=int, default=80, help="images to train probes on, and images to measure")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs/sketches"))
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    network, started = open_network(given.backbone, weights=given.weights), time.monotonic()
    results = []
    for name in given.data:
        dataset = open_dataset(str(given.data_root / name))
        results.append(measure(network, dataset, name, given.items, given.work, given.seed))
        (given.work / "sketches.json").write_text(json.dumps([asdict(result) for result in results], indent=2))

    print(f"\n{machine(time.monotonic() - started)}\n")
    print(f"| measured | {' | '.join(f'{r.data}, {r.items} images' for r in results)} |\n|---|{'---|' * len(results)}")
    rows = {
        "AUC of x_a against x_b": [f"{r.auc:.3f}" for r in results],
        "mean turning of x, x_a, x_b (difference)": [_turns(r.mean_turning) for r in results],
        "share of sharp turns of x, x_a, x_b (difference)": [_turns(r.sharp_turning) for r in results],
        "top-1 of 1,000 kept by x_a, x_b (x moved by 4 pixels)": [_kept(r.kept_top1) for r in results],
        "class of the data set kept by x_a, x_b (moved)": [_kept(r.kept_own_class) for r in results],
        "grey levels between x_a and x_b": [f"{r.grey_levels:.1f}" for r in results],
    }
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |")


def _turns(found: Turns) -> str:
    return f"{found.image:.3f}, {found.round:.3f}, {found.angular:.3f} ({found.deviations:+.2f} SD)"


def _kept(shares: tuple[float, float, float]) -> str:
    return "{:.3f}, {:.3f} ({:.3f})".format(*shares)


if __name__ == "__main__":
    main()
