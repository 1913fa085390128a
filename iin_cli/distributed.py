"""Rank, shard, device and random numbers: the same alone and under torchrun.

Randomness belongs to the sample, work to the rank: the noise of a sample depends on its seed only, and is drawn on the
CPU so that neither batch, rank nor device changes it.
"""

from __future__ import annotations

import atexit
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .errors import UsageError

if TYPE_CHECKING:
    import torch

__all__ = [
    "bfloat16_is_fast",
    "choose_device",
    "draw_seed",
    "gather",
    "is_main_rank",
    "noise",
    "rank",
    "seeded",
    "shard",
    "world_size",
]


def rank() -> int:
    """Number of this process among those of one run; 0 outside torchrun."""
    return int(os.environ.get("RANK", 0))


def world_size() -> int:
    """How many processes share this run; 1 outside torchrun."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_main_rank() -> bool:
    """Say whether this process is the one that prints."""
    return rank() == 0


def shard(seeds: Sequence[int]) -> list[int]:
    """Return this rank's part of `seeds`."""
    return list(seeds[rank() :: world_size()])


def gather(value: Any) -> list[Any]:
    """Return every rank's `value`, in the order of the ranks; waits until all have called it."""
    if world_size() == 1:
        return [value]
    import torch.distributed as processes

    if not processes.is_initialized():
        # Values travel through the CPU, so that no GPU is needed for a few words.
        processes.init_process_group("gloo")
        # A process that exits with the group's threads still running may be aborted on its way out.
        atexit.register(processes.destroy_process_group)
    values: list[Any] = [None] * world_size()
    processes.all_gather_object(values, value)
    return values


def noise(seeds: Sequence[int], dim: int) -> torch.Tensor:
    """Draw z̃ ~ N(0, 1) (B, dim) float32 on the CPU; row i depends on `seeds[i]` only."""
    import torch

    rows = torch.empty(len(seeds), dim)
    for row, seed in zip(rows, seeds, strict=True):
        row.copy_(torch.randn(dim, generator=torch.Generator().manual_seed(seed)))
    return rows


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Let what knows torch's own generators only (initial weights, dropout, transforms) draw what `seed` decides.

    Args:
        device: where numbers are drawn besides the CPU.

    The state of these generators is the caller's again afterwards.
    """
    import torch

    on_gpu = device is not None and device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        # Not torch.manual_seed, which would reseed every GPU as well.
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def draw_seed(given: int | None) -> int:
    """Return the user's seed, or a fresh one to be recorded."""
    return secrets.randbelow(2**31) if given is None else given


def choose_device(wanted: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda`, `cuda:1` or `mps` into a device that is there. UsageError if it is not."""
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            # Under torchrun every process of a machine takes its own GPU.
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
        return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise UsageError(f"--device {wanted!r}: write auto, cpu, cuda, cuda:0 or mps") from None
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, False) or (
        device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    ):
        raise UsageError(f"--device {wanted}: this machine has none; use --device cpu or auto")
    return device


def bfloat16_is_fast(device: torch.device) -> bool:
    """Say whether `device` has instructions for matrix products in bfloat16; without them it emulates them slowly."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    # Not in every torch from 2.10 on.
    if not hasattr(torch.cpu, "get_capabilities"):
        return torch.cpu._is_avx512_bf16_supported()
    able = torch.cpu.get_capabilities()
    return any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
