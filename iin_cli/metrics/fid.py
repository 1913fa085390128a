"""Fréchet distance between two sets of features, from streaming moments in float64.

d²(a, b) = ‖μ_a − μ_b‖² + tr Σ_a + tr Σ_b − 2 tr (Σ_a Σ_b)^½        (Dowson and Landau 1982; Heusel et al. 2017)

With factors Σ_a = L_a L_aᵀ and Σ_b = L_b L_bᵀ the last trace is the nuclear norm of K = L_aᵀ L_b: the square roots of
the eigenvalues of K Kᵀ. Both eigenproblems are symmetric, so no complex root and no singular product can arise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import CheckpointError, DataError
from ..io import checkpoint

__all__ = ["Moments", "Statistics", "check_comparable", "frechet_distance", "read_statistics", "write_statistics"]


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and covariance of a set of features, and what is known about their origin.

    Attributes:
        mean: μ (D,) float64.
        covariance: Σ (D, D) float64, with the divisor n − 1.
        n: how many images; None when a foreign file does not say.
        weights_sha256: digest of the feature network's weights file; None when unknown.
        resize: how images were resized to the network's size; None when unknown.
        image_size: side in pixels of the images, if all were squares of one size; None otherwise, and when unknown.
        source: name of the set in messages.
    """

    mean: Tensor
    covariance: Tensor
    n: int | None = None
    weights_sha256: str | None = None
    resize: str | None = None
    image_size: int | None = None
    source: str = "features"


