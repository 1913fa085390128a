"""`BatchPart`: which rows of every batch one of several processes trains on; part of the contracts of `plugin_api`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

__all__ = ["BatchPart"]


@dataclass(frozen=True)
class BatchPart:
    """One process's part of a training shared by several: some rows of every batch, always at the same places.

    Attributes:
        rows: those of the whole batch that this process is given; at least one.
        total: rows of the whole batch.
        ranks: how many processes.
        replicate: module -> one to call instead, whose backward pass leaves in every process the mean over processes of
            its parameters' gradients (torch's DistributedDataParallel). Its forward must come before every backward.
        sum: tensor -> its sum over processes, on the same device; no gradient passes.
    """

    rows: slice
    total: int
    ranks: int
    replicate: Callable[[Module], Module]
    sum: Callable[[Tensor], Tensor]

    @property
    def fraction(self) -> float:
        """The fraction of a batch's rows that this process has."""
        return (self.rows.stop - self.rows.start) / self.total

    @property
    def weight(self) -> float:
        """Factor for a mean over this process's rows that makes the mean over processes that over the batch.

        Multiply a loss by it before the backward pass through a replicated module.
        """
        return self.fraction * self.ranks

    def mean(self, value: Tensor) -> Tensor:
        """Turn a mean over this process's rows into the mean over the whole batch, the same in every process."""
        return self.sum(value * self.fraction)
