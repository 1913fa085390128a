"""How soon the default fit reaches the held-out NLL that the paper's recipe reaches in a given time, on one backbone.

Both are run one after the other on the same latents, with the default's factor sizes and correlations, so that their
NLLs mean the same. The default's clock starts before anything is inferred. Since its rate falls along the fit, it is
also given a twentieth of the recipe's seconds as its limit. Prints a Markdown table.

    uv run python benchmarks/time_to_nll.py --backbone RUN --concept NAME [--concept NAME] [--paper-seconds 150 600]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from stages import computed, machine

from iin_cli.fitting.fit import fit_material
from iin_cli.fitting.inference import infer
from iin_cli.fitting.materials import Material, from_images
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.grouping import find_providers
from iin_cli.interpretation.opening import open_network
from iin_cli.plan import Wishes
from iin_cli.progress import Silent

# The default is also given so many times fewer seconds than the recipe.
FASTER = 20


def history(material: Material, wishes: Wishes, seed: int) -> list[dict[str, float]]:
    """Fit and return the validations, with the seconds since before the inference."""
    started = time.monotonic()
    inferred = infer(material, wishes, seed, torch.device("cpu"), Silent())
    plan = inferred.plan
    # Often enough to see when a bound is reached.
    inferred = replace(inferred, plan=replace(plan, validate_every=25 if plan.linear_start else 10))
    prepared = time.monotonic() - started
    fitted = fit_material(material, inferred, torch.device("cpu"), started=started)
    return [
        {"step": each["step"], "seconds": each["seconds"] + prepared, "nll": each["heldout_nll"]}
        for each in fitted.history
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--data")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--concept", action="append", required=True)
    parser.add_argument("--paper-seconds", type=float, nargs="+", default=[150.0, 600.0])
    parser.add_argument("--work", type=Path, default=Path("runs/time-to-nll"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    network, choice = open_network(given.backbone), DataChoice(given.data, given.data_root, seed=given.seed)
    dataset, root = choice.open(network.data, Silent()), choice.root_of(network.data)
    material = from_images(network, dataset, root, find_providers(given.concept), given.seed, Silent())
    sizes = infer(material, Wishes(), given.seed, torch.device("cpu"), Silent()).factors.dims
    dims = {name: size for name, size in sizes.items() if name != "residual"}

    def run(name: str, wishes: Wishes) -> dict[str, Any]:
        return computed(given.work, name, lambda: {"history": history(material, wishes, given.seed)})

    ours = run("default", Wishes(dims=dims))
    paper = run("paper", Wishes(preset="paper", dims=dims, max_seconds=max(given.paper_seconds)))
    limits = {seconds: seconds / FASTER for seconds in given.paper_seconds}
    short = {
        seconds: run(f"default-{limit:g}", Wishes(dims=dims, max_seconds=limit)) for seconds, limit in limits.items()
    }
    print(f"\n{machine(ours['wall'] + paper['wall'])}\n")
    print("| seconds of the paper's recipe | its NLL | the default reaches that after | ratio | given a twentieth |")
    print("|---|---|---|---|---|")
    for seconds in given.paper_seconds:
        reached = min(each["nll"] for each in paper["history"] if each["seconds"] <= seconds)
        first = next((each["seconds"] for each in ours["history"] if each["nll"] <= reached), None)
        cells = [f"{seconds:.0f}", f"{reached:.2f}"]
        cells += ["–", "–"] if first is None else [f"{first:.1f} s", f"{seconds / first:.0f}"]
        best = min(each["nll"] for each in short[seconds]["history"])
        print(f"| {' | '.join([*cells, f'{best:.2f} in {limits[seconds]:g} s'])} |")
    print(f"\nThe default ends at {ours['history'][-1]['nll']:.2f} after {ours['history'][-1]['seconds']:.0f} s.")


if __name__ == "__main__":
    main()
