"""Rank, device and random numbers, the same alone and under torchrun, and the joint end of several processes.

Randomness belongs to the sample, work to the rank: the noise of a sample depends on its seed only, and is drawn on the
CPU so that neither batch, rank nor device changes it.

Processes exchange small values (texts, numbers, decisions) by gloo through the CPU, whatever device they compute on. A
failed process does not keep the others waiting: its connections close, which ends every gloo wait for it at once, and
`Alarm` ends a process that waits for a GPU. A wait therefore needs no short limit: one process may encode for hours.
"""

from __future__ import annotations

import atexit
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .failure_alarm import Alarm, Failure

if TYPE_CHECKING:
    import torch
    from torch.distributed import ProcessGroup

__all__ = [
    "bfloat16_is_fast",
    "choose_device",
    "draw_seed",
    "failure",
    "from_main",
    "gather",
    "gather_numbers",
    "is_main_rank",
    "joined",
    "leave",
    "local_rank",
    "lost_process",
    "noise",
    "rank",
    "report_failure",
    "require_device_word",
    "seeded",
    "small_group",
    "wait_for_all",
    "world_size",
]

LONGEST_WAIT = timedelta(days=1)


def rank() -> int:
    """Return the number of this process among those of one run; 0 outside torchrun."""
    return int(os.environ.get("RANK", 0))


def world_size() -> int:
    """Return how many processes share this run; 1 outside torchrun."""
    return int(os.environ.get("WORLD_SIZE", 1))


def local_rank() -> int:
    """Return the number of this process among those of its machine; 0 outside torchrun."""
    return int(os.environ.get("LOCAL_RANK", rank()))


def is_main_rank() -> bool:
    """Say whether this process is the one that prints."""
    return rank() == 0


def gather(value: Any) -> list[Any]:
    """Return every rank's `value`, in the order of the ranks; waits until all ranks have called it."""
    if world_size() == 1:
        return [value]
    import torch.distributed as processes

    values: list[Any] = [None] * world_size()
    processes.all_gather_object(values, value, group=small_group())
    return values


def gather_numbers(numbers: Sequence[float]) -> list[list[float]]:
    """Return every rank's `numbers`, equally many from each; faster than `gather`, 0.1 ms on one machine."""
    if world_size() == 1:
        return [list(numbers)]
    import torch
    import torch.distributed as processes

    rows = [torch.empty(len(numbers), dtype=torch.float64) for _ in range(world_size())]
    processes.all_gather(rows, torch.tensor(numbers, dtype=torch.float64), group=small_group())
    return [row.tolist() for row in rows]


def from_main(value: Any) -> Any:
    """Return the main rank's `value` on every rank; tensors in its dicts and lists are sent one by one, on the CPU."""
    if world_size() == 1:
        return value
    import torch
    import torch.distributed as processes

    tensors: list[torch.Tensor] = []
    skeleton = [_without_tensors(value, tensors) if is_main_rank() else None]
    sizes = [[(tensor.shape, tensor.dtype) for tensor in tensors]]
    for words in (skeleton, sizes):
        processes.broadcast_object_list(words, src=0, group=small_group())
    if is_main_rank():
        for tensor in tensors:
            processes.broadcast(tensor.detach().cpu().contiguous(), src=0, group=small_group())
        return value
    tensors = [torch.empty(shape, dtype=dtype) for shape, dtype in sizes[0]]
    for tensor in tensors:
        processes.broadcast(tensor, src=0, group=small_group())
    return _with_tensors(skeleton[0], tensors)


def wait_for_all() -> None:
    """Return once every rank has called it."""
    # An empty tensor would not synchronise.
    gather_numbers([0])


@cache
def small_group() -> ProcessGroup:
    """Return the gloo group for small values; the first call waits for all ranks. UsageError outside torchrun."""
    import torch.distributed as processes

    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if name not in os.environ:
            raise UsageError(f"WORLD_SIZE is {world_size()}, but {name} is not set: start the processes with torchrun")
    if processes.is_initialized():
        # By the program that calls this one, for whatever it needs.
        return joined(processes.new_group(backend="gloo", timeout=LONGEST_WAIT))
    processes.init_process_group("gloo", timeout=LONGEST_WAIT)
    _alarm()
    atexit.register(leave)
    return joined(processes.group.WORLD)


