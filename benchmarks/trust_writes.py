"""What a full disk, a quota, a broken disk and a read-only one do at every write that commands make.

Each command runs once to count its writes: files created, opened for writing, synchronised, renamed. Then it runs once
for every write and every kind of failure, which that write meets. A failure must end the command with 2 or 6 and one
line, or be got over; whatever stands in its folder must be whole, nothing half written may stay, and the same command
must work afterwards. A training may keep its state, which must be one that `--resume` takes.

    uv run python benchmarks/trust_writes.py [--work runs/trust-writes] [--commands encode …] [--failures full …]
"""

from __future__ import annotations

import argparse
import builtins
import errno
import json
import math
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from stages import machine

from iin_cli.commands.edit.sample import sample
from iin_cli.commands.edit.swap import swap
from iin_cli.commands.files.encode import encode
from iin_cli.commands.files.translate import translate
from iin_cli.commands.make.fit_translator import fit_translator
from iin_cli.commands.make.train_backbone import BackboneChoice, train_backbone
from iin_cli.errors import IinError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.network_choice import NetworkChoice
from iin_cli.io import checkpoint
from iin_cli.plan import Wishes
from iin_cli.training import saving
from iin_cli.training.runs import RunChoice

FAILURES = {"full": errno.ENOSPC, "quota": errno.EDQUOT, "broken": errno.EIO, "read-only": errno.EROFS}
STATE = "training-state.safetensors"


@dataclass
class Writes:
    """Counts writes below `folder`, and lets one of them fail."""

    folder: Path
    failing: int = -1
    number: int = 0
    count: int = 0

    def meet(self, path: Any) -> None:
        """Count a write, or let it fail where it is its turn."""
        if not str(path).startswith(str(self.folder)):
            return
        if self.count == self.failing:
            self.count += 1
            raise OSError(self.number, os.strerror(self.number), str(path))
        self.count += 1


