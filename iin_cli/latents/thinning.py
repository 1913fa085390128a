"""Choose a part of items in groups, so that those chosen still make pairs."""

from __future__ import annotations

import numpy as np

__all__ = ["thin"]

# With at least this many whole groups, no group has to be thinned.
ENOUGH_GROUPS = 100


def thin(groups: np.ndarray, limit: int, generator: np.random.Generator) -> np.ndarray:
    """Choose about `limit` of the items with groups (M,): their places, in order; no item is left alone in its group.

    Whole groups are chosen where that leaves enough of them. Else each group keeps an equal part of its items, at least
    two, and where these are still too many, as many groups as there is room for.
    """
    _, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    part = min(1.0, limit / len(groups))
    keys, order = generator.random(len(groups)), generator.permutation(len(sizes))
    if part * len(sizes) >= ENOUGH_GROUPS:
        wanted, chosen = sizes, order[: round(part * len(sizes))]
    else:
        wanted = np.clip((part * sizes).astype(np.int64), np.minimum(2, sizes), sizes)
        # A few rare groups must not cost one of ten classes.
        room = len(order) if wanted.sum() <= 1.5 * limit else int((np.cumsum(wanted[order]) <= limit).sum())
        chosen = order[: max(2, room)]
    by_group = np.lexsort((keys, group_of))
    rank = np.empty(len(groups), np.int64)
    rank[by_group] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.flatnonzero(np.isin(group_of, chosen) & (rank < wanted[group_of]) & (sizes[group_of] > 1))
