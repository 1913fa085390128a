"""Rank, shard and per-sample noise: the same alone and under torchrun.

Randomness belongs to the sample, work to the rank: the noise of a sample depends on its seed only, and is drawn on the
CPU so that neither batch, rank nor device changes it.
"""

from __future__ import annotations

import atexit
import os
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .errors import UsageError

if TYPE_CHECKING:
    import torch

__all__ = ["choose_device", "draw_seed", "gather", "is_main_rank", "noise", "rank", "shard", "world_size"]


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
