r"""An autoencoder as a generative model (Table 2): the translator against other priors on the same latents.

For each dataset an autoencoder, a classifier (whose features the distance is measured in) and a translator without
concepts (Eq 12) are trained here. Every stage whose result lies in --work is not run again. Prints a Markdown table.

    uv run python benchmarks/generation.py --data-root DIR [--data fashionmnist] [--work runs/generation]

At full length, on a GPU, with Inception's official weights, the distance being the FID then:

    uv run python benchmarks/generation.py --data-root DIR --data fashionmnist --data mnist --features inception \
        --autoencoder-steps 120000 --autoencoder-seconds 36000 --translator-seconds 7200 --device cuda
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines import MixturePrior, TwoStagePrior
from stages import computed, machine, run
from torch import Tensor

from iin_cli.cli.output import reporter
from iin_cli.data import open_dataset
from iin_cli.distributed import choose_device
from iin_cli.editing.priors import BackbonePrior, TranslatorPrior
from iin_cli.fid.feature_networks import FeatureChoice
from iin_cli.fid.protocol import fid_protocol
from iin_cli.interpretation.encoding import encode_items
from iin_cli.interpretation.open_translator import OpenTranslator
from iin_cli.interpretation.opening import open_translator
from iin_cli.progress import Silent

GOAL = 0.85


def posterior_samples(opened: OpenTranslator, dataset: Any, seed: int) -> Tensor:
    """One z (M, N) of each training image, drawn from its posterior as the translator's fit draws them."""
    items = dataset.splits["train"]
    found = encode_items(opened.require_network(), dataset, items, report=Silent())
    mean, log_variance = (torch.from_numpy(np.array(part)) for part in (found.mean, found.log_variance))
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
    return mean + noise * (0.5 * log_variance).exp()


def trained(work: Path, data: str, given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Train autoencoder, classifier and translator of `data`."""
    where = ["--data", data, "--data-root", given.data_root, "--seed", str(given.seed), "--device", given.device]
    limit = ["--max-seconds", given.autoencoder_seconds]
    limit += ["--steps", given.autoencoder_steps] if given.autoencoder_steps else []
    autoencoder = ["--backbone", "autoencoder", *where, *limit, "--out", str(work / "autoencoder")]
    results = {"autoencoder": run(work, "autoencoder", ["train-backbone", *autoencoder])}
    if given.features == "classifier":
        limit = ["--max-seconds", given.classifier_seconds, "--out", str(work / "classifier")]
        results["classifier"] = run(work, "classifier", ["train-backbone", "--backbone", "classifier", *where, *limit])
    limit = ["--max-seconds", given.translator_seconds] if given.translator_seconds else []
    limit += ["--out", str(work / "translator")]
    results["translator"] = run(
        work, "translator", ["fit-translator", "--backbone", str(work / "autoencoder"), *where, *limit]
    )
    return results


def compared(work: Path, data: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run the protocol of `iin fid --translator` with the baselines among its priors."""
    device = choose_device(given.device)
    opened = open_translator(work / "translator", device)
    dataset = open_dataset(data, Path(given.data_root))
    wanted = str(work / "classifier") if given.features == "classifier" else None
    features = FeatureChoice(wanted).open(device, reporter())
    z = posterior_samples(opened, dataset, given.seed)
    two_stage = TwoStagePrior(z, given.two_stage_seconds, given.seed).to(device)
    priors = [
        BackbonePrior(opened.require_network().backbone),
        MixturePrior(z, seed=given.seed),
        two_stage,
        TranslatorPrior(opened),
    ]
    result = fid_protocol(
        opened,
        priors,
        dataset,
        features,
        n=given.n,
        trials=given.trials,
        seed=given.seed,
        batch=250,
        report=reporter(),
    )
    return result.as_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", required=True, help="the folder that holds the datasets")
    parser.add_argument("--data", action="append", help="default: fashionmnist and mnist")
    parser.add_argument("--work", type=Path, default=Path("runs/generation"))
    parser.add_argument("--features", choices=("classifier", "inception"), default="classifier")
    parser.add_argument("--autoencoder-steps", help="default: inferred from the data")
    parser.add_argument("--autoencoder-seconds", default="720")
    parser.add_argument("--classifier-seconds", default="90")
    parser.add_argument("--translator-seconds", help="limit of the fit; default: none")
    parser.add_argument("--two-stage-seconds", type=float, default=600.0)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    for data in given.data or ["fashionmnist", "mnist"]:
        work = given.work / data
        work.mkdir(parents=True, exist_ok=True)
        stages = trained(work, data, given)
        found = computed(work, "comparison", lambda work=work, data=data: compared(work, data, given))
        show(data, stages, found)


def show(data: str, stages: dict[str, dict[str, Any]], found: dict[str, Any]) -> None:
    seconds = found["wall"] + sum(stage["wall"] for stage in stages.values())
    fit, metric = stages["translator"], found["metric"]
    print(f"\n{data}: {machine(seconds)}; features of {found['network']}; everything trained here")
    print(
        f"autoencoder {stages['autoencoder']['steps']} steps, translator {fit['steps']} steps, held-out NLL "
        f"{fit['heldout_nll']:.2f} nats; {found['trials']} trials of {found['n']:,} images, "
        f"against {found['n_reference']:,} test images\n"
    )
    print(f"| images | {metric} | std | precision | recall | gap closed |\n|---|---|---|---|---|---|")
    for row in found["sets"]:
        closed = "" if row["gap_closed"] is None else f"{100 * row['gap_closed']:.1f} %"
        spread = "" if row["value_std"] is None else f"{row['value_std']:.2f}"
        print(
            f"| {row['images']} | {row['value']:.2f} | {spread} | {row['precision']:.3f} | {row['recall']:.3f} "
            f"| {closed} |"
        )
    print(
        f"\nGoal: the translator closes {100 * GOAL:.0f} % of the gap at least, and is nearer than every other prior."
    )


if __name__ == "__main__":
    main()
