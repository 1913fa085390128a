"""What two sets of features tell beside their Fréchet distance: kernel distance, density and coverage."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..metrics.bootstrap import Interval, Resampling, mean_interval
from ..metrics.kernel_distance import SUBSETS, KernelDistance, KernelSums, kernel_distance
from ..metrics.precision_recall import DENSITY_NEIGHBOURS, Manifold, density_coverage
from ..progress import Reporter

__all__ = ["MOST_COMPARED", "Comparison", "ReferenceFeatures", "kernel_name"]

# Every image is compared with every other, and their features are kept in memory.
MOST_COMPARED = 10_000


@dataclass(frozen=True)
class Comparison:
    """How features of one set lie among those of a reference.

    Attributes:
        kernel: kernel distance of the two.
        density, coverage: with 95 % intervals over the images of the set and of the reference, as the other is given;
            None for a reference of 5 images or fewer.
    """

    kernel: KernelDistance
    density: Interval | None
    coverage: Interval | None


class ReferenceFeatures:
    """Features (M, D) of a reference, of which is computed once what every comparison needs.

    Args:
        name: what to call the set.
        device: where to compute.
    """

    def __init__(self, features: Tensor, name: str, device: torch.device, report: Reporter) -> None:
        self._device, self._report, self.count = device, report, len(features)
        rows = features.to(device)
        self._sums = self._summed(rows, name)
        self._balls = None
        if self.count > DENSITY_NEIGHBOURS:
            with report.task(f"neighbours in {name}", self.count, "images") as task:
                self._balls = Manifold(rows, DENSITY_NEIGHBOURS, task.advance)

    def compare(self, features: Tensor, name: str, resampling: Resampling | None = None) -> Comparison:
        """Compare features (M', D) of the set `name` with the reference; DataError for fewer than two."""
        rows = features.to(self._device)
        own = self._summed(rows, name)
        with self._report.task(f"kernel distance of {name}", SUBSETS, "subsets") as task:
            kernel = kernel_distance(self._sums, own, advance=task.advance)
        if self._balls is None:
            return Comparison(kernel, None, None)
        with self._report.task(f"density and coverage of {name}", len(rows), "images") as task:
            spread = density_coverage(self._balls, rows, task.advance)
        resampling = resampling or Resampling()
        shares = (mean_interval(values.double().numpy(), resampling) for values in (spread.dense, spread.covered))
        return Comparison(kernel, *shares)

    def _summed(self, rows: Tensor, name: str) -> KernelSums:
        with self._report.task(f"kernel of {name}", len(rows), "images") as task:
            return KernelSums(rows, task.advance)


def kernel_name(metric: str) -> str:
    """Return what the kernel distance is called beside `metric`: `kid` beside `fid`, `kd` beside `fd`.

    It is the kernel *Inception* distance with the official weights alone, as the Fréchet distance is.
    """
    return {"fid": "kid"}.get(metric, "kd")
