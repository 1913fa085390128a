"""How much each factor holds of the roundness of corners, which is a known number in `shapes`.

The backbone, trained here, is a classifier of the corners, so that it knows of roundness at all. Two translators of it:
one fitted to ground-truth differ pairs (each shape drawn again with other corners), one to the pairs that two sketches
make. Prints Markdown tables.

    uv run python benchmarks/shapes.py [--work runs/shapes]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from factors import latents, r_squared
from stages import computed, machine, run

from iin_cli.data import open_dataset
from iin_cli.interpretation.opening import open_translator

DATA = "shapes:corners"
OTHER = "attribute:turn"
PAIRS = {"ground truth": "redraw:roundness", "two sketches": "roundness:learned"}
GOALS = {"roundness": "≥ 0.8"}


def evaluate(fit: Path) -> dict[str, Any]:
    """R² of a ridge regression from each factor's z̃ to the known roundness, on test images."""
    dataset = open_dataset(DATA)
    opened = open_translator(fit)
    roundness = dataset.labels["roundness"].values
    parts = [np.asarray(dataset.splits[name]) for name in ("train", "test")]
    tilde = [opened.transform(latents(opened, dataset, items)) for items in parts]
    values = [roundness[items] for items in parts]
    whole = [latents(opened, dataset, items).numpy() for items in parts]
    return {
        "z": r_squared(*zip(whole, values, strict=True)),
        "factors": {
            factor: r_squared(
                *((z[:, opened.factors.slice(factor)].numpy(), y) for z, y in zip(tilde, values, strict=True))
            )
            for factor in opened.factors.names
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/shapes"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backbone", default="classifier", help="classifier or autoencoder")
    parser.add_argument("--image-size", default="64")
    parser.add_argument("--backbone-steps", default="20000")
    parser.add_argument("--backbone-seconds", default="900")
    parser.add_argument("--translator-seconds", default="300")
    # A smaller translator keeps the factor's scale equal over all shapes, so that a ridge regression can read it.
    parser.add_argument("--blocks", default="2")
    parser.add_argument("--hidden", default="64")
    parser.add_argument("--translator-steps", default="3000")
    parser.add_argument("--sigma", default="0.9", help="correlation of pairs that share a factor")
    given = parser.parse_args()
    work, seed = given.work, str(given.seed)
    work.mkdir(parents=True, exist_ok=True)
    where = ["--data", DATA, "--seed", seed]
    limit = ["--steps", given.backbone_steps, "--max-seconds", given.backbone_seconds, "--image-size", given.image_size]
    trained = ["--backbone", given.backbone, *where, *limit, "--out", str(work / "backbone")]
    results = [run(work, "backbone", ["train-backbone", *trained])]
    fits, found = {}, {}
    for number, (pairs, concept) in enumerate(PAIRS.items()):
        name = f"fit-{number}"
        out = ["--out", str(work / name), "--max-seconds", given.translator_seconds, "--sigma", given.sigma]
        out += ["--blocks", given.blocks, "--hidden", given.hidden, "--steps", given.translator_steps]
        concepts = ["--concept", concept, "--concept", OTHER]
        fits[pairs] = run(work, name, ["fit-translator", "--backbone", str(work / "backbone"), *concepts, *where, *out])
        found[pairs] = computed(work, f"evaluation-{number}", lambda fit=work / name: evaluate(fit))
        results += [fits[pairs], found[pairs]]

    print(f"\n{machine(sum(result['wall'] for result in results))}, {given.backbone} trained here\n")
    print("| pairs | factor | dimensions | R² of the known roundness | goal |\n|---|---|---|---|---|")
    for pairs, scores in found.items():
        for factor, dim in fits[pairs]["factors"].items():
            goal = GOALS.get(factor, "≤ 0.2") if pairs == "ground truth" else ""
            print(f"| {pairs} | {factor} | {dim} | {scores['factors'][factor]:.3f} | {goal} |")
        print(f"| {pairs} | all of z | | {scores['z']:.3f} | |")


if __name__ == "__main__":
    main()
