"""Choose the items that a fit holds out: whole sources, so that no image is both trained on and evaluated."""

from __future__ import annotations

import numpy as np

from .pairs import step_generator

__all__ = ["held_out_mask"]

HELD_OUT_SEED = 20200614


def held_out_mask(sources: np.ndarray) -> np.ndarray:
    """Mark the held-out items: 5 % of the sources where there are 20,000 items or more, else 10 %; bool (M,)."""
    unique = np.unique(sources)
    count = max(1, round(len(unique) * (0.05 if len(sources) >= 20_000 else 0.1)))
    chosen = step_generator(HELD_OUT_SEED, 0, 0).permutation(unique)[:count]
    return np.isin(sources, chosen)