@contextmanager
def watched(writes: Writes) -> Iterator[None]:
    """Let every write of this process meet `writes` first."""
    fsync, replace, low, high = os.fsync, os.replace, os.open, builtins.open
    paths: dict[int, str] = {}

    def synchronised(handle: int) -> None:
        writes.meet(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    def renamed(source: Any, target: Any, **more: Any) -> None:
        writes.meet(target)
        replace(source, target, **more)

    def opened_low(path: Any, flags: int, *more: Any, **others: Any) -> int:
        if flags & os.O_CREAT:
            writes.meet(path)
        return low(path, flags, *more, **others)

    def opened(file: Any, mode: str = "r", *more: Any, **others: Any) -> Any:
        if set(mode) & set("wax+"):
            writes.meet(file)
        return high(file, mode, *more, **others)

    os.fsync, os.replace, os.open, builtins.open = synchronised, renamed, opened_low, opened
    try:
        yield
    finally:
        os.fsync, os.replace, os.open, builtins.open = fsync, replace, low, high
        paths.clear()


def commands(work: Path) -> dict[str, Callable[[Path], None]]:
    """Return commands that write into a folder, once what they need is there."""
    torch.set_num_threads(1)
    saving.FIRST_SAVE_SECONDS, saving.SAVE_SHARE = 0.0, math.inf
    data, wishes = DataChoice("digits", n=48), Wishes(steps=4, blocks=2, hidden=16)
    tiny = BackboneChoice("autoencoder", image_size=32, latent_dim=8, steps=2)
    net, z, t = work / "net", work / "z.safetensors", work / "t"
    train_backbone(tiny, DataChoice("digits"), RunChoice(net, 0))
    encode(str(net), data, z)
    fit_translator(NetworkChoice(str(net)), ("digit",), DataChoice("digits"), wishes, RunChoice(t, 0))
    return {
        "train-backbone": lambda out: train_backbone(tiny, DataChoice("digits"), RunChoice(out, 0)) and None,
        "fit-translator": lambda out: fit_translator(z, (), None, wishes, RunChoice(out, 0)) and None,
        "encode": lambda out: encode(str(net), data, out / "z.safetensors") and None,
        "translate": lambda out: translate(t, z, out / "z.safetensors") and None,
        "swap": lambda out: swap(t, ["digit"], out=out, choice=DataChoice("digits", n=4)) and None,
        "sample": lambda out: sample(t, range(4), out) and None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", nargs="+", help="only these; default: all")
    parser.add_argument("--failures", nargs="+", choices=[*FAILURES], default=[*FAILURES])
    parser.add_argument("--work", type=Path, default=Path("runs/trust-writes"))
    options = parser.parse_args()
    began, work = time.monotonic(), options.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    os.environ["IIN_CACHE"] = str(work / "cache")
    os.environ["TMPDIR"] = str(work / "temporary")
    (work / "temporary").mkdir(parents=True)
    wrong, rows = [], []
    for name, run in commands(work).items():
        if name not in (options.commands or [name]):
            continue
        folder, writes = work / "out" / name, Writes(work)
        # Each failure meets an empty cache, too.
        shutil.rmtree(work / "cache", ignore_errors=True)
        with watched(writes):
            run(folder)
        counted: Counter[str] = Counter()
        for place in range(writes.count):
            for kind in options.failures:
                shutil.rmtree(folder, ignore_errors=True)
                shutil.rmtree(work / "cache", ignore_errors=True)
                outcome = met(run, folder, Writes(work, place, FAILURES[kind]))
                counted[outcome.partition(":")[0]] += 1
                if outcome.isupper() or outcome[:4].isupper():
                    wrong.append(f"{name}, write {place} of {writes.count}, {kind}: {outcome}")
        rows.append((name, writes.count, counted))
        print(name, dict(counted), file=sys.stderr, flush=True)
    outcomes = sorted({outcome for _, _, counted in rows for outcome in counted})
    print(f"| command | writes | {' | '.join(outcomes)} |\n|---|--:|{'--:|' * len(outcomes)}")
    for name, count, counted in rows:
        print(f"| {name} | {count} | {' | '.join(str(counted[outcome]) for outcome in outcomes)} |")
    print(f"\n{len(wrong)} failures were not dealt with. {machine(time.monotonic() - began)}.")
    for line in wrong[:40]:
        print(f"- {line}")


def met(run: Callable[[Path], None], folder: Path, writes: Writes) -> str:
    """Run a command into one failure; return what became of it, in capitals where it was not dealt with."""
    try:
        with watched(writes):
            run(folder)
        outcome = "done all the same"
    except IinError as error:
        outcome = f"exit {error.exit_code}" if error.exit_code in (2, 6) else f"STATUS {error.exit_code}: {error}"
    except BaseException as error:
        outcome = f"UNEXPECTED {type(error).__name__}: {error}"
    if outcome[:4].isupper():
        return outcome
    if (damage := damaged(folder)) is not None:
        return f"DAMAGED: {damage}"
    if outcome == "done all the same" or (folder / STATE).exists():
        return outcome
    try:
        # What stays may be complete, and a command that made a folder may be told to go on in another.
        shutil.rmtree(folder, ignore_errors=True)
        run(folder)
    except Exception as error:
        return f"BLOCKED: {type(error).__name__}: {error}"
    return outcome


def damaged(folder: Path) -> str | None:
    """Return the first file below `folder` that is not whole, or is left half written."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()) if folder.exists() else ():
        try:
            if file.name.endswith(".part"):
                return f"{file.name} is left"
            if file.suffix == ".json":
                json.loads(file.read_text())
            elif file.suffix == ".safetensors":
                checkpoint.load(file)
            elif file.suffix == ".png":
                Image.open(file).load()
        except Exception as error:
            return f"{file.name}: {error}"
    return None


if __name__ == "__main__":
    main()
