"""Ways to the same factors, on the same latents and test images: the closed form, the default flow, the paper's fit.

Of every concept that is a label: what a linear and a small nonlinear probe, trained on training images, tell of it from
its own factor and at most from any other, on test images. And how often a probe of z takes the source's label where the
factor is exchanged, or another label where the residual is exchanged (of images that the probe tells apart). Nothing is
tuned: every way is run by its defaults. Prints a Markdown table.

    uv run python benchmarks/alternatives.py --backbone BACKBONE --data DATA --concept NAME [--concept NAME]
        [--weights FILE] [--work runs/alternatives] [--paper-seconds 150]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from factors import latents
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from stages import computed, machine, run

from iin_cli.data import open_dataset
from iin_cli.interpretation.opening import open_translator
from iin_cli.translator.edit import swap

WAYS = {
    "closed form": ["--method", "linear"],
    "flow (default)": [],
    "the paper's fit": ["--preset", "paper"],
}
PAIRS = 2000


def probes(z: np.ndarray, labels: np.ndarray, seed: int) -> list[Any]:
    """Fit a linear and a small nonlinear classifier of `labels` (M,) to z (M, d)."""
    small = MLPClassifier((128,), alpha=1.0, early_stopping=True, max_iter=100, random_state=seed)
    linear = LogisticRegression(C=0.1, max_iter=500)
    return [make_pipeline(StandardScaler(), model).fit(z, labels) for model in (linear, small)]


def evaluate(fit: Path, data: str, root: Path | None, concept: str, seed: int) -> dict[str, Any]:
    """Measure one concept of one translator; `concept` is a factor and a label of the data."""
    opened, dataset = open_translator(fit), open_dataset(data, root)
    labels = dataset.labels[concept].values
    parts = [np.asarray(dataset.splits[name]) for name in ("train", "test")]
    z = [latents(opened, dataset, items) for items in parts]
    tilde = [opened.transform(each) for each in z]
    known = [labels[items] for items in parts]
    told = {}
    for factor in opened.factors.names:
        train, test = (each[:, opened.factors.slice(factor)].numpy() for each in tilde)
        told[factor] = [probe.score(test, known[1]) for probe in probes(train, known[0], seed)]
    # Its probe of z has no part in any translator.
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)).fit(z[0].numpy(), known[0])
    generator, said = np.random.default_rng(seed), oracle.predict(z[1].numpy())
    a, b = generator.integers(0, len(said), (2, PAIRS))
    differ = said[a] != said[b]
    a, b = a[differ], b[differ]

    def after(factor: str) -> np.ndarray:
        return oracle.predict(
            opened.inverse_transform(swap(tilde[1][a], tilde[1][b], opened.factors, [factor])).numpy()
        )

    others = [told[name] for name in opened.factors.names if name != concept]
    return {
        "own": told[concept],
        "others": np.max(others, axis=0).tolist(),
        "takes": float((after(concept) == said[b]).mean()),
        "residual": float((after("residual") != said[a]).mean()),
        "z": float(oracle.score(z[1].numpy(), known[1])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--weights", default="default")
    parser.add_argument("--concept", action="append", required=True, help="a label, or `greyscale` and its like")
    parser.add_argument("--work", type=Path, default=Path("runs/alternatives"))
    parser.add_argument("--paper-seconds", default="150")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    where = ["--backbone", given.backbone, "--weights", given.weights, "--data", given.data, "--seed", str(given.seed)]
    where += ["--data-root", str(given.data_root)] if given.data_root else []
    known = open_dataset(given.data, given.data_root).labels
    print("| way | concept | own: linear / MLP | others, at most | takes | residual changes | NLL | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    results = []
    for number, (way, options) in enumerate(WAYS.items()):
        limit = ["--max-seconds", given.paper_seconds] if "paper" in options else []
        names = [part for concept in given.concept for part in ("--concept", _concept(concept, known))]
        out = ["--out", str(given.work / f"fit-{number}")]
        fitted = run(given.work, f"fit-{number}", ["fit-translator", *where, *names, *options, *limit, *out])
        results.append(fitted)
        for concept in (name for name in given.concept if name in known):
            found = computed(
                given.work,
                f"evaluation-{number}-{concept}",
                lambda name=concept, fit=given.work / f"fit-{number}": evaluate(
                    fit, given.data, given.data_root, name, given.seed
                ),
            )
            results.append(found)
            own, others = (" / ".join(f"{value:.3f}" for value in found[key]) for key in ("own", "others"))
            cells = [way, f"{concept} (z: {found['z']:.3f})", own, others, f"{found['takes']:.3f}"]
            cells += [f"{found['residual']:.3f}", f"{fitted['heldout_nll']:.1f}", f"{fitted['seconds']:.0f}"]
            print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\n{machine(sum(result['wall'] for result in results))}")


def _concept(name: str, labels: Any) -> str:
    return name if name in ("class", "digit", "color") or name not in labels else f"label:{name}"


if __name__ == "__main__":
    main()
