"""Does `iin audit` see what is wrong? Translators with planted errors against thresholds that the honest one passes.

All are fitted to the same pairs of latents of ColorMNIST's classifier, as benchmarks/colormnist.py trains it: honest;
with the members of pairs shuffled; with the two concepts' labels swapped; with the σ of digit and of color exchanged.
The translators are small and the fits short, so that all of them take minutes. Prints a Markdown table.

    uv run python benchmarks/audit.py --backbone runs/colormnist/classifier --data-root DIR [--work runs/audit]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from stages import computed, interval, machine, run

from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.encoding import encode_items
from iin_cli.interpretation.opening import open_network
from iin_cli.latents.pairs import PairSampler, step_generator
from iin_cli.progress import Silent

CONCEPTS = ("digit", "color")
SIGMAS = {"digit": 0.95, "color": 0.5}
EXCHANGED = {"digit": SIGMAS["color"], "color": SIGMAS["digit"]}
PAIRS = 30_000
SIZE = ["--dims", "digit=23,color=10", "--blocks", "8", "--hidden", "96", "--depth", "1"]
PLANTED = {
    "honest": "nothing",
    "shuffled": "members of pairs shuffled",
    "swapped": "labels of the concepts swapped",
    "sigma": "σ of the wrong concept",
}
# An audit fails if one of these holds. They were chosen on seed 0, about half-way between the honest translator and the
# nearest planted one, so only other seeds show whether they are right.
CONDITIONS = (
    "correlation.digit.digit<0.25",
    "transfer.digit<0.65",
    "preservation.digit<0.8",
    "information.digit<0.6",
    "leakage.digit>0.17",
)


def write_pairs(backbone: Path, root: Path, folder: Path, seed: int) -> dict[str, Any]:
    """Write the pair files: all hold the same latents of the training split, each with its planted error."""
    network = open_network(str(backbone))
    dataset = DataChoice(root=root).open(network.data)
    items = dataset.splits["train"]
    z = torch.from_numpy(np.array(encode_items(network, dataset, items, report=Silent()).mean))
    pairs = []
    for stream, concept in enumerate(CONCEPTS):
        sampler = PairSampler.of(np.arange(len(items)), dataset.labels[concept].values[items], concept)
        pairs.append(sampler.draw(PAIRS, step_generator(seed, stream, 0)))
    a, b = (torch.from_numpy(np.concatenate(side)) for side in zip(*pairs, strict=True))
    mask = torch.zeros(2 * PAIRS, 3, dtype=torch.uint8)
    mask[:PAIRS, 0], mask[PAIRS:, 1] = 1, 1
    strangers = torch.cat(
        [part[torch.randperm(PAIRS, generator=torch.Generator().manual_seed(seed))] for part in b.split(PAIRS)]
    )
    folder.mkdir(exist_ok=True)
    for name, other, told in (
        ("honest", b, mask),
        ("shuffled", strangers, mask),
        ("swapped", b, mask[:, [1, 0, 2]].contiguous()),
    ):
        save_file({"z_a": z[a], "z_b": z[other], "mask": told}, folder / f"{name}.safetensors")
    return {"pairs": 2 * PAIRS}


def fit(work: Path, name: str, steps: int, seed: int) -> dict[str, Any]:
    """Fit a translator; the one with the wrong σ sees honest pairs."""
    file = work / "pairs" / f"{'honest' if name == 'sigma' else name}.safetensors"
    sigmas = EXCHANGED if name == "sigma" else SIGMAS
    arguments = ["fit-translator", "--latents", str(file), *SIZE, "--out", str(work / f"fit-{name}")]
    for concept in CONCEPTS:
        arguments += ["--concept", concept]
    sigma = ",".join(f"{concept}={value}" for concept, value in sigmas.items())
    return run(work, f"fit-{name}", [*arguments, "--sigma", sigma, "--steps", str(steps), "--seed", str(seed)])


def audit(work: Path, name: str, backbone: Path, root: Path, n: int, seed: int) -> dict[str, Any]:
    """Audit a translator; unlike in other stages an exit code of 1 is a result."""
    arguments = ["audit", "--translator", str(work / f"fit-{name}"), "--backbone", str(backbone), "--n", str(n)]
    arguments += ["--data-root", str(root), "--out", str(work / f"audit-{name}"), "--seed", str(seed), "--json"]
    for condition in CONDITIONS:
        arguments += ["--fail-if", condition]
    done = subprocess.run([sys.executable, "-m", "iin_cli", *arguments], stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(done.returncode)
    return {**json.loads(done.stdout), "exit_code": done.returncode}


def print_table(audits: dict[str, dict[str, Any]]) -> None:
    names = [condition.replace("<", " < ").replace(">", " > ") for condition in CONDITIONS]
    print(f"| planted | {' | '.join(f'fails if {name}' for name in names)} | exit code |")
    print(f"|{'---|' * (len(names) + 2)}")
    for name, result in audits.items():
        failed = {line.partition(":")[0] for line in result["failed"]}
        cells = []
        for condition in CONDITIONS:
            figure = result["figures"][condition.replace(">", "<").partition("<")[0]]
            text = interval(figure)
            cells.append(f"**{text}**" if condition in failed else text)
        print(f"| {PLANTED[name]} | {' | '.join(cells)} | {result['exit_code']} |")
    print("\nBold: the condition holds, and the audit fails.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", type=Path, required=True, help="ColorMNIST's classifier, a run folder")
    parser.add_argument("--data-root", type=Path, required=True, help="torchvision's layout of MNIST lies here")
    parser.add_argument("--work", type=Path, default=Path("runs/audit"))
    parser.add_argument("--seed", type=int, default=1)
    # Steps, not seconds: on a busy machine some translators would be fitted for fewer steps than others.
    parser.add_argument("--steps", type=int, default=600, help="of each fit")
    parser.add_argument("--n", type=int, default=1000, help="test images of each audit")
    given = parser.parse_args()
    work, root, seed = given.work, given.data_root, given.seed
    work.mkdir(parents=True, exist_ok=True)
    stages = [computed(work, "pairs", lambda: write_pairs(given.backbone, root, work / "pairs", seed))]
    audits = {}
    for name in PLANTED:
        stages.append(fit(work, name, given.steps, seed))
        audits[name] = computed(
            work, f"audit-{name}", lambda name=name: audit(work, name, given.backbone, root, given.n, seed)
        )
    print(f"\n{machine(sum(stage['wall'] for stage in [*stages, *audits.values()]))}\n")
    print_table(audits)


if __name__ == "__main__":
    main()
