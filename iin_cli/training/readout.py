"""`Readout`: a figure of every step, read without making a GPU wait."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Readout"]


class Readout:
    """Reads a number of each step; on a GPU that of the step before, which has arrived while this one is queued.

    Reading a step's own number would hold the CPU until the GPU has done the step, so that the GPU then waits for the
    next one's kernels. The first step is read at once. On a CPU every step is.

    Args:
        is_late: None for what the device of the number asks for.
    """

    def __init__(self, is_late: bool | None = None) -> None:
        self._is_late = is_late
        self._before: tuple[Tensor, torch.cuda.Event | None] | None = None

    def __call__(self, value: Tensor) -> float:
        """Return the step's number, `value` (a scalar), or that of the step before."""
        if not (value.is_cuda if self._is_late is None else self._is_late):
            return value.item()
        before, self._before = self._before, self._sent(value.detach())
        if before is None:
            return value.item()
        number, arrived = before
        if arrived is not None:
            arrived.synchronize()
        return number.item()

    @staticmethod
    def _sent(value: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
        """Start the number's way to the CPU; return where it arrives, and the event that says so."""
        if not value.is_cuda:
            return value.clone(), None
        number = torch.empty((), dtype=value.dtype, pin_memory=True)
        number.copy_(value, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        return number, arrived