def joined(group: object) -> ProcessGroup:
    """Return a group that every rank is in; what torch says of one that this rank is not in has another type."""
    from torch.distributed import ProcessGroup

    if not isinstance(group, ProcessGroup):
        raise RuntimeError("this process was left out of the group of all processes")
    return group


def leave() -> None:
    """Close the connections to the other ranks; a process that exits while their threads run may be aborted."""
    if not _met():
        return
    import torch.distributed as processes

    if processes.is_initialized():
        processes.destroy_process_group()
    if _alarm.cache_info().currsize:
        _alarm().stop()


def report_failure(why: str) -> Failure | None:
    """Tell the other ranks why this one fails; return the failure reported before, None for the first to fail."""
    return _alarm().sound(why) if _met() else None


def failure() -> Failure | None:
    """Return the failure that the first rank reported, None while there is none."""
    return _alarm().heard() if _met() else None


def lost_process(error: BaseException) -> bool:
    """Say whether `error` was raised by waiting for a rank that has ended."""
    if world_size() == 1 or not isinstance(error, RuntimeError):
        return False
    import torch.distributed as processes

    said = str(error).lower()
    return isinstance(error, processes.DistError) or any(word in said for word in ("gloo", "nccl", "closed by peer"))


@dataclass(frozen=True)
class _Tensor:
    """Placeholder of tensor `number` of those that are sent one by one."""

    number: int


def _met() -> bool:
    """Say whether this process has connected to the others: only then can it tell them anything, or leave them."""
    return world_size() > 1 and small_group.cache_info().currsize > 0


@cache
def _alarm() -> Alarm:
    return Alarm(rank())


def _without_tensors(value: Any, tensors: list[torch.Tensor]) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return _Tensor(len(tensors) - 1)
    if isinstance(value, dict):
        return {name: _without_tensors(entry, tensors) for name, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_without_tensors(entry, tensors) for entry in value)
    return value


def _with_tensors(value: Any, tensors: list[torch.Tensor]) -> Any:
    if isinstance(value, _Tensor):
        return tensors[value.number]
    if isinstance(value, dict):
        return {name: _with_tensors(entry, tensors) for name, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_with_tensors(entry, tensors) for entry in value)
    return value


def noise(seeds: Sequence[int], dim: int) -> torch.Tensor:
    """Draw z̃ ~ N(0, 1) (B, dim) float32 on the CPU; row i depends on `seeds[i]` only."""
    import torch

    rows = torch.empty(len(seeds), dim)
    for row, seed in zip(rows, seeds, strict=True):
        row.copy_(torch.randn(dim, generator=torch.Generator().manual_seed(seed)))
    return rows


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's global generators for code that draws from them: initial weights, dropout, transforms.

    Args:
        device: where numbers are drawn besides the CPU.

    The generators' states are restored afterwards.
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


def require_device_word(wanted: str) -> None:
    """Raise UsageError for what is no device on any machine."""
    if re.fullmatch(r"auto|(cpu|cuda|mps)(:\d+)?", wanted) is None:
        raise UsageError(f"--device {wanted!r}: write auto, cpu, cuda, cuda:0 or mps")


def choose_device(wanted: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda`, `cuda:1` or `mps` into an available device; raises UsageError if there is none."""
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            # Under torchrun every process of a machine takes its own GPU.
            return torch.device("cuda", local_rank() % torch.cuda.device_count())
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
    if wanted == "cuda" and world_size() > 1:
        return torch.device("cuda", local_rank() % torch.cuda.device_count())
    return device


def bfloat16_is_fast(device: torch.device) -> bool:
    """Say whether `device` has instructions for matrix products in bfloat16; without them it emulates them slowly."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    # Not in every torch.
    if not hasattr(torch.cpu, "get_capabilities"):
        return torch.cpu._is_avx512_bf16_supported()
    able = torch.cpu.get_capabilities()
    return any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
