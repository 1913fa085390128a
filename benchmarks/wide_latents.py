"""Peak memory of a fit to 200,000 pairs of latents at N = 2048, from a file of pairs and from cached latents.

    uv run python benchmarks/wide_latents.py --work DIR

The pairs are made up: a third of the features dead, a third linear copies, as a network after ReLU gives them. They
take 3.3 GB, `z_a` and `z_b` alike; the cached latents take as much. Each fit is a process of its own, whose peak
resident memory is what the system counted; the number to stay under is 2 GiB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from iin_cli.fitting.streams import FreshPairs
from iin_cli.fitting.translator_fit import TranslatorFit, log_det_error
from iin_cli.latents.cache import Latents, MappedRows
from iin_cli.latents.splitting import held_out_mask
from iin_cli.latents.table import ConceptPairs, LatentTable
from iin_cli.plan import Wishes, plan_translator
from iin_cli.sizing.scores import score_concepts
from iin_cli.training.loop import Schedule, optimise
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator

BLOCK = 1000


def blocks(count: int, dim: int, seed: int) -> Iterator[np.ndarray]:
    """Yield `count` made-up latents in blocks of float32."""
    third = dim // 3
    for start in range(0, count, BLOCK):
        generator = np.random.Generator(np.random.Philox(key=[seed, start]))
        alive = np.maximum(generator.standard_normal((min(BLOCK, count - start), third), np.float32), 0)
        rows = np.zeros((len(alive), dim), np.float32)
        rows[:, :third], rows[:, third : 2 * third] = alive, 2 * alive
        yield rows


def write_pairs(path: Path, pairs: int, dim: int) -> None:
    """Write z_a, z_b and mask of two concepts as safetensors, a block at a time."""
    size = 4 * pairs * dim
    tensor = {"dtype": "F32", "shape": [pairs, dim]}
    header = json.dumps(
        {
            "z_a": {**tensor, "data_offsets": [0, size]},
            "z_b": {**tensor, "data_offsets": [size, 2 * size]},
            "mask": {"dtype": "U8", "shape": [pairs, 3], "data_offsets": [2 * size, 2 * size + 3 * pairs]},
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for seed in (1, 2):
            for rows in blocks(pairs, dim, seed):
                file.write(rows.tobytes())
        mask = np.zeros((pairs, 3), np.uint8)
        mask[0::2, 0] = mask[1::2, 1] = 1
        file.write(mask.tobytes())


def write_cache(path: Path, rows: int, dim: int) -> None:
    """Write latents as the cache keeps them."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)})
        for block in blocks(rows, dim, 3):
            file.write(block.tobytes())


def fit_cached(path: Path, steps: int, hidden: int) -> None:
    """Fit to fresh pairs of cached latents, as `fit-translator` does once the images are encoded."""
    table = LatentTable([Latents(MappedRows.of_npy(path), None)])
    rows, groups = np.arange(len(table)), np.arange(len(table)) // 4
    pairs = [ConceptPairs.of("concept", "share", rows, groups, held_out_mask(groups), rows)]
    score_concepts(table, pairs, 0, "variance")
    factors = Factors.of({"concept": table.dim // 2, "residual": table.dim - table.dim // 2}, 0.9)
    plan = plan_translator(table.dim, len(table), "cpu", Wishes(steps=steps, hidden=hidden), True)
    translator = Translator(table.dim, plan.blocks, plan.hidden, plan.depth)
    fit = TranslatorFit(translator, FreshPairs(table, pairs, factors, 125, 0, 512), plan, 0, torch.device("cpu"))
    fit.initialize()
    optimise(fit, Schedule(plan.steps, validate_every=plan.validate_every))
    log_det_error(translator, fit.held_out["concept"].z_a[:1])


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run a command and return its peak resident memory in MiB and its seconds."""
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_maxrss / 1024, time.monotonic() - started


def compare(work: Path, said: argparse.Namespace) -> None:
    """Write the latents of each kind, fit to them, and print a row of the table."""
    pairs, cached = work / "pairs.safetensors", work / "latents.npy"
    sizes = ["--steps", str(said.steps), "--hidden", str(said.hidden)]
    from_file = [sys.executable, "-m", "iin_cli", "fit-translator", "--latents", str(pairs), *sizes]
    from_file += ["--concept", "a", "--concept", "b", "--device", "cpu", "-q", "--out", str(work / "run")]
    from_cache = [sys.executable, __file__, "--work", str(work), "--cached", str(cached), *sizes]
    print(f"| {said.pairs} pairs, N = {said.dim}, {said.steps} steps, H = {said.hidden} | file, MiB | peak, MiB | s |")
    print("|---|---|---|---|")
    for name, path, write, count, command in (
        ("`--latents` file of pairs", pairs, write_pairs, said.pairs, from_file),
        ("cached latents, fresh pairs", cached, write_cache, 2 * said.pairs, from_cache),
    ):
        write(path, count, said.dim)
        peak, seconds = measured(command, {**os.environ, "IIN_CACHE": str(work / "cache")})
        print(f"| {name} | {path.stat().st_size >> 20} | {peak:.0f} | {seconds:.0f} |", flush=True)
        path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="where 3.3 GB of latents fit, for a while")
    parser.add_argument("--pairs", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--cached", type=Path, help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.cached:
        fit_cached(said.cached, said.steps, said.hidden)
        return
    said.work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=said.work) as folder:
        compare(Path(folder), said)


if __name__ == "__main__":
    main()
