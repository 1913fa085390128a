"""Latents of many items as one table of rows, and each concept's pairs of these rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..plugin_api import Relation
from .cache import Latents
from .pairs import PairSampler

__all__ = ["ConceptPairs", "LatentTable", "MappedTable"]


class LatentTable:
    """Latents of all rows, left in their blocks: rows are numbered through the blocks.

    `called` names the item in a row, for messages. `sample` takes noise of `noise_dim` dimensions.
    """

    def __init__(self, blocks: Sequence[Latents], called: Callable[[int], str] = "row {}".format) -> None:
        self.blocks, self.called = list(blocks), called
        self.offsets = np.cumsum([0, *(len(block.mean) for block in self.blocks)])
        self.dim = self.noise_dim = int(self.blocks[0].mean.shape[1])
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

    def _gather(self, rows: np.ndarray, column: Callable[[Latents], Any]) -> np.ndarray:
        gathered = np.empty((len(rows), self.noise_dim), np.float32)
        which = np.searchsorted(self.offsets, rows, side="right") - 1
        for number, block in enumerate(self.blocks):
            mine = which == number
            if mine.any():
                gathered[mine] = column(block)[rows[mine] - self.offsets[number]]
        return gathered


class MappedTable(LatentTable):
    """The rows of a table, each sent through a function when it is read: (B, N) -> (B, `dim`)."""

    def __init__(self, table: LatentTable, function: Callable[[Tensor], Tensor], dim: int) -> None:
        super().__init__(table.blocks, table.called)
        self._table, self._function, self.dim = table, function, dim

    def mean(self, rows: np.ndarray) -> Tensor:
        """Return the function of the posterior means (B, dim) of `rows` (B,)."""
        return self._function(self._table.mean(rows))

    def sample(self, rows: np.ndarray, noise: np.ndarray) -> Tensor:
        """Return the function of z ~ q(z|x) (B, dim), drawn with standard normal `noise` (B, noise_dim)."""
        return self._function(self._table.sample(rows, noise))


@dataclass(frozen=True)
class ConceptPairs:
    """A concept's pairs.

    Attributes:
        fit: draws pairs of rows to fit to.
        held_out: draws pairs of rows held out, which show none of those images; None where no two make a pair.
        sources: int64 (rows,), which image each row of the table shows; None where each shows one of its own.
    """

    name: str
    relation: Relation
    fit: PairSampler
    held_out: PairSampler | None
    sources: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        name: str,
        relation: Relation,
        rows: np.ndarray,
        group_ids: np.ndarray,
        held_out: np.ndarray,
        sources: np.ndarray,
    ) -> Self:
        """Make pairs of `rows` (M,) of equal `group_ids` (M,); rows with `held_out` (rows,) make pairs of their own.

        Raises DataError where no two rows to fit to are in one group.
        """
        out = held_out[rows]
        fit = PairSampler.of(rows[~out], group_ids[~out], name)
        try:
            rest = PairSampler.of(rows[out], group_ids[out], name)
        except DataError:
            rest = None
        return cls(name, relation, fit, rest, sources)
