"""Precision and recall of generated images by k-nearest-neighbour manifolds (Kynkäänniemi et al. 2019).

A set's manifold is the union of balls, one around every feature, each reaching to its k-th nearest other feature.
Precision is the fraction of the generated features inside the manifold of the real ones (are the images plausible?),
recall the fraction of the real ones inside the manifold of the generated (is every kind of image generated?).

Density and coverage (Naeem et al., ICML 2020) bear outliers better, since they have balls around real features alone.
Density is in how many of these balls a generated feature lies on average, divided by k: 1 for images of one source.
Coverage is the fraction of the balls that hold a generated feature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DataError

__all__ = ["DENSITY_NEIGHBOURS", "NEIGHBOURS", "Manifold", "Spread", "density_coverage", "precision_recall"]

# k, as the authors of either pair of measures chose it.
NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5
# Distances are computed between this many rows and as many others: 8 MiB in float64, however large the sets are.
BLOCK_ROWS = 1024
# Relative to the features' size: features this close are equal up to the rounding of float32.
ROUNDING = 1e-6
# The same for distances in float64, whose last digits depend on the block they were computed in.
EDGE = 1e-9
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
        self.k, self.middle = k, self.features.mean(0, dtype=torch.float64)
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


@dataclass(frozen=True, eq=False)
class Spread:
    """Density and coverage, and what they are means of.

    Attributes:
        dense: (G,) float64, for each generated feature the number of real balls it lies in, ÷ k.
        covered: (R,) bool, for each real feature whether its ball holds a generated one.
    """

    dense: Tensor
    covered: Tensor

    @property
    def density(self) -> float:
        """Mean of `dense`, at least 0; it may exceed 1."""
        return float(self.dense.mean())

    @property
    def coverage(self) -> float:
        """Mean of `covered`, in [0, 1]."""
        return float(self.covered.double().mean())


def density_coverage(real: Manifold, generated: Tensor, advance: Advance | None = None) -> Spread:
    """Return density and coverage of `generated` features (G, D) in the balls of the real ones.

    A feature on the edge of a ball, as every k-th neighbour is, lies outside it. `advance` is called with the number of
    generated features just done.

    >>> same = torch.arange(20.0)[:, None]
    >>> found = density_coverage(Manifold(same, k=5), same)
    >>> found.density <= 1, found.coverage
    (True, 1.0)
    """
    generated = generated.to(real.features.device)
    slack = EDGE * float(real.features.square().sum(1, dtype=torch.float64).mean().sqrt())
    covered = torch.zeros(len(real.features), dtype=torch.bool, device=real.radii.device)
    dense = []
    for block in generated.split(BLOCK_ROWS):
        count = torch.zeros(len(block), dtype=torch.float64, device=real.radii.device)
        parts = (part.split(BLOCK_ROWS) for part in (real.features, real.radii, covered))
        for others, radii, seen in zip(*parts, strict=True):
            # A ball that is a point, of features that occur k times or more, holds its equals.
            inside = _distances(block, others, real.middle) < (radii - slack).clamp_min(slack)
            count += inside.sum(1)
            # A view, so this updates `covered`.
            seen |= inside.any(0)
        dense.append(count / real.k)
        if advance is not None:
            advance(len(block))
    return Spread(torch.cat(dense).cpu(), covered.cpu())


def _distances(rows: Tensor, others: Tensor, middle: Tensor) -> Tensor:
    """Return the distances (B, C) float64 between rows (B, D) and others (C, D)."""
    # By products, for speed; centring keeps their rounding errors small.
    return torch.cdist(rows.double() - middle, others.double() - middle, compute_mode="use_mm_for_euclid_dist")
