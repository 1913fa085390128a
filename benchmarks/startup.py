"""How long commands take that compute little, beside an empty Python, `import numpy` and `import torch`.

Every round runs each program once, in turn, so that other work on the machine meets all alike; wall time and CPU time
are medians over the rounds. Files are read once before. Prints a Markdown table.

    uv run python benchmarks/startup.py --translator runs/demo/translator [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PYTHON = (sys.executable, "-c")
IIN = (sys.executable, "-m", "iin_cli")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--translator", type=Path, required=True, help="of an autoencoder")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    t = str(given.translator.resolve())
    programs = {
        "python -c pass": (*PYTHON, "pass"),
        "import numpy": (*PYTHON, "import numpy"),
        "import torch": (*PYTHON, "import torch"),
        "iin --help": (*IIN, "--help"),
        "iin info": (*IIN, "info", t),
        "iin plugins": (*IIN, "plugins"),
        "iin sample --dry-run": (*IIN, "sample", "-t", t, "--seeds", "0-9999", "--dry-run"),
        "no such checkpoint": (*IIN, "swap", "-t", "gone", "-f", "digit"),
        "no such factor": (*IIN, "swap", "-t", t, "-f", "gone"),
        "no such data": (*IIN, "audit", "-t", t, "-d", "./gone"),
        "iin swap, one grid": (*IIN, "swap", "-t", t, "-f", "digit", "-q", "-o", "{new}.png"),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(given.rounds + 1):
            for name, words in programs.items():
                measured = run([word.replace("{new}", f"{folder}/{turn}") for word in words])
                # The first round fills the caches of the system and compiles what is not compiled.
                if turn:
                    taken[name].append(measured)
    print("| | wall, s | CPU, s |\n|---|---:|---:|")
    for name, found in taken.items():
        wall, cpu = (statistics.median(each) for each in zip(*found, strict=True))
        print(f"| {name} | {wall:.2f} | {cpu:.2f} |")


def run(words: list[str]) -> tuple[float, float]:
    """Run a program; return its wall time and its CPU time."""
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(words, capture_output=True)
    if done.returncode not in (0, 2, 3, 4):
        sys.exit(f"{words}: {done.stderr.decode()}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, cpu


if __name__ == "__main__":
    main()