class Moments:
    """Mean and scatter of features that come in batches; two of them merge as if one had seen all rows.

    Pairwise update of Chan, Golub and LeVeque (1979), in float64, in place: memory is (D, D) however many rows come.

    >>> moments = Moments()
    >>> moments.add(torch.tensor([[0.0], [4.0]]))
    >>> moments.add(torch.tensor([[2.0]]))
    >>> moments.n, moments.mean.tolist(), moments.covariance().tolist()
    (3, [2.0], [[4.0]])
    """

    def __init__(self) -> None:
        self.n = 0
        self.mean = torch.zeros(0, dtype=torch.float64)
        self.scatter = torch.zeros(0, 0, dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        """Add `features` (B, D), on their own device; raises DataError when one is not finite."""
        # Apple's GPUs have no float64.
        home = "cpu" if features.device.type == "mps" else features.device
        rows = features.detach().to(home).to(torch.float64)
        if not len(rows):
            return
        mean = rows.mean(0)
        if not bool(torch.isfinite(mean).all()):
            raise DataError("the features of an image are not finite: the network's weights do not fit its input")
        shift = self._take(mean, len(rows))
        # The shift between the means is one more row, so that a single product updates the scatter in place.
        centred = torch.cat([rows - mean, shift[None]])
        self.scatter.addmm_(centred.T, centred)

    def merge(self, other: Moments) -> None:
        """Add all features that `other` has seen (another rank, another shard); `other` stays unchanged."""
        if not other.n:
            return
        shift = self._take(other.mean.to(self.mean.device if self.n else other.mean.device), other.n)
        self.scatter.add_(other.scatter.to(shift.device)).addr_(shift, shift)

    def cpu(self) -> Moments:
        """Return the same moments on the CPU, to be sent to another process; do not use `self` afterwards."""
        moved = Moments()
        moved.n, moved.mean, moved.scatter = self.n, self.mean.cpu(), self.scatter.cpu()
        return moved

    def covariance(self) -> Tensor:
        """Return Σ (D, D) with the divisor n − 1, exactly symmetric; raises DataError for fewer than two rows."""
        if self.n < 2:
            raise DataError(f"a covariance needs at least 2 images, there are {self.n}")
        return (self.scatter + self.scatter.T) / (2 * (self.n - 1))

    def _take(self, mean: Tensor, n: int) -> Tensor:
        """Move the mean; return the vector whose outer product the scatter gains."""
        if not self.n:
            self.mean = torch.zeros_like(mean)
            self.scatter = mean.new_zeros(len(mean), len(mean))
        if len(mean) != len(self.mean):
            raise DataError(f"features of size {len(mean)} cannot join features of size {len(self.mean)}")
        delta, total = mean - self.mean, self.n + n
        shift = delta * (self.n * n / total) ** 0.5
        self.mean = self.mean + delta * (n / total)
        self.n = total
        return shift


def frechet_distance(a: Statistics, b: Statistics) -> float:
    """Return d²(a, b) ≥ 0, exactly for covariances of any rank, so also for fewer images than features.

    Raises CheckpointError when the two cannot be compared or hold a value that is not finite.

    >>> unit = Statistics(torch.zeros(2), torch.eye(2))
    >>> frechet_distance(unit, Statistics(torch.tensor([3.0, 4.0]), torch.eye(2)))
    25.0
    """
    check_comparable(a, b)
    (mean_a, cov_a), (mean_b, cov_b) = _checked(a), _checked(b)
    product = _factor(cov_a).T @ _factor(cov_b)
    # The smaller of K Kᵀ and Kᵀ K has no eigenvalues that are zero by shape; rounded, these would add roots of 1e-8.
    gram = product @ product.T if product.shape[0] <= product.shape[1] else product.T @ product
    overlap = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * overlap
    return max(float(distance), 0.0)


def check_comparable(a: Statistics, b: Statistics) -> None:
    """Raise CheckpointError unless `a` and `b` have the same size and no known weights or resizing differ."""
    if a.mean.shape != b.mean.shape:
        raise CheckpointError(
            f"{a.source} has features of size {len(a.mean)} and {b.source} of size {len(b.mean)}: "
            "compute both with the same network"
        )
    made = (("weights", a.weights_sha256, b.weights_sha256), ("resizing", a.resize, b.resize))
    for what, of_a, of_b in made:
        if of_a is not None and of_b is not None and of_a != of_b:
            raise CheckpointError(
                f"{a.source} was made with {what} {of_a[:12]} and {b.source} with {of_b[:12]}: "
                "give --weights (or --features) the file the other was made with, or compute both again"
            )


def write_statistics(path: Path, statistics: Statistics, features: Tensor | None = None) -> None:
    """Write a statistics file (`mu`, `sigma`, their origin, and `features` if given), whole or not at all."""
    metadata = {
        "kind": "statistics",
        "n": statistics.n,
        "weights_sha256": statistics.weights_sha256,
        "resize": statistics.resize,
        "image_size": statistics.image_size,
        "source": statistics.source,
    }
    tensors = {"mu": statistics.mean, "sigma": statistics.covariance}
    checkpoint.save(path, tensors if features is None else {**tensors, "features": features}, metadata)


def read_statistics(path: Path) -> Statistics:
    """Read a statistics file of this program, or pytorch-fid's `.npz`, which does not say its origin.

    Raises CheckpointError for a missing, damaged or foreign file.
    """
    if path.suffix.lower() == ".npz":
        tensors, facts = _read_npz(path), {}
    else:
        content = checkpoint.load(path, "statistics")
        tensors, facts = content.tensors, content.metadata
    mu, sigma = tensors.get("mu"), tensors.get("sigma")
    if mu is None or sigma is None or mu.ndim != 1 or sigma.shape != (len(mu), len(mu)):
        raise CheckpointError(f"{path} holds no statistics: expected mu (D,) and sigma (D, D)")
    known = {key: facts.get(key) for key in ("n", "weights_sha256", "resize", "image_size")}
    statistics = Statistics(mu.double(), sigma.double(), source=str(path), **known)
    _checked(statistics)
    return statistics


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        # numpy leaves the file open when the archive in it is damaged, so it is opened and closed here.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {
                key: torch.from_numpy(np.array(arrays[key], np.float64)) for key in ("mu", "sigma") if key in arrays
            }
    # A damaged zip may raise any of half a dozen exceptions.
    except Exception as error:
        raise CheckpointError(f"{path} is not a readable .npz file: {error}") from error


def _checked(statistics: Statistics) -> tuple[Tensor, Tensor]:
    mean, covariance = (
        value.detach().to("cpu").to(torch.float64) for value in (statistics.mean, statistics.covariance)
    )
    if not bool(torch.isfinite(mean).all() and torch.isfinite(covariance).all()):
        raise CheckpointError(f"the statistics of {statistics.source} hold values that are not finite")
    return mean, covariance


def _factor(covariance: Tensor) -> Tensor:
    """Return L (D, r) with L Lᵀ = Σ, r its numerical rank."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > len(values) * torch.finfo(torch.float64).eps * values[-1].clamp_min(0)
    return vectors[:, kept] * values[kept].sqrt()
