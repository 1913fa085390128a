"""Find the few items that make up much of the latents' variance, and with it of every score of Eq 11.

A network that was trained briefly, or is cut where nothing is normalised, may map one image in hundreds to a feature
vector that is tens of times as long as the others. Variances then measure this image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..plugin_api import ConceptProvider, Dataset
from ..progress import Reporter
from .table import LatentTable

__all__ = ["Dominance", "check_dominance", "find_dominance", "names_of_rows", "variant_of"]

# Measured: in some sixty sets of latents of small networks (N = 64, 100 to 60,000 items) the largest item had at most
# 34 times the median, and then 1/500 of the variance; in a ResNet trained for minutes one item had 1,073 times.
FAR, MOST_SHARE, FEW = 50.0, 0.1, 10
CENTER_ROWS = 4096
# Numbers read at once, some MiB in float64: latents may lie in a file that is larger than memory.
BLOCK_NUMBERS = 2**18
SHOWN = 3


@dataclass(frozen=True)
class Dominance:
    """The few items that make up much of the variance.

    Attributes:
        share: the items' fraction of the sum of all squared deviations from the mean latent.
        items: name -> squared deviation as a multiple of the median, the largest first.
        among: number of latents examined.
    """

    share: float
    items: dict[str, float]
    among: int

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        named = [f"{name} ({times:,.0f} × the median)" for name, times in list(self.items.items())[:SHOWN]]
        rest = len(self.items) - len(named)
        return (
            f"{len(self.items)} of {self.among:,} latents {'has' if len(self.items) == 1 else 'have'} {self.share:.0%} "
            f"of all squared deviation from the mean: {', '.join(named)}{f' and {rest} more' if rest else ''}"
        )


def find_dominance(
    read: Callable[[np.ndarray], Tensor], rows: np.ndarray, called: Callable[[int], str]
) -> Dominance | None:
    """Find at most ten items, each of at least 50 times the median squared deviation, that make 10 % of the variance.

    Args:
        read: row numbers (B,) -> latents (B, N); reads each of `rows` (M,) once, and some of them twice.
        called: row number -> name of that latent.

    Returns None where there are no such items.
    """
    if len(rows) < 2:
        return None
    squares = _squared_deviations(read, rows)
    largest = np.argsort(-squares, kind="stable")[:FEW]
    median = float(np.median(squares))
    far = largest[squares[largest] >= FAR * median] if median > 0 else largest[:0]
    share = float(squares[far].sum() / squares.sum()) if len(far) else 0.0
    if share <= MOST_SHARE:
        return None
    items = {called(int(rows[place])): float(squares[place] / median) for place in far}
    return Dominance(share, items, len(rows))


def names_of_rows(dataset: Dataset, items: Sequence[np.ndarray], variants: Sequence[str]) -> Callable[[int], str]:
    """Return row -> its image's name: rows are those of `items`, block after block, and `variants` names the blocks."""
    ends, everything = np.cumsum([len(own) for own in items]), np.concatenate(items)
    return lambda row: dataset.path(int(everything[row])) + variants[int(np.searchsorted(ends, row, side="right"))]


def variant_of(provider: ConceptProvider | None, variant: int) -> str:
    """Return what to add to an image's name for a variant drawn by `provider`; empty for the image itself."""
    if provider is None or not variant:
        return ""
    return f" ({' '.join(dict.fromkeys((provider.concept, provider.variant_name(variant))))})"


def check_dominance(table: LatentTable, rows: np.ndarray, report: Reporter) -> Dominance | None:
    """Find the few of `rows` (M,) that make up much of the variance, and with it of every score; warn about them."""
    found = find_dominance(table.mean, rows, table.called)
    if found is not None:
        report.warn(f"the scores are dominated by few items: {found}; look at them, or leave them out")
    return found


def _squared_deviations(read: Callable[[np.ndarray], Tensor], rows: np.ndarray) -> np.ndarray:
    """Return the squared distance of each of `rows` from the mean latent: float64 (M,)."""
    dim = read(rows[:1]).shape[1]
    step = max(1, BLOCK_NUMBERS // dim)
    # The mean of some thousands is close enough to that of all rows, and saves a pass over them.
    some = rows[:: -(-len(rows) // CENTER_ROWS)]
    # Filled in place: small results kept between large ones would keep the memory of those from being freed.
    center, squares = torch.zeros(dim, dtype=torch.float64), np.empty(len(rows))
    for start in range(0, len(some), step):
        center += read(some[start : start + step]).double().sum(0) / len(some)
    for start in range(0, len(rows), step):
        squares[start : start + step] = (read(rows[start : start + step]) - center).square().sum(1).numpy()
    return squares
