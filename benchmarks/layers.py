"""Shape or texture: which layers of EfficientNet-Lite0 hold either, beside random weights, and which answers follow.

On `cueconflict`, with the ImageNet weights that timm's `tf_efficientnet_lite0` takes. Prints Markdown tables, and
writes `layers.json` and `layers.png`.

    uv run python benchmarks/layers.py --data-root DIR --weights FILE --out runs/layers [-n 400]
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path

import torch
from stages import machine

from iin_cli.data import open_dataset
from iin_cli.figures.saving import save_figure
from iin_cli.interpretation.grouping import find_providers
from iin_cli.interpretation.opening import open_network
from iin_cli.progress import Silent
from iin_cli.sizing.layer_results import RANDOM_WEIGHTS, LayerSweep
from iin_cli.sizing.layers import sweep_layers

CONCEPTS = ("label:shape", "label:texture")
# Whole blocks, and what comes before and after them: 130 modules can be cut at.
LAYERS = r"conv_stem|bn1|blocks\.\d+\.\d+|conv_head|bn2|global_pool|classifier"


def table(sweep: LayerSweep) -> list[str]:
    """Write one row per layer and concept."""
    lines = [
        "| layer | width | concept | score | random weights | beyond random | spectrum | Eq 11 code | Eq 11 paper |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for layer, at in sweep.layers.items():
        for name in sweep.concepts:
            own, other = (found[layer].evidence[name].score for found in (sweep.layers, sweep.random))
            sizes = [None if way is None else way[name] for way in (at.sizes.spectrum, at.sizes.code, at.sizes.paper)]
            cells = [layer, at.width, name, f"{own:.3f}", f"{other:.3f}", sweep.beyond_random(layer, name), *sizes]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True, help="holds cueconflict")
    parser.add_argument("--weights", default="package", help="of timm's tf_efficientnet_lite0; default: a package's")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("-n", type=int, default=400, help="pictures of each concept")
    parser.add_argument("--layers", default=LAYERS, help="regular expression; .* takes all 130")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    started = time.monotonic()
    network = open_network("timm:tf_efficientnet_lite0", weights=given.weights)
    dataset = open_dataset("cueconflict", given.data_root)
    layers = [layer for layer in network.layers() if re.fullmatch(given.layers, layer)]
    sweep = sweep_layers(
        network,
        dataset,
        find_providers(CONCEPTS),
        "variance",
        given.n,
        given.seed,
        Silent(),
        null=RANDOM_WEIGHTS,
        layers=layers,
        after_layer=lambda part: print(f"{len(part.layers)} + {len(part.random)} layers", flush=True),
    )
    seconds = time.monotonic() - started
    (given.out / "layers.json").write_text(json.dumps({**sweep.as_dict(), "seconds": seconds}, indent=1) + "\n")
    save_figure(given.out / "layers.png", sweep.plot())
    print(f"\n{machine(seconds)}; {given.n} pictures of each concept\n")
    print("\n".join(table(sweep)))
    if sweep.decisions is not None:
        print(f"\nAnswers to {sweep.decisions.n} pictures whose cues differ: {sweep.decisions.as_dict()}")


if __name__ == "__main__":
    main()
