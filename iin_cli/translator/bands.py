"""Bootstrap bands of the pair spectrum: how far resampled pairs move what a concept explains of a direction."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .pair_moments import Moments, PairedRows, numbered

__all__ = ["bands"]

PERCENTILES = (2.5, 97.5)
# From this many groups on, groups are resampled: a thing and its renderings. Fewer, like ten classes, are all there is.
MANY_GROUPS = 50


def bands(rows: PairedRows, known: Moments, directions: Tensor, resamples: int, seed: int) -> np.ndarray:
    """Return the 95 % band (d, 2) of the fraction explained along `directions` (N, d) of standardised latents.

    Groups are resampled, or rows where groups are few (Efron's percentile bootstrap).
    """
    group_of, kept = numbered(rows.groups)
    x = known.standardised(rows.z[kept])
    along = ((x - x.mean(0)).double() @ directions).float()
    sizes = torch.bincount(group_of)
    generator = np.random.default_rng(seed)
    found = np.empty((resamples, directions.shape[1]))
    for number in range(resamples):
        if len(sizes) < MANY_GROUPS:
            rho = _of_rows(along, group_of, len(sizes), _drawn(generator, len(along)))
        else:
            rho = _of_groups(along, group_of, sizes, _drawn(generator, len(sizes)))
        found[number] = (rho if rows.relation == "share" else (1 - rho) / 2).numpy()
    return np.percentile(found, PERCENTILES, axis=0).T


def _drawn(generator: np.random.Generator, count: int) -> Tensor:
    return torch.as_tensor(generator.poisson(1.0, count), dtype=torch.float32)


def _of_rows(along: Tensor, group_of: Tensor, groups: int, times: Tensor) -> Tensor:
    """Return the correlation of pairs (d,) of rows `along` (M, d), each drawn `times` (M,)."""
    nothing, weighted = torch.zeros(groups, along.shape[1]), along * times[:, None]
    counts = torch.zeros(groups).index_add_(0, group_of, times)
    # No row makes a pair with itself, however often it was drawn.
    sums = nothing.index_add(0, group_of, weighted).square() - nothing.index_add(0, group_of, weighted.square())
    return (sums / (counts - 1).clamp_min(1)[:, None]).sum(0) / (weighted * along).sum(0).clamp_min(1e-12)


def _of_groups(along: Tensor, group_of: Tensor, sizes: Tensor, times: Tensor) -> Tensor:
    """Return the correlation of pairs (d,) of rows `along` (M, d) in groups of `sizes`, each drawn `times` (G,)."""
    nothing = torch.zeros(len(sizes), along.shape[1])
    squares = nothing.index_add(0, group_of, along.square())
    sums = (nothing.index_add(0, group_of, along).square() - squares) / (sizes - 1)[:, None]
    return (times[:, None] * sums).sum(0) / (times[:, None] * squares).sum(0).clamp_min(1e-12)
