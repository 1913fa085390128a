"""ColorMNIST at the paper's sizes, from nothing: factor sizes against Table 1, swaps judged by an independent oracle.

Every stage is a command of `iin`; a stage whose result lies in --work already is not run again, and its recorded time
is counted all the same. Prints Markdown tables.

    uv run python benchmarks/colormnist.py --data-root DIR [--work runs/colormnist]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stages import computed, machine, run

from iin_cli.data import open_dataset
from iin_cli.editing.swap_scores import score_swaps
from iin_cli.interpretation.opening import open_network, open_translator
from iin_cli.latents.cache import as_images
from iin_cli.metrics.judges import ColorJudge, LabelJudge

DATA = "colormnist"
CONCEPTS = ["--concept", "digit", "--concept", "color"]
TABLE_1 = {"autoencoder": {"digit": 12, "color": 19}, "classifier": {"digit": 22, "color": 11}}
ENOUGH = {"digit transferred": 0.95, "digit kept": 0.97, "color transferred": 0.97}
PAIRS = 5000


def train(work: Path, name: str, backbone: str, seconds: int, seed: int, root: str) -> dict:
    where = ["--data", DATA, "--data-root", root, "--out", str(work / name)]
    return run(
        work,
        name,
        ["train-backbone", "--backbone", backbone, *where, "--max-seconds", str(seconds), "--seed", str(seed)],
    )


def score(work: Path, root: str, seed: int) -> dict[str, Any]:
    """Swap test images, which no network has seen, and let the oracle, which has seen no other network, judge."""
    dataset = open_dataset(DATA, Path(root))
    oracle = open_network(str(work / "oracle")).backbone
    opened = open_translator(work / "fit-autoencoder")

    @torch.inference_mode()
    def predict(images: np.ndarray) -> np.ndarray:
        return oracle.decode(oracle.encode(as_images(images))).argmax(1).numpy()

    digits = dataset.labels["digit"].values
    judges = {"digit": LabelJudge(predict, digits), "color": ColorJudge(dataset.colors)}
    scores = score_swaps(opened, dataset, judges, count=PAIRS, seed=seed)
    items = dataset.splits["test"]
    on_originals = np.mean(
        [(predict(dataset.images(part, 32)) == digits[part]).mean() for part in np.array_split(items, 20)]
    )
    return {**scores.as_dict(), "oracle_on_originals": float(on_originals)}


def print_dims(results: dict[str, dict]) -> None:
    print("| network | factor | score | dimensions of 64 | Table 1 |\n|---|---|---|---|---|")
    for network, result in results.items():
        for factor, paper in TABLE_1[network].items():
            print(f"| {network} | {factor} | {result['scores'][factor]:.3f} | {result['factors'][factor]} | {paper} |")


def print_swaps(scores: dict) -> None:
    accuracy = scores["reconstruction"]["digit"]
    figures = {
        "digit transferred": scores["swap"]["digit"]["transfer"] / accuracy,
        "digit kept": scores["swap"]["digit"]["kept"] / accuracy,
        "color transferred": scores["swap"]["color"]["transfer"],
    }
    how = {
        "digit transferred": "digit swapped, oracle sees the source's, ÷ its accuracy on reconstructions",
        "digit kept": "colour swapped, oracle sees the target's, ÷ its accuracy on reconstructions",
        "color transferred": "colour swapped, nearer to the source's colour than to the target's",
    }
    print("| what | measured | goal |\n|---|---|---|")
    for name, value in figures.items():
        print(f"| {name}: {how[name]} | {value:.3f} | ≥ {ENOUGH[name]} |")
    print(f"| color kept when the digit is swapped | {scores['swap']['color']['kept']:.3f} | |")
    originals = scores["oracle_on_originals"]
    print(f"| oracle's accuracy on originals, on reconstructions | {originals:.3f}, {accuracy:.3f} | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", required=True, help="torchvision's layout of MNIST lies here")
    parser.add_argument("--work", type=Path, default=Path("runs/colormnist"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--autoencoder-seconds", type=int, default=1200)
    parser.add_argument("--classifier-seconds", type=int, default=180)
    parser.add_argument("--translator-seconds", type=int, default=1200)
    given = parser.parse_args()
    work, root, seed = given.work, given.data_root, given.seed
    work.mkdir(parents=True, exist_ok=True)
    results = {
        "autoencoder": train(work, "autoencoder", "autoencoder", given.autoencoder_seconds, seed, root),
        "classifier": train(work, "classifier", "classifier", given.classifier_seconds, seed, root),
        "oracle": train(work, "oracle", "classifier", given.classifier_seconds, seed + 1, root),
    }
    dims = {}
    for network in TABLE_1:
        where = ["--backbone", str(work / network), *CONCEPTS, "--data-root", root, "--seed", str(seed)]
        dims[network] = results[f"dims-{network}"] = run(work, f"dims-{network}", ["estimate-dims", *where])
        limit = given.translator_seconds if network == "autoencoder" else given.classifier_seconds
        name = f"fit-{network}"
        out = ["--out", str(work / name), "--max-seconds", str(limit)]
        results[name] = run(work, name, ["fit-translator", *where, *out])
    results["score"] = computed(work, "score", lambda: score(work, root, seed))

    seconds = sum(result["wall"] for result in results.values())
    print(f"\n{machine(seconds)}, everything trained here\n")
    print_dims(dims)
    print()
    print_swaps(results["score"])
    print("\n| translator of | rows/s | steps | held-out NLL (nats) | max round-trip error | log-det error |")
    print("|---|---|---|---|---|---|")
    for network in TABLE_1:
        fit = results[f"fit-{network}"]
        print(
            f"| {network} | {fit['rows_per_second']:.0f} | {fit['steps']} | {fit['heldout_nll']:.2f} "
            f"| {fit['round_trip_error']:.1e} | {fit['log_det_error']:.1e} |"
        )


if __name__ == "__main__":
    main()
