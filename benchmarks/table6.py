"""Table 6 (6 blocks, H 2048, 302 M parameters) on the features of a ResNet-50: seconds per 1,000 steps, NLL curve.

Meant for a GPU; a CPU needs days for it, and --hidden 64 --steps 20 shows that the script runs. Prints Markdown tables.

    uv run python benchmarks/table6.py --data-root DIR --weights default [--work runs/table6] [--device cuda]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from stages import machine, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", required=True, help="the folder that holds the data")
    parser.add_argument("--data", default="animalfaces")
    parser.add_argument("--work", type=Path, default=Path("runs/table6"))
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--weights", default="default", help="of the backbone: default, none, or a file")
    parser.add_argument("--concept", action="append", help="default: class and greyscale")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--hidden", default="2048")
    parser.add_argument("--steps", default="5000")
    parser.add_argument("--seed", default="0")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    concepts = [word for concept in given.concept or ["class", "greyscale"] for word in ("--concept", concept)]
    where = ["--data", given.data, "--data-root", given.data_root, "--device", given.device, "--seed", given.seed]
    size = ["--blocks", "6", "--hidden", given.hidden, "--depth", "2", "--steps", given.steps]
    backbone = ["--backbone", given.backbone, "--weights", given.weights]
    out = ["--out", str(given.work / "fit")]
    fit = run(given.work, "fit", ["fit-translator", *backbone, *concepts, *where, *size, *out])
    history = json.loads((given.work / "fit" / "result.json").read_text())["history"]

    print(f"\n{machine(fit['wall'])}, --device {given.device}, {given.backbone} with --weights {given.weights}\n")
    seconds = 1000 * history[-1]["seconds"] / history[-1]["step"]
    print("| parameters | seconds per 1,000 steps | rows/s | stopped | round trip, max error | log-det error | no-op |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {fit['parameters'] / 1e6:.1f} M | {seconds:.0f} | {fit['rows_per_second']:.0f} | {fit['stopped']} "
        f"| {fit['round_trip_error']:.1e} | {fit['log_det_error']:.1e} | {fit['no_op_agreement']:.3f} |"
    )
    print("\n| step | seconds | training NLL | held-out NLL (nats per latent) |\n|---|---|---|---|")
    for row in history:
        print(f"| {row['step']} | {row['seconds']:.0f} | {row['train_nll']:.1f} | {row['heldout_nll']:.1f} |")


if __name__ == "__main__":
    main()
