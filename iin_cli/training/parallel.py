"""Train in several processes as in one: each takes some rows of every batch, and gradients are averaged.

Batch and learning rate are those of one process. The weighted mean of the ranks' gradients is the gradient of the whole
batch, so that the run differs from one process's only in the order in which floats are summed.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cache

import torch
from torch import Tensor, nn
from torch import distributed as processes
from torch.distributed import ProcessGroup
from torch.nn.parallel import DistributedDataParallel

from ..distributed import joined, local_rank, rank, small_group, world_size
from ..errors import UsageError
from ..plugin_api import BatchPart

__all__ = ["batch_part", "replicate"]


# Gradients arrive close together: ranks wait elsewhere for one that encodes or saves for long.
GRADIENT_WAIT = timedelta(minutes=10)


def batch_part(total: int, device: torch.device) -> BatchPart:
    """Return this rank's part of batches of `total` rows; all ranks call it together.

    Raises UsageError for fewer rows than ranks, more ranks than GPUs, or a device that trains in one process only.
    """
    ranks = world_size()
    if total < ranks:
        raise UsageError(f"{ranks} processes cannot share batches of {total}: start {total} at most")
    group = _gradient_group(_checked(device))
    part = slice(total * rank() // ranks, total * (rank() + 1) // ranks)

    def sum_over_ranks(value: Tensor) -> Tensor:
        value = value.detach().clone()
        processes.all_reduce(value, group=group)
        return value

    return BatchPart(part, total, ranks, lambda module: replicate(module, device), sum_over_ranks)


def replicate(module: nn.Module, device: torch.device) -> nn.Module:
    """Return `module` with the main rank's weights on every rank; each backward averages its gradients over ranks.

    On GPUs, batch normalisation uses the rows of all ranks from now on. On CPUs, where torch has no such layer, it uses
    each rank's own rows, and the main rank's running statistics.
    """
    group = _gradient_group(device.type)
    if device.type == "cuda":
        module = nn.SyncBatchNorm.convert_sync_batchnorm(module, group)
    replica = DistributedDataParallel(
        module,
        device_ids=[device] if device.type == "cuda" else None,
        process_group=group,
        gradient_as_bucket_view=True,
    )
    # Buffers that never change are not sent with every step.
    replica.broadcast_buffers = any(
        isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)) for layer in module.modules()
    )
    return replica


def _checked(device: torch.device) -> str:
    if device.type == "cuda":
        here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), torch.cuda.device_count()
        if here > gpus:
            raise UsageError(f"{here} processes for {gpus} GPU{'s' * (gpus != 1)}: start {gpus}, or use --device cpu")
        if device.index != local_rank():
            raise UsageError(f"--device {device}: every process needs a GPU of its own, so use --device cuda")
        torch.cuda.set_device(device)
    elif device.type != "cpu":
        raise UsageError(
            f"--device {device} trains in one process only: start it without torchrun, or use --device cpu"
        )
    return device.type


@cache
def _gradient_group(kind: str) -> ProcessGroup:
    """Return the group that exchanges gradients: NCCL on GPUs, gloo on CPUs; all ranks make the first call."""
    return small_group() if kind == "cpu" else joined(processes.new_group(backend="nccl", timeout=GRADIENT_WAIT))
