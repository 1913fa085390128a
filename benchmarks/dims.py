"""Is `iin estimate-dims` calibrated? Every seed must find digit and colour, and none a concept of pure noise.

On ColorMNIST's classifier and autoencoder as benchmarks/colormnist.py trains them. Noise is a label of ten at random,
drawn again by each seed, which also draws the sample, its resamples and its shuffles. Images are encoded once. Prints a
Markdown table.

    uv run python benchmarks/dims.py --work runs/colormnist --data-root DIR [--seeds 20]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from stages import computed, machine

from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.grouping import find_providers
from iin_cli.interpretation.opening import open_network
from iin_cli.plugin_api import ConceptProvider, Dataset, Groups, Relation
from iin_cli.progress import Silent
from iin_cli.sizing.estimate import estimate

NETWORKS = ("classifier", "autoencoder")
REAL, NOISE = ("digit", "color"), "noise"
LABELS = 10


class RandomLabels(ConceptProvider):
    """A share concept that is not there: one of ten labels, drawn for each image by `seed`."""

    concept = NOISE
    relation: Relation = "share"

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def groups(self, dataset: Dataset, indices: np.ndarray, seed: int) -> Groups:
        """Group the items `indices` (M,) by the label drawn for each."""
        drawn = np.random.default_rng(self.seed).integers(0, LABELS, len(indices))
        return Groups(np.asarray(indices, np.int64), np.zeros(len(indices), np.int64), drawn)


def measure(checkpoint: Path, root: Path, seeds: int) -> dict[str, list[dict[str, Any]]]:
    """Estimate the sizes of digit, color and noise with every seed."""
    network = open_network(str(checkpoint))
    dataset = DataChoice(root=root).open(network.data)
    results = []
    for seed in range(seeds):
        providers = [*find_providers(REAL), RandomLabels(seed)]
        results.append(estimate(network, dataset, providers, "variance", seed, Silent()).as_dict())
    return {"seeds": results}


def rows(network: str, results: list[dict[str, Any]]) -> list[str]:
    """Write the rows of a table: how often each concept was found, and what was measured, the median over seeds."""
    lines = []
    for name in (*REAL, NOISE):
        of_seeds = [result["evidence"][name] for result in results]
        found = sum(evidence["verdict"] == "found" for evidence in of_seeds)
        right, goal = (len(results) - found, 19) if name == NOISE else (found, 20)
        low, high = (np.median([evidence["score"][end] for evidence in of_seeds]) for end in ("low", "high"))
        null = np.median([[evidence["null"][end] for end in ("low", "high")] for evidence in of_seeds], 0)
        sizes = [np.median([result[kind][name] for result in results]) for kind in ("eq11", "absent", "calibrated")]
        score, z = (np.median(values) for values in _scores(results, name))
        cells = [
            network,
            name,
            f"{right} of {len(results)} (goal {goal} of 20)",
            f"{score:.4f} [{low:.4f}, {high:.4f}]",
            f"[{null[0]:.4f}, {null[1]:.4f}]",
            f"{z:.1f}",
            *(f"{size:.0f}" for size in sizes),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _scores(results: list[dict[str, Any]], name: str) -> tuple[list[float], list[float]]:
    of_seeds = [result["evidence"][name] for result in results]
    return [evidence["score"]["value"] for evidence in of_seeds], [evidence["z"] for evidence in of_seeds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True, help="torchvision's layout of MNIST lies here")
    parser.add_argument("--work", type=Path, default=Path("runs/colormnist"), help="of benchmarks/colormnist.py")
    parser.add_argument("--out", type=Path, help="where results are kept; default: --work")
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    kept = given.out or given.work
    kept.mkdir(parents=True, exist_ok=True)
    results = {
        network: computed(
            kept,
            f"calibrated-{network}-{given.seeds}",
            lambda network=network: measure(given.work / network, given.data_root, given.seeds),
        )
        for network in NETWORKS
    }
    print(f"\n{machine(sum(result['wall'] for result in results.values()))}; {given.seeds} seeds, medians over them\n")
    print("| network | concept | verdict right | score | null | z | dims by Eq 11 | if absent | calibrated |")
    print("|---|---|---|---|---|---|---|---|---|")
    for network, result in results.items():
        print("\n".join(rows(network, result["seeds"])))


if __name__ == "__main__":
    main()
