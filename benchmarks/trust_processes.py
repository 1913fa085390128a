"""What killed and interrupted trainings leave: exact resume, no dead folder, no litter, the right exit status in time.

Trials of `kill -9` start a fit or a training of a backbone, kill it after a random time, and do what a user would: the
same command with `--resume`, or without where there is no state. In the end the file must be, bit
for bit, that of a run left alone, and nothing else may lie in its folder. Trials of signals send SIGTERM, SIGINT or
SIGHUP after a random time, from the first import on. States are saved as shipped unless `--save-at-once`.

    uv run python benchmarks/trust_processes.py [--kills 20] [--signals 30] [--seed 0] [--save-at-once]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from stages import machine

from iin_cli.io.checkpoint import load, save
from iin_cli.io.tensor_file import digest_of_tensors

STATUS = {signal.SIGTERM: 143, signal.SIGHUP: 143, signal.SIGINT: 130}
LIMIT_SECONDS = 10.0
AT_ONCE = "import iin_cli.training.saving as s; s.FIRST_SAVE_SECONDS, s.SAVE_SHARE = 0.0, float('inf'); "
RUN = "from iin_cli.cli import main; main()"


@dataclass(frozen=True)
class Job:
    """A training: its command without `--out`, and the file it makes."""

    name: str
    command: tuple[str, ...]
    product: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--signals", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="+", help="only these; default: all")
    parser.add_argument("--save-at-once", action="store_true", help="save the state after every step")
    parser.add_argument("--work", type=Path, default=Path("runs/trust-processes"))
    options = parser.parse_args()
    began, work = time.monotonic(), options.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    os.environ |= {"IIN_CACHE": str(work / "cache"), "OMP_NUM_THREADS": "1"}
    program = (sys.executable, "-c", (AT_ONCE if options.save_at_once else "") + RUN)
    jobs = [job for job in made(work) if job.name in (options.jobs or [job.name])]
    wanted, seconds = {}, {}
    for job in jobs:
        started = time.monotonic()
        subprocess.run([*program, *job.command, "--out", work / job.name], check=True, capture_output=True)
        seconds[job.name], wanted[job.name] = time.monotonic() - started, product(work / job.name / job.product)
    generator = np.random.default_rng(options.seed)
    outcomes: Counter[tuple[str, str]] = Counter()
    for number in range(options.kills):
        job = jobs[number % len(jobs)]
        after = float(generator.uniform(0, seconds[job.name]))
        outcome = killed(job, program, work / "trial", after, wanted[job.name])
        outcomes[f"kill -9, {job.name}", outcome] += 1
        print(f"kill -9 of {job.name} after {after:.1f} s: {outcome}", file=sys.stderr, flush=True)
    for number in range(options.signals):
        job, sent = jobs[number % len(jobs)], [*STATUS][number // len(jobs) % len(STATUS)]
        after = float(generator.uniform(0, seconds[job.name]))
        outcome = signalled(job, program, work / "trial", after, sent)
        outcomes[f"{sent.name}, {job.name}", outcome] += 1
        print(f"{sent.name} to {job.name} after {after:.1f} s: {outcome}", file=sys.stderr, flush=True)
    print("| trials | outcome | |\n|---|---|--:|")
    for (trials, outcome), count in sorted(outcomes.items()):
        print(f"| {trials} | {outcome} | {count} |")
    print(f"\nSeed {options.seed}, {machine(time.monotonic() - began)}.")


def made(work: Path) -> list[Job]:
    """Return the trainings, once the latents of one are there."""
    shared = ("--device", "cpu", "--seed", "0")
    latents = work / "z.safetensors"
    z = torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    save(latents, {"z": z}, {"kind": "latents"})
    fit = ("fit-translator", "--latents", str(latents), "--blocks", "2", "--hidden", "32", "--steps", "60")
    net = ("train-backbone", "--backbone", "autoencoder", "--data", "digits", "--latent-dim", "8", "--steps", "12")
    return [
        Job("fit-translator", (*fit, *shared), "translator.safetensors"),
        Job("train-backbone", (*net, *shared), "backbone.safetensors"),
    ]


def product(file: Path) -> str:
    return digest_of_tensors(load(file).tensors)


def started(job: Job, program: tuple[str, ...], folder: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*program, *job.command, "--out", folder, *more],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # A job of a shell's background ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def killed(job: Job, program: tuple[str, ...], folder: Path, after: float, wanted: str) -> str:
    """Kill a run after some seconds, go on with it, and say what became of it."""
    shutil.rmtree(folder, ignore_errors=True)
    run = started(job, program, folder)
    try:
        run.communicate(timeout=after)
        how = "finished before"
    except subprocess.TimeoutExpired:
        run.kill()
        run.communicate()
        resumable = (folder / "training-state.safetensors").exists()
        how = "resumed" if resumable else "begun again"
        if not (folder / job.product).exists():
            again = started(job, program, folder, *(["--resume"] if resumable else []))
            said = again.communicate()[1].decode(errors="replace").strip().splitlines()
            if again.returncode:
                return f"DEAD FOLDER: {how}, exit {again.returncode}, {said[-1] if said else ''}"
    litter = {entry.name for entry in folder.iterdir()} - {job.product, "plan.json", "result.json"}
    if litter:
        return f"LITTER: {', '.join(sorted(litter))}"
    return f"{how}, the same bits" if product(folder / job.product) == wanted else f"{how}, OTHER BITS"


def signalled(job: Job, program: tuple[str, ...], folder: Path, after: float, sent: signal.Signals) -> str:
    """Send a signal after some seconds, and say how the run ended."""
    shutil.rmtree(folder, ignore_errors=True)
    run = started(job, program, folder)
    try:
        run.communicate(timeout=after)
        return "finished before"
    except subprocess.TimeoutExpired:
        run.send_signal(sent)
    try:
        said = run.communicate(timeout=LIMIT_SECONDS)[1]
    except subprocess.TimeoutExpired:
        run.kill()
        run.communicate()
        return f"NO END within {LIMIT_SECONDS:g} s"
    if b"Traceback" in said:
        return "TRACEBACK"
    if run.returncode == -sent:
        # Python itself was not up yet: no program can answer then.
        return "ended by the signal before Python ran" if not said else "NOT CAUGHT"
    if run.returncode == 0 and (folder / job.product).exists():
        return "finished meanwhile"
    return f"{run.returncode}" if run.returncode == STATUS[sent] else f"WRONG STATUS {run.returncode}"


if __name__ == "__main__":
    main()
