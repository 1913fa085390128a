"""`iin sample` on a server: its speed against decoding alone, its memory, and what SIGKILL does to it.

Prints three Markdown tables. Every stage whose result lies in --work is not run again.

    uv run python benchmarks/sampling.py --translator runs/00003-fit-translator [--work runs/sampling]

The first compares, side by side and `--repeats` times over, `iin sample` as a process (by its own figure) with one that
draws the same images and writes nothing; G alone is the latter with the backbone's prior. The second needs Linux.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

from stages import computed, machine

from iin_cli.distributed import choose_device
from iin_cli.editing.priors import BackbonePrior, TranslatorPrior, generate
from iin_cli.interpretation.opening import open_translator

FORMATS, PRIORS, RANKS = ("png", "webp", "npz", "safetensors"), ("translator", "backbone"), 3


def draw_alone(given: argparse.Namespace) -> None:
    """Draw images, write nothing and print images/s: an upper bound for `iin sample`."""
    opened = open_translator(given.translator, choose_device(given.device))
    network = opened.require_network().require_images().backbone
    prior = TranslatorPrior(opened) if given.alone == "translator" else BackbonePrior(network)
    started = time.monotonic()
    for _ in generate(network, prior, range(given.n), opened.device):
        pass
    print(given.n / (time.monotonic() - started))


def command(given: argparse.Namespace, count: int, out: Path, *more: str) -> list[str]:
    where = ["--translator", str(given.translator), "--device", given.device, "--out", str(out)]
    return [sys.executable, "-m", "iin_cli", "sample", *where, "--seeds", f"0-{count - 1}", "--json", "-q", *more]


def sampled(given: argparse.Namespace, count: int, *more: str) -> dict[str, Any]:
    """Run `iin sample` into a new folder; return its result, with the peak memory in MiB."""
    # ext4 does not give a new file the place of one deleted seconds ago, and looks at each of them first: beside the
    # deleted files of the run before, making a file took 0.65 ms, and 0.016 without.
    out = given.written / f"samples-{time.monotonic_ns()}"
    peak = 0
    with subprocess.Popen(command(given, count, out, *more), stdout=subprocess.PIPE) as process:
        # wait4 would report at least the peak of this process, which the child starts with.
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            peak = max(peak, *(int(kib) for kib in re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())), 0)
            time.sleep(0.05)
        result = json.loads(process.stdout.read())
    return {**result, "peak": peak / 1024}


def speed(given: argparse.Namespace, prior: str) -> dict[str, Any]:
    """Images/s of drawing alone and of each format, every repeat one after another."""
    found: dict[str, list[float]] = {name: [] for name in ("alone", *FORMATS)}
    alone = [sys.executable, __file__, "--translator", given.translator, "--device", given.device, "--n", given.n]
    for _ in range(given.repeats):
        done = subprocess.run([*map(str, alone), "--alone", prior], stdout=subprocess.PIPE, text=True, check=True)
        found["alone"].append(float(done.stdout))
        for kind in FORMATS:
            result = sampled(given, given.n, "--format", kind, "--prior", prior)
            found[kind].append(result["images_per_second"])
    return {"speeds": found}


def killed_and_resumed(given: argparse.Namespace) -> dict[str, Any]:
    """Sample by three ranks, kill them all at a third and at two thirds, and finish; compare with one rank alone."""
    whole, resumed, shards = given.work / "whole", given.work / "resumed", -(-given.killed // 256)
    subprocess.run(command(given, given.killed, whole), stdout=subprocess.DEVNULL, check=True)
    unfinished = 0
    for third in (1, 2):
        ranks = start_ranks(given, resumed)
        while len(list(resumed.glob("manifest/*.json"))) < third * shards / 3:
            if any(rank.poll() is not None for rank in ranks):
                raise SystemExit("a rank ended before it was killed: give a larger --killed")
            time.sleep(0.01)
        for rank in ranks:
            rank.kill()
        for rank in ranks:
            rank.wait()
        unfinished += len(list(resumed.rglob("*.part")))
    ranks = start_ranks(given, resumed)
    result = json.loads(ranks[0].communicate()[0])
    if any(rank.wait() for rank in ranks):
        raise SystemExit("a rank failed")
    same = contents(whole) == contents(resumed)
    return {**result, "unfinished": unfinished, "files": len(contents(whole)), "same": same}


def start_ranks(given: argparse.Namespace, out: Path) -> list[subprocess.Popen[str]]:
    """Start every rank as torchrun does, but without it: its processes could not be killed all at once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(RANKS)}
    return [
        subprocess.Popen(
            command(given, given.killed, out),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **meeting, "RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(RANKS)},
        )
        for rank in range(RANKS)
    ]


def contents(folder: Path) -> dict[str, str]:
    """The sha256 of every file but the one that says how long it took."""
    files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    return {
        name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items() if name != "sample.json"
    }


def show_speed(given: argparse.Namespace, speeds: dict[str, dict[str, Any]]) -> None:
    print(f"\n| {given.n:,} images, median of {given.repeats} | images/s | of the same unwritten | of G alone |")
    print("|---|---:|---:|---:|")
    decoding = speeds["backbone"]["alone"]
    for prior, found in speeds.items():
        for name, values in found.items():
            ratios = [
                statistics.median(a / b for a, b in zip(values, base, strict=True))
                for base in (found["alone"], decoding)
            ]
            what = f"--prior {prior}, " + ("drawn and not written" if name == "alone" else name)
            print(f"| {what} | {statistics.median(values):.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--translator", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/sampling"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--n", type=int, default=4000, help="images of each run whose speed is measured")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--killed", type=int, default=10_000, help="images of the run that is killed twice")
    parser.add_argument("--alone", choices=PRIORS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        draw_alone(given)
        return
    started = time.monotonic()
    given.work.mkdir(parents=True, exist_ok=True)
    given.written = given.work / "written"
    given.written.mkdir(exist_ok=True)
    show_speed(
        given,
        {prior: computed(given.work, f"speed-{prior}", partial(speed, given, prior))["speeds"] for prior in PRIORS},
    )
    print("\n| peak memory, MiB | " + " | ".join(f"{count:,} images" for count in given.counts) + " |")
    print("|---|" + "---:|" * len(given.counts))
    for kind in FORMATS:
        peaks = [
            computed(given.work, f"peak-{kind}-{count}", partial(sampled, given, count, "--format", kind))["peak"]
            for count in given.counts
        ]
        print(f"| {kind} | " + " | ".join(f"{peak:.0f}" for peak in peaks) + " |")
    killed = computed(given.work, f"killed-{given.killed}", partial(killed_and_resumed, given))
    print(f"\n| {given.killed:,} images, {RANKS} ranks, killed twice by SIGKILL | |\n|---|---:|")
    print(f"| half-written files left behind | {killed['unfinished']} |")
    print(f"| images kept by the last run | {killed['skipped']:,} |")
    print(f"| files compared with an undisturbed run of one rank | {killed['files']:,} |")
    print(f"| identical, byte for byte | {'yes' if killed['same'] else 'NO'} |")
    rmtree(given.written)
    print(f"\n{machine(time.monotonic() - started)}")


if __name__ == "__main__":
    main()
