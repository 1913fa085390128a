"""Latents of many items as one table of rows, and each concept's pairs of these rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..plugin_api import Relation
from .cache import Latents
from .pairs import PairSampler

__all__ = ["ConceptPairs", "LatentTable"]


class LatentTable:
    """Latents of all rows, left in their blocks: rows are numbered through the blocks.

    `called` names the item in a row, for messages.
    """

    def __init__(self, blocks: Sequence[Latents], called: Callable[[int], str] = "row {}".format) -> None:
        self.blocks, self.called = list(blocks), called
        self.offsets = np.cumsum([0, *(len(block.mean) for block in self.blocks)])
        self.dim = int(self.blocks[0].mean.shape[1])
        self.stochastic = all(block.log_variance is not None for block in self.blocks)

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def mean(self, rows: np.ndarray) -> Tensor:
        """Return the posterior means (B, N) of `rows` (B,)."""
        return torch.from_numpy(self._gather(rows, lambda block: block.mean))

    def sample(self, rows: np.ndarray, noise: np.ndarray) -> Tensor:
        """Draw z ~ q(z|x) (B, N) with standard normal `noise` (B, N); a deterministic encoder's z ignores the noise."""
        mean = self._gather(rows, lambda block: block.mean)
        if self.stochastic:
            mean += np.exp(0.5 * self._gather(rows, lambda block: block.log_variance)) * noise
        return torch.from_numpy(mean)

    def _gather(self, rows: np.ndarray, column: Callable[[Latents], np.ndarray]) -> np.ndarray:
        gathered = np.empty((len(rows), self.dim), np.float32)
        which = np.searchsorted(self.offsets, rows, side="right") - 1
        for number, block in enumerate(self.blocks):
            mine = which == number
            if mine.any():
                gathered[mine] = column(block)[rows[mine] - self.offsets[number]]
        return gathered


@dataclass(frozen=True)
class ConceptPairs:
    """A concept's pairs: rows for fitting and rows held out, which never share an image. `held_out` may be None.

    `sources` int64 (rows,) is the image that each row of the table shows; None where each shows another.
    """

    name: str
    relation: Relation
    fit: PairSampler
    held_out: PairSampler | None
    sources: np.ndarray | None = None
