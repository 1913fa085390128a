"""Is a concept that is not there reported absent, and are the others unharmed by it?

A label of ten at random, drawn again by each seed, is fitted beside a real concept in closed form. Prints Markdown.

    uv run python benchmarks/absent.py --backbone RUN --concept digit [--seeds 20]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from stages import machine

from iin_cli.fitting.fit import fit_material
from iin_cli.fitting.inference import infer
from iin_cli.fitting.pairs import Pairs
from iin_cli.fitting.separation import Separation
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.encoding import encode_items
from iin_cli.interpretation.opening import open_network
from iin_cli.plan import Wishes
from iin_cli.progress import Silent

NOISE, LABELS = "noise", 10


def fitted(pairs: Pairs, seed: int) -> tuple[dict[str, int], tuple[str, ...], dict[str, Separation]]:
    """Return sizes, absent concepts and separation of the closed form."""
    material, cpu = pairs.material(Silent()), torch.device("cpu")
    inferred = infer(material, Wishes(method="linear"), seed, cpu, Silent())
    assert inferred.spectrum is not None
    found = fit_material(material, inferred, cpu)
    return found.factors.dims, tuple(inferred.spectrum.absent), found.figures.separation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--concept", required=True, help="a label of the backbone's data")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    network, started = open_network(given.backbone), time.monotonic()
    dataset = DataChoice(None, given.data_root).open(network.data, Silent())
    items = dataset.splits["train"]
    z = np.array(encode_items(network, dataset, items, report=Silent()).mean)
    labels = dataset.labels[given.concept].values[items]
    alone, _, before = fitted(Pairs(z).share(given.concept, labels), 0)
    absent, same_size, own, elsewhere = 0, 0, [], []
    for seed in range(given.seeds):
        noise = np.random.default_rng(1000 + seed).integers(0, LABELS, len(items))
        sizes, missing, separation = fitted(Pairs(z).share(given.concept, labels).share(NOISE, noise), seed)
        absent += missing == (NOISE,)
        same_size += sizes[given.concept] == alone[given.concept]
        own.append(separation[given.concept].own)
        elsewhere.append(separation[given.concept].elsewhere)
    print(f"\n{machine(time.monotonic() - started)}; {len(items)} latents of {network.name}\n")
    print("| concept | noise reported absent | of the same size | own | own, least | elsewhere | elsewhere, most |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {given.concept} alone | | | {before[given.concept].own:.3f} | | {before[given.concept].elsewhere:.3f} | |"
    )
    cells = [f"{given.concept} beside noise", f"{absent} of {given.seeds}", f"{same_size} of {given.seeds}"]
    cells += [f"{value:.3f}" for value in (np.median(own), min(own), np.median(elsewhere), max(elsewhere))]
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
