"""Precision and recall of generated images by k-nearest-neighbour manifolds (Kynkäänniemi et al. 2019).

A set's manifold is the union of balls, one around every feature, each reaching to its k-th nearest other feature.
Precision is the fraction of the generated features inside the manifold of the real ones (are the images plausible?),
recall the fraction of the real ones inside the manifold of the generated (is every kind of image generated?).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import DataError

__all__ = ["NEIGHBOURS", "Manifold", "precision_recall"]

# k, as the authors chose it.
NEIGHBOURS = 3
# Distances are computed between this many rows and as many others: 8 MiB in float64, however large the sets are.
BLOCK_ROWS = 1024
# Relative to the features' size: features this close are equal up to the rounding of float32.
ROUNDING = 1e-6
Advance = Callable[[float], None]


class Manifold:
    """The balls around `features` (M, D), each as far as its k-th nearest other feature: `radii` (M,) float64.

    Args:
        features: one row per image, on the device that computes.
        k: which neighbour a ball reaches to.
        advance: called with the number of rows just done, M in all.

    Raises DataError unless there are more than k features.

    >>> Manifold(torch.tensor([[0.0], [1.0], [3.0]]), k=1).radii.tolist()
    [1.0, 1.0, 2.0]
    """

    def __init__(self, features: Tensor, k: int = NEIGHBOURS, advance: Advance | None = None) -> None:
        if len(features) <= k:
            raise DataError(f"precision and recall need more than {k} images, there are {len(features)}")
        # Apple's GPUs have no float64, without which rounding swamps the distances of close features.
        self.features = features.cpu() if features.device.type == "mps" else features
        self.middle = self.features.mean(0, dtype=torch.float64)
        radii = []
        for block in self.features.split(BLOCK_ROWS):
            radii.append(self._reach(block, k))
            if advance is not None:
                advance(len(block))
        self.radii = torch.cat(radii)

    def _reach(self, block: Tensor, k: int) -> Tensor:
        """Return the distance from each row of `block` (B, D) to its k-th nearest other feature."""
        nearest = torch.empty(len(block), 0, dtype=torch.float64, device=block.device)
        for others in self.features.split(BLOCK_ROWS):
            joined = torch.cat((nearest, _distances(block, others, self.middle)), 1)
            # One more than k, since every feature is its own nearest.
            nearest = joined.topk(min(k + 1, joined.shape[1]), dim=1, largest=False).values
        return nearest[:, k]


def precision_recall(real: Manifold, generated: Manifold, advance: Advance | None = None) -> tuple[float, float]:
    """Return the fraction of the generated features inside `real`, and of the real ones inside `generated`.

    `advance` is called with the number of generated features just done.

    >>> near, both = torch.arange(8.0)[:, None], torch.tensor([*range(8), *range(90, 98)])[:, None].float()
    >>> precision_recall(Manifold(both), Manifold(near))
    (1.0, 0.5)
    """
    slack = ROUNDING * float(real.features.square().sum(1, dtype=torch.float64).mean().sqrt())
    plausible = 0
    drawn = torch.zeros(len(real.features), dtype=torch.bool, device=real.radii.device)
    blocks = zip(generated.features.split(BLOCK_ROWS), generated.radii.split(BLOCK_ROWS), strict=True)
    for block, reach in blocks:
        inside = torch.zeros(len(block), dtype=torch.bool, device=block.device)
        parts = (part.split(BLOCK_ROWS) for part in (real.features, real.radii, drawn))
        for others, radii, seen in zip(*parts, strict=True):
            distances = _distances(block, others, real.middle) - slack
            inside |= (distances <= radii).any(1)
            # A view, so this updates `drawn`.
            seen |= (distances <= reach[:, None]).any(0)
        plausible += int(inside.sum())
        if advance is not None:
            advance(len(block))
    return plausible / len(generated.features), int(drawn.sum()) / len(drawn)


def _distances(rows: Tensor, others: Tensor, middle: Tensor) -> Tensor:
    """Return the distances (B, C) float64 between rows (B, D) and others (C, D)."""
    # By products, for speed; centring keeps their rounding errors small.
    return torch.cdist(rows.double() - middle, others.double() - middle, compute_mode="use_mm_for_euclid_dist")
