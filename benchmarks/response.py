"""What decides ColorMNIST's classifier: walks of the digit flip its predictions, walks of the colour do not (Fig 9).

On a classifier trained on ColorMNIST; the translator is fitted here. Short walks stay near their start for part of
their way, long ones do not. Beside the walks stands what the network does when the same images are really drawn in
other colours: an ideal translator's walks of the colour do that and no more. Prints a Markdown table.

    uv run python benchmarks/response.py --backbone runs/colormnist/classifier --data-root DIR [--work runs/response]
        [-- --sigma color=0.7 ...]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stages import computed, interval, machine, run

from iin_cli.data import open_dataset
from iin_cli.interpretation.data_choice import choose_items
from iin_cli.interpretation.opening import open_network
from iin_cli.latents.cache import as_images
from iin_cli.metrics.bootstrap import Resampling, mean_interval

CONCEPTS = ["--concept", "digit", "--concept", "color"]
GOALS = {"digit": "> 0.80", "color": "< 0.02"}
POINTS = (20, 100)
# How often every image is drawn in another colour.
REDRAWN = 20


def respond(given: argparse.Namespace, points: int) -> dict[str, Any]:
    arguments = ["respond", "--translator", str(given.work / "fit"), "--data-root", str(given.data_root)]
    arguments += ["--n", str(given.n), "--steps", str(points), "--out", str(given.work / f"respond-{points}")]
    return run(given.work, f"respond-{points}", [*arguments, "--seed", str(given.seed)])


@torch.inference_mode()
def recolored(given: argparse.Namespace) -> dict[str, Any]:
    """Draw the test images in new colours, and count how often the network's prediction changes."""
    dataset, backbone = open_dataset("colormnist", given.data_root), open_network(str(given.backbone)).backbone
    items = choose_items(dataset, "test", given.n, given.seed)

    def predicted() -> np.ndarray:
        images = as_images(dataset.images(items, backbone.image_size))
        return backbone.decode(backbone.encode(images)).argmax(1).numpy()

    start, generator, flips = predicted(), np.random.default_rng(given.seed), []
    accuracy = float((start == dataset.labels["digit"].values[items]).mean())
    for _ in range(REDRAWN):
        dataset.colors[items] = generator.random((len(items), 3))
        flips.append(predicted() != start)
    return {"flips": mean_interval(np.stack(flips, 1), Resampling()).as_dict(), "accuracy": accuracy}


def rows(points: int, found: dict[str, Any]) -> list[str]:
    """Write the rows of a table: the flip rate of each factor beside that of random subspaces of its size."""
    lines = []
    for factor in found["factors"]:
        flips = factor["overall"]["flip_rate"]
        cells = [factor["name"], str(factor["dim"]), str(points), interval(flips["factor"]), interval(flips["control"])]
        lines.append(f"| {' | '.join([*cells, GOALS.get(factor['name'], '')])} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", type=Path, required=True, help="ColorMNIST's classifier, a run folder")
    parser.add_argument("--data-root", type=Path, required=True, help="torchvision's layout of MNIST lies here")
    parser.add_argument("--work", type=Path, default=Path("runs/response"))
    parser.add_argument("--translator-seconds", type=int, default=900)
    parser.add_argument("--n", type=int, default=500, help="test images that walks start from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("options", nargs="*", help="what else fit-translator is told, behind --")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    arguments = ["fit-translator", "--backbone", str(given.backbone), "--data-root", str(given.data_root)]
    arguments += [*CONCEPTS, "--max-seconds", str(given.translator_seconds), "--seed", str(given.seed), *given.options]
    fit = run(given.work, "fit", [*arguments, "--out", str(given.work / "fit")])
    found = {points: respond(given, points) for points in POINTS}
    redrawn = computed(given.work, "recolored", lambda: recolored(given))
    wall = sum(stage["wall"] for stage in (fit, *found.values(), redrawn))
    print(f"\n{machine(wall)}; translator {fit['steps']} steps, held-out NLL {fit['heldout_nll']:.2f} nats")
    print(f"{found[POINTS[0]]['images']} test images, γ {found[POINTS[0]]['gamma']}\n")
    print(
        "| factor | dimensions | points of a walk | flip rate | of random subspaces | goal |\n|---|---|---|---|---|---|"
    )
    for points, result in found.items():
        print("\n".join(rows(points, result)))
    print(
        f"\nThe same images drawn in {REDRAWN} other colours: {interval(redrawn['flips'])} of predictions change; ",
        end="",
    )
    print(f"of the originals {redrawn['accuracy']:.3f} are right.")


if __name__ == "__main__":
    main()
