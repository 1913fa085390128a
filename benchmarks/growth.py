"""Time and peak memory of commands over folders of 1,000, 10,000 and 100,000 images: do they grow as the data does?

Handwritten digits in random colours at 32², each file another image, and a small autoencoder and a classifier that are
trained here. Every command is a process of its own with an empty cache, but that `fit-translator` leaves its latents to
those after it, as it would for a user. Prints a Markdown table. Needs Linux.

    uv run python benchmarks/growth.py [--counts 1000 10000 100000] [--work runs/growth]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
from PIL import Image
from stages import computed, machine, run

from iin_cli.data import open_dataset

STEPS = "60"


def folder_of(count: int, work: Path) -> Path:
    """Write `count` images, a thousand to a folder, with their digits in `labels.csv`; no two are alike."""
    root = work / f"images-{count}"
    if (root / "labels.csv").exists():
        return root
    rmtree(root, ignore_errors=True)
    digits = open_dataset("digits")
    base, labels = digits.images(np.arange(len(digits.sources)), 32), digits.labels["digit"].values
    generator = np.random.default_rng(0)
    rows = [("file", "digit")]
    for number in range(count):
        item = number % len(base)
        color = generator.integers(60, 256, 3)
        name = f"{number // 1000:03d}/{number:06d}.png"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = (base[item].astype(np.uint16) * color // 255).astype(np.uint8)
        # A mark of its own in the corner: equal files would be one.
        pixels[0, :3] = [[number >> shift & 255] * 3 for shift in (16, 8, 0)]
        Image.fromarray(pixels).save(root / name, compress_level=1)
        rows.append((name, str(labels[item])))
    with (root / "labels.csv").open("w", newline="") as text:
        csv.writer(text).writerows(rows)
    return root


def measured(arguments: list[str], cache: Path) -> dict[str, Any]:
    """Run a command; return its seconds, those of the processor, and its peak memory in MiB."""
    environment = {**os.environ, "IIN_CACHE": str(cache)}
    started = time.monotonic()
    child = subprocess.Popen([sys.executable, "-m", "iin_cli", *arguments, "-q", "--json"], env=environment, stdout=-3)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"iin {' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    seconds = time.monotonic() - started
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024}


def commands(work: Path, folder: Path, count: int) -> dict[str, list[str]]:
    """Every command measured over a folder; results go below `work` / its count."""
    out, network, judge = work / f"runs-{count}", work / "network", work / "judge"
    translator, data = out / "fit-translator", ["--data", str(folder), "--seed", "0"]
    pairs = ["--backbone", str(network), "--concept", "label:digit", "--concept", "greyscale", *data]
    read = ["-t", str(translator), *data]
    return {
        "estimate-dims": ["estimate-dims", *pairs, "--out", str(out / "dims")],
        "fit-translator": ["fit-translator", *pairs, "--steps", STEPS, "--out", str(translator)],
        "sample": [
            "sample",
            "-t",
            str(translator),
            "--seeds",
            f"0-{count - 1}",
            "--format",
            "npz",
            "--out",
            str(out / "s"),
        ],
        "fid": ["fid", str(folder), "colordigits", "--features", str(judge)],
        "respond": ["respond", *read, "--out", str(out / "respond")],
        "audit": ["audit", *read, "--out", str(out / "audit")],
        "explain": ["explain", *read, "--n", "1", "--out", str(out / "explain")],
        "report": ["report", str(translator), *data, "--out", str(out / "report.html")],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--work", type=Path, default=Path("runs/growth"))
    given = parser.parse_args()
    began, work = time.monotonic(), given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    for name, kind in (("network", "autoencoder"), ("judge", "classifier")):
        train = ["train-backbone", "--backbone", kind, "--data", "colordigits", "--steps", "60", "--seed", "0"]
        run(work, name, [*train, "--out", str(work / name)])
    found: dict[str, list[dict[str, Any]]] = {}
    for count in given.counts:
        folder, cache = folder_of(count, work), work / f"cache-{count}"
        (work / f"runs-{count}").mkdir(exist_ok=True)
        for name, arguments in commands(work, folder, count).items():
            result = computed(work, f"{count}-{name}", partial(measured, arguments, cache))
            found.setdefault(name, []).append(result)
            print(f"{count} {name}: {json.dumps(result)}", file=sys.stderr, flush=True)
    heads = [f"{count:,}: s of CPU | wall, s | peak, MiB" for count in given.counts]
    print(f"| command | {' | '.join(heads)} |\n|---|{'--:|' * 3 * len(heads)}")
    for name, results in found.items():
        cells = [f"{each['cpu']:.0f} | {each['seconds']:.0f} | {each['peak']:.0f}" for each in results]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\n{machine(time.monotonic() - began)}")


if __name__ == "__main__":
    main()
