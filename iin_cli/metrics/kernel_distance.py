"""Kernel distance between two sets of features: the unbiased MMD² of a cubic kernel (KID, Bińkowski et al., ICLR 2018).

k(x, y) = (x·y / D + 1)³. With S_xx = Σ_(i≠j) k(x_i, x_j), S_yy alike and S_xy = Σ_(i,j) k(x_i, y_j),

    MMD² = S_xx / (m (m − 1)) + S_yy / (n (n − 1)) − 2 S_xy / (m n).

Unlike the Fréchet distance it is not biased by the number of images; two samples of one source scatter around 0. The
figure in use is its mean over random subsets of both sets. Its interval is that of the whole sets' MMD², by the
jackknife: what leaving out one image changes follows from row sums, so the kernel's matrix is never kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError

__all__ = ["SUBSETS", "SUBSET_SIZE", "KernelDistance", "KernelSums", "kernel_distance"]

# As torch-fidelity draws them, so that figures agree with published ones.
SUBSETS = 100
SUBSET_SIZE = 1000
SUBSET_SEED = 2020
BLOCK_ROWS = 1024
# A normal variable lies within so many standard deviations in 95 % of cases.
DEVIATIONS = 1.959964
Advance = Callable[[float], None]


@dataclass(frozen=True)
class KernelDistance:
    """What was measured.

    Attributes:
        value: mean MMD² of the subsets; may be slightly below 0.
        std: its standard deviation over the subsets (divisor: their number).
        low, high: 95 % interval of `value`, over images.
        subsets, subset_size: how many subsets, of how many images of either set.
    """

    value: float
    std: float
    low: float
    high: float
    subsets: int
    subset_size: int

    def as_dict(self) -> dict[str, Any]:
        """Return the distance as JSON values."""
        return dict(vars(self))

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


class KernelSums:
    """Features (M, D) of one set, and what the kernel sums to within it: `row_sums` (M,) float64, without k(x, x).

    Args:
        features: one row per image, on the device that computes.
        advance: called with the number of rows just done, M in all.

    Raises DataError for fewer than two images.
    """

    def __init__(self, features: Tensor, advance: Advance | None = None) -> None:
        if len(features) < 2:
            raise DataError(f"a kernel distance needs at least 2 images, there are {len(features)}")
        # Apple's GPUs have no float64, without which the difference of large sums is noise.
        self.features = features.cpu() if features.device.type == "mps" else features
        sums = _row_sums(self.features, self.features, advance)
        self.row_sums = sums - (self.features.double().square().sum(1) / self.features.shape[1] + 1) ** 3


def kernel_distance(
    a: KernelSums,
    b: KernelSums,
    *,
    subsets: int = SUBSETS,
    subset_size: int | None = None,
    seed: int = SUBSET_SEED,
    advance: Advance | None = None,
) -> KernelDistance:
    """Return the kernel distance of two sets.

    Args:
        subsets: how many pairs of subsets are drawn, without repetition within a subset.
        subset_size: images of a subset; None takes 1,000, or as many as the smaller set has.
        seed: of the subsets.
        advance: called with 1 after each subset.

    Raises DataError for features of other sizes, or a larger subset than a set.

    >>> row = torch.linspace(-1, 1, 40)[:, None]
    >>> found = kernel_distance(KernelSums(row), KernelSums(row + 2))
    >>> found.subset_size, found.low < found.value < found.high, found.low > 0
    (40, True, True)
    """
    if a.features.shape[1] != b.features.shape[1]:
        raise DataError(f"features of size {a.features.shape[1]} and {b.features.shape[1]} cannot be compared")
    most = min(len(a.features), len(b.features))
    size = min(SUBSET_SIZE, most) if subset_size is None else subset_size
    if not 2 <= size <= most:
        raise DataError(f"subsets of {size} images cannot be drawn from {most}: choose 2 to {most}")
    draw, values = np.random.RandomState(seed), []
    # Subsets that are the whole of both sets are all the same.
    whole = size == len(a.features) == len(b.features)
    for _ in range(1 if whole else subsets):
        rows = [torch.from_numpy(draw.choice(len(each.features), size, replace=False)) for each in (a, b)]
        values.append(_mmd(*(each.features[chosen] for each, chosen in zip((a, b), rows, strict=True))))
        if advance is not None:
            advance(subsets if whole else 1)
    mean, error = float(np.mean(values)), _standard_error(a, b)
    reach = DEVIATIONS * error
    return KernelDistance(mean, float(np.std(values)), mean - reach, mean + reach, subsets, size)


def _mmd(x: Tensor, y: Tensor) -> float:
    """Return the unbiased MMD² of features x and y, both (M, D)."""
    count = len(x)
    within = sum(float(kernel.sum() - kernel.trace()) for kernel in (_kernel(x, x), _kernel(y, y)))
    return within / (count * (count - 1)) - 2 * float(_kernel(x, y).sum()) / count**2


def _standard_error(a: KernelSums, b: KernelSums) -> float:
    """Return the jackknife's standard error of the whole sets' MMD²."""
    m, n = len(a.features), len(b.features)
    to_b, to_a = _row_sums(a.features, b.features), _row_sums(b.features, a.features)
    within_a, within_b, between = a.row_sums.sum(), b.row_sums.sum(), to_b.sum()
    variance = 0.0
    for own, cross, count, other in ((a.row_sums, to_b, m, n), (b.row_sums, to_a, n, m)):
        if count < 3:
            return float("nan")
        within = within_a if own is a.row_sums else within_b
        left = (within - 2 * own) / ((count - 1) * (count - 2)) - 2 * (between - cross) / ((count - 1) * other)
        variance += float((count - 1) / count * (left - left.mean()).square().sum())
    return variance**0.5


def _row_sums(rows: Tensor, others: Tensor, advance: Advance | None = None) -> Tensor:
    """Return Σ_j k(row, other_j) for each row: (M,) float64, block by block."""
    sums = []
    for block in rows.split(BLOCK_ROWS):
        sums.append(
            sum((_kernel(block, part).sum(1) for part in others.split(BLOCK_ROWS)), block.new_zeros(1).double())
        )
        if advance is not None:
            advance(len(block))
    return torch.cat(sums)


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """Return k of all pairs, (B, C) float64."""
    return (x.double() @ y.double().T / x.shape[1] + 1) ** 3
