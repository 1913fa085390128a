"""How many images a second are encoded: E as it is, channels last, folded, a core per part, and by `iin encode`.

Prints one Markdown table; stages whose result lies in --work are not run again. All ways to compute E run in turns on
the same images, `--repeats` times over, and the medians are compared.

    uv run python benchmarks/encoding.py --data photos/ [--backbone resnet50@none] [--work runs/encoding]

Without --backbone: EfficientNet-Lite0 of --weights, ResNet-50 with random weights, and the paper's encoder at 32², and
--inception adds pytorch-fid's Inception. bfloat16 is measured where the machine has instructions for it. CPU seconds
tell the cost on a machine that others use, too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stages import computed, machine
from torch import Tensor

from iin_cli.acceleration.agreement import measure_agreement
from iin_cli.acceleration.encoder import Encoder
from iin_cli.backbones.autoencoder import Autoencoder
from iin_cli.data import open_dataset
from iin_cli.distributed import bfloat16_is_fast, seeded
from iin_cli.interpretation.network import Network
from iin_cli.interpretation.opening import open_network
from iin_cli.latents.cache import as_images
from iin_cli.latents.reading_ahead import each_core

AUTOENCODER = "autoencoder at 32²"


def opened(name: str, given: argparse.Namespace) -> Network:
    """Open `NAME`, or `NAME@WEIGHTS` of one with weights in a file, none, or of a package."""
    if name == AUTOENCODER:
        with seeded(0):
            return Network.of(Autoencoder(32), name, "")
    kind, _, weights = name.rpartition("@")
    return open_network(kind or name, weights=weights if kind else "default")


def rates(ways: dict[str, Callable[[Tensor], Any]], images: dict[str, Tensor], repeats: int) -> dict[str, list[float]]:
    """Return each way's images a second, and images a CPU second, medians of `repeats` turns."""
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for turn in range(repeats + 1):
            for name, way in ways.items():
                given, began, spent = images[name], time.perf_counter(), time.process_time()
                way(given)
                # The first turn prepares what is computed with.
                if turn:
                    wall[name].append(len(given) / (time.perf_counter() - began))
                    cpu[name].append(len(given) / (time.process_time() - spent))
    return {name: [statistics.median(wall[name]), statistics.median(cpu[name])] for name in ways}


def compared(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Measure every way to compute E of one network on the same images."""
    network = opened(name, given)
    backbone, (batch, at_once) = network.backbone, (64, 16) if network.image_size > 64 else (500, 250)
    dataset = open_dataset(given.data)
    items = np.resize(np.arange(len(dataset.sources)), batch)
    last = as_images(dataset.images(items, network.image_size, backbone.interpolation))
    exact, half = Encoder(backbone), Encoder(backbone, "bfloat16")
    has_half = bfloat16_is_fast(network.device)

    def own(encoder: Encoder, images: Tensor) -> Any:
        return list(each_core(torch.inference_mode()(encoder.posterior), images.split(at_once)))

    ways = {
        "plain": backbone.posterior,
        "channels last": backbone.posterior,
        "and folded": exact.posterior,
        "and each core its own images": partial(own, exact),
        **({"and bfloat16": partial(own, half)} if has_half else {}),
    }
    images = {way: last.contiguous() if way == "plain" else last for way in ways}
    with torch.inference_mode():
        plain, folded = backbone.encode(last), exact.encode(last)
        error = ((folded - plain).abs().max() / plain.abs().max()).item()
    return {
        "rates": rates(ways, images, given.repeats),
        "folding error": error,
        "bfloat16": str(measure_agreement(backbone, last[:64])) if has_half else "no bfloat16 on this machine",
    }


def command(name: str, given: argparse.Namespace) -> dict[str, float]:
    """Return images a second of `iin encode` on all images, its start included, in each precision."""
    found: dict[str, float] = {}
    kind, _, weights = name.rpartition("@")
    for precision in ("float32", "bfloat16") if bfloat16_is_fast(torch.device("cpu")) else ("float32",):
        with tempfile.TemporaryDirectory() as folder:
            chosen = ["--backbone", kind, "--weights", weights] if kind else ["--backbone", name]
            words = ["encode", *chosen, "--data", given.data, "--precision", precision, "--json", "-q"]
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "iin_cli", *words, "--out", f"{folder}/z.safetensors"],
                env={**os.environ, "IIN_CACHE": f"{folder}/cache"},
                stdout=subprocess.PIPE,
                check=True,
            )
            found[precision] = json.loads(done.stdout)["count"] / (time.perf_counter() - began)
    return found


def inception(given: argparse.Namespace) -> dict[str, Any]:
    """Compare Inception as pytorch-fid computes it with channels last, on noise of 256²."""
    from iin_cli.metrics.inception import InceptionFeatures

    ours, plain = (InceptionFeatures(given.inception, torch.device("cpu")) for _ in range(2))
    plain.network.to(memory_format=torch.contiguous_format)
    noise = np.random.default_rng(0)
    pictures = [noise.integers(0, 256, (256, 256, 3), np.uint8) for _ in range(16)]
    prepared = 2 * plain._prepare(pictures) - 1
    ways = {"plain": plain.network, "channels last": ours.network}
    images = {"plain": prepared, "channels last": prepared.contiguous(memory_format=torch.channels_last)}
    return {"rates": rates(ways, images, given.repeats), "folding error": 0.0, "bfloat16": "not used for distances"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of images, or a dataset's name")
    parser.add_argument("--backbone", action="append", help="NAME or NAME@WEIGHTS; repeatable")
    parser.add_argument("--weights", help="EfficientNet-Lite0's, a file or package", default="package")
    parser.add_argument("--inception", type=Path, help="Inception's weights file")
    parser.add_argument("--whole", action="store_true", help="also the whole command, on all images")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path("runs/encoding"))
    given, began = parser.parse_args(), time.monotonic()
    given.work.mkdir(parents=True, exist_ok=True)
    names = given.backbone or [f"timm:tf_efficientnet_lite0@{given.weights}", "resnet50@none", AUTOENCODER]
    found = {name: computed(given.work, str(index), partial(compared, name, given)) for index, name in enumerate(names)}
    if given.inception is not None:
        found["Inception"] = computed(given.work, "inception", partial(inception, given))
    print(f"{machine(time.monotonic() - began)}; {torch.get_num_threads()} threads\n")
    print("| network | E | images/s | of plain | images per CPU second | of plain |\n|---|---|---:|---:|---:|---:|")
    for name, entry in found.items():
        wall, cpu = entry["rates"]["plain"]
        for way, (rate, cost) in entry["rates"].items():
            print(f"| {name.partition('@')[0]} | {way} | {rate:,.1f} | {rate / wall:.2f} | ", end="")
            print(f"{cost:,.1f} | {cost / cpu:.2f} |")
    for name, entry in found.items():
        print(f"\n{name.partition('@')[0]}: folded within {entry['folding error']:.0e}; {entry['bfloat16']}")
    for index, name in enumerate(names if given.whole else []):
        if name != AUTOENCODER:
            whole = computed(given.work, f"whole-{index}", partial(command, name, given))
            told = ", ".join(
                f"{rate:.1f} images/s in {precision}" for precision, rate in whole.items() if precision != "wall"
            )
            print(f"\n`iin encode` of {name.partition('@')[0]}: {told}")


if __name__ == "__main__":
    main()
