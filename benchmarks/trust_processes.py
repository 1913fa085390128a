"""What killed and interrupted trainings leave: exact resume, no dead folder, no litter, the right exit status in time.

Trials of `kill -9` start a fit or a training of a backbone, kill it after a random time, and do what a user would: the
same command with `--resume`, or without where there is no state. In the end the file must be, bit
for bit, that of a run left alone, and nothing else may lie in its folder. Trials of signals send SIGTERM, SIGINT or
SIGHUP after a random time, from the first import on. Trials of torchrun start two processes that share every step, and
kill one of them, or both and torchrun itself; the run that goes on is one of two processes, too. States are saved as
shipped unless `--save-at-once`; with `--once-saved` a run is killed only once it has saved a state.

    uv run python benchmarks/trust_processes.py [--kills 20] [--signals 30] [--torchrun 0] [--seed 0] [--save-at-once]
        [--once-saved]
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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from stages import machine

from iin_cli.io.checkpoint import load, save
from iin_cli.io.tensor_file import digest_of_tensors

STATUS = {signal.SIGTERM: 143, signal.SIGHUP: 143, signal.SIGINT: 130}
# Of the processor, since other programs of the machine are no fault of the trial; and of the clock, for one that waits.
LIMIT_SECONDS, LONGEST_WAIT_SECONDS = 10.0, 120.0
# Torchrun looks at its processes now and then, and waits for those that it ends.
TORCHRUN_LIMIT_SECONDS = 60.0
RANKS = 2
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(RANKS))
STATE = "training-state.safetensors"
AT_ONCE = "import iin_cli.training.saving as s; s.FIRST_SAVE_SECONDS, s.SAVE_SHARE = 0.0, float('inf'); "
RUN = "from iin_cli.cli import main; main()"


@dataclass(frozen=True)
class Job:
    """A training: its command without `--out`, and the file it makes."""

    name: str
    command: tuple[str, ...]
    product: str


@dataclass(frozen=True)
class Program:
    """How `iin` is started: by Python alone, or by a launcher first."""

    launcher: tuple[str, ...]
    file: Path

    @property
    def command(self) -> tuple[str, ...]:
        """The command before the words of `iin`."""
        return (sys.executable, *self.launcher, str(self.file))

    @property
    def name(self) -> str:
        """A word for its folder."""
        return "together" if self.launcher else "alone"


@dataclass(frozen=True)
class Trial:
    """One run to be disturbed, the digest of what it must make, and the seconds it takes when it is left alone."""

    job: Job
    program: Program
    folder: Path
    wanted: str
    seconds: float
    once_saved: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--signals", type=int, default=30)
    parser.add_argument("--torchrun", type=int, default=0, help="trials of kill -9 under torchrun")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="+", help="only these; default: all")
    parser.add_argument("--save-at-once", action="store_true", help="save the state after every step")
    parser.add_argument("--once-saved", action="store_true", help="kill within a second of the first state")
    parser.add_argument("--work", type=Path, default=Path("runs/trust-processes"))
    options = parser.parse_args()
    began, work = time.monotonic(), options.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    os.environ |= {"IIN_CACHE": str(work / "cache"), "OMP_NUM_THREADS": "1"}
    jobs = [job for job in made(work) if job.name in (options.jobs or [job.name])]
    # A file, since torchrun starts no program that is given as text.
    (work / "program.py").write_text((AT_ONCE if options.save_at_once else "") + RUN)
    alone, together = Program((), work / "program.py"), Program(TORCHRUN, work / "program.py")
    generator = np.random.default_rng(options.seed)
    outcomes: Counter[tuple[str, str]] = Counter()

    def tried(trials: str, number: int, program: Program, end: Callable[[Trial, float], str]) -> None:
        job = jobs[number % len(jobs)]
        left_alone = undisturbed(job, program, work / f"{job.name}-{program.name}")
        trial = Trial(job, program, work / "trial", *left_alone, once_saved=options.once_saved)
        after = float(generator.uniform(0, 1.0 if options.once_saved else trial.seconds))
        shutil.rmtree(trial.folder, ignore_errors=True)
        outcome = end(trial, after)
        outcomes[f"{trials}, {job.name}", outcome] += 1
        print(f"{trials}, {job.name}, after {after:.1f} s: {outcome}", file=sys.stderr, flush=True)

    for number in range(options.kills):
        tried("kill -9", number, alone, killed)
    for number in range(options.signals):
        sent = [*STATUS][number // len(jobs) % len(STATUS)]
        tried(sent.name, number, alone, partial(signalled, sent=sent))
    for number in range(options.torchrun):
        victim = (None, *range(RANKS))[int(generator.integers(RANKS + 1))]
        trials = "kill -9 of all under torchrun" if victim is None else f"kill -9 of rank {victim}"
        tried(trials, number, together, partial(torn, victim=victim))
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


@cache
def undisturbed(job: Job, program: Program, folder: Path) -> tuple[str, float]:
    """Return the digest of what a run makes that is left alone, and how long it takes."""
    began = time.monotonic()
    subprocess.run([*program.command, *job.command, "--out", folder], check=True, capture_output=True)
    return product(folder / job.product), time.monotonic() - began


def started(trial: Trial, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*trial.program.command, *trial.job.command, "--out", trial.folder, *more],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # A job of a shell's background ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def begun(trial: Trial) -> subprocess.Popen[bytes]:
    """Start a run that is to be killed, and return it, once it has saved a state where it shall."""
    run = started(trial)
    while trial.once_saved and run.poll() is None and not (trial.folder / STATE).exists():
        time.sleep(0.01)
    return run


def killed(trial: Trial, after: float) -> str:
    """Kill a run after some seconds, go on with it, and say what became of it."""
    run = begun(trial)
    try:
        run.communicate(timeout=after)
        return continued(trial, "finished before")
    except subprocess.TimeoutExpired:
        run.kill()
        run.communicate()
    return continued(trial)


def torn(trial: Trial, after: float, victim: int | None) -> str:
    """Kill one process of a run under torchrun, or all of it, go on with the run, and say what became of it."""
    run = begun(trial)
    try:
        run.communicate(timeout=after)
        return continued(trial, "finished before")
    except subprocess.TimeoutExpired:
        ranks = ranks_of(run.pid)
    for process in [run.pid, *ranks.values()] if victim is None else [ranks.get(victim, run.pid)]:
        os.kill(process, signal.SIGKILL)
    try:
        run.communicate(timeout=TORCHRUN_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        for process in [run.pid, *ranks.values()]:
            os.kill(process, signal.SIGKILL)
        return f"NO END within {TORCHRUN_LIMIT_SECONDS:g} s"
    if (left := [rank for rank, process in ranks.items() if is_running(process)]) != []:
        return f"LEFT RUNNING: rank {left}"
    return continued(trial)


def continued(trial: Trial, how: str | None = None) -> str:
    """Do what a user would, unless the run has finished, and compare what it made; `how` says what was done."""
    job, folder = trial.job, trial.folder
    if not (folder / job.product).exists():
        resumable = (folder / STATE).exists()
        how = "resumed" if resumable else "begun again"
        again = started(trial, *(["--resume"] if resumable else []))
        said = again.communicate()[1].decode(errors="replace").strip().splitlines()
        if again.returncode:
            return f"DEAD FOLDER: {how}, exit {again.returncode}, {said[-1] if said else ''}"
    how = how or "finished meanwhile"
    litter = {entry.name for entry in folder.iterdir()} - {job.product, "plan.json", "result.json"}
    if litter:
        return f"LITTER: {', '.join(sorted(litter))}, {how}"
    return f"{how}, the same bits" if product(folder / job.product) == trial.wanted else f"{how}, OTHER BITS"


def ranks_of(launcher: int) -> dict[int, int]:
    """Return the processes that torchrun has started by now: rank -> number."""
    found = {}
    for entry in Path("/proc").iterdir():
        # A process may end while it is looked at.
        with suppress(OSError, StopIteration, IndexError):
            if (
                entry.name.isdigit()
                and int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1]) == launcher
            ):
                settings = entry.joinpath("environ").read_bytes().split(b"\0")
                found[int(next(each for each in settings if each.startswith(b"RANK="))[5:])] = int(entry.name)
    return found


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def processor_seconds(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def signalled(trial: Trial, after: float, sent: signal.Signals) -> str:
    """Send a signal after some seconds, and say how the run ended."""
    run, made_by = started(trial), trial.folder / trial.job.product
    try:
        run.communicate(timeout=after)
        return "finished before"
    except subprocess.TimeoutExpired:
        run.send_signal(sent)
    ends, most = time.monotonic() + LONGEST_WAIT_SECONDS, processor_seconds(run.pid) + LIMIT_SECONDS
    while is_running(run.pid):
        if time.monotonic() > ends or processor_seconds(run.pid) > most:
            run.kill()
            run.communicate()
            return f"NO END within {LIMIT_SECONDS:g} s"
        time.sleep(0.05)
    said = run.communicate()[1]
    if b"Traceback" in said:
        return "TRACEBACK"
    if run.returncode == -sent:
        # Python itself was not up yet: no program can answer then.
        return "ended by the signal before Python ran" if not said else "NOT CAUGHT"
    if run.returncode == 0 and made_by.exists():
        return "finished meanwhile"
    return f"{run.returncode}" if run.returncode == STATUS[sent] else f"WRONG STATUS {run.returncode}"


if __name__ == "__main__":
    main()
