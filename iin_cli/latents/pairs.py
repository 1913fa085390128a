"""Fresh pairs inside groups: pair i of step t depends on (seed, t, i) only, so there is no fixed set to overfit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError

__all__ = ["PairSampler", "step_generator"]


def step_generator(seed: int, stream: int, step: int) -> np.random.Generator:
    """Return the generator of one step of one stream; it is counter-based, so no step needs the steps before it."""
    return np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, 0, 0, step]))


@dataclass(frozen=True)
class PairSampler:
    """Draws pairs of different rows of the same group.

    `order` lists the rows group by group; the row at position p belongs to the group that starts at `starts[p]` and has
    `sizes[p]` rows. Groups of one row are left out.
    """

    order: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, group_ids: np.ndarray, concept: str) -> PairSampler:
        """Build from row numbers (M,) and their groups (M,); raises DataError when no group has two rows."""
        sort = np.argsort(group_ids, kind="stable")
        _, inverse, counts = np.unique(group_ids[sort], return_inverse=True, return_counts=True)
        starts = np.concatenate(([0], np.cumsum(counts)))[inverse]
        sizes = counts[inverse]
        keep = sizes > 1
        if not keep.any():
            raise DataError(f"concept {concept} makes no pair: every group has one item")
        # Dropping whole groups shifts the starts of the groups after them.
        shift = np.cumsum(~keep) - (~keep)
        return cls(rows[sort][keep], (starts - shift)[keep], sizes[keep])

    def draw(self, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw `count` pairs: rows a and b, both (count,). A longer draw begins with the pairs of a shorter one."""
        u = generator.random((count, 2))
        place = (u[:, 0] * len(self.order)).astype(np.int64)
        starts, sizes = self.starts[place], self.sizes[place]
        step = 1 + (u[:, 1] * (sizes - 1)).astype(np.int64)
        other = starts + (place - starts + step) % sizes
        return self.order[place], self.order[other]
