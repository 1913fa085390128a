"""The directions of each concept: found in the spectrum of its pairs, and shared out where concepts want the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .linear_algebra import eigh, largest_eigenpairs, orthonormal, relative_eigenpairs
from .pair_moments import MANY_ROWS, Moments, PairedRows, PairMoments, spectral_edges

__all__ = ["SHOWN", "Subspace", "Whitened", "find", "share_out"]

# Where rows are few, a concept is found better with more shrinkage than the covariance's estimate needs: for each
# concept several are compared on held-out pairs.
SHRINKAGES = (0.2, 0.4, 0.6, 0.8)
# Of a differ concept's directions, those count in which it explains at least half as much as in its best.
HALF = 0.5
# A share concept's direction counts if it explains more than chance does in its best one. Where it explains a quarter
# of what the concept's best direction does, it need only explain more than chance does in the one of the same rank.
QUARTER = 0.25
# A differ concept that explains less than this in its best direction is not there.
LEAST = 0.01
SHOWN = 64


@dataclass(frozen=True)
class Subspace:
    """Directions of one concept: a standardised row z (N,) has the coordinates z @ directions.

    Attributes:
        shrinkage: of the covariance relative to which these directions are explained most.
        directions: (N, d), of unit variance by that covariance, the most explained first.
        values: fractions explained, largest first, of the rows fitted to; more than d.
        edge: what the best direction of an absent concept would show.
        least: what its direction of rank d would show.
        found: whether the concept explains any direction beyond that.
    """

    shrinkage: float
    directions: Tensor
    values: Tensor
    edge: float
    least: float
    found: bool


class Whitened:
    """The covariance of standardised latents, shrunk by any amount: its principal axes stay the same."""

    def __init__(self, known: Moments) -> None:
        self.values, self.axes = eigh(known.covariance)
        self.mean = known.covariance.diagonal().mean()

    def variances(self, shrinkage: float) -> Tensor:
        """Return the variances (N,) along the axes."""
        shrunk = (1 - shrinkage) * self.values + shrinkage * self.mean
        # Rounding makes those of dependent features negative.
        return shrunk.clamp_min(1e-7 * shrunk[-1])

    def whiten(self, shrinkage: float) -> Tensor:
        """Return W (N, N): z @ W is white."""
        return self.axes * self.variances(shrinkage).rsqrt()

    def times(self, shrinkage: float, directions: Tensor) -> Tensor:
        """Return the product of the shrunk covariance with `directions` (N, d)."""
        return self.axes @ (self.variances(shrinkage)[:, None] * (self.axes.T @ directions))


def find(
    known: Moments, pairs: Sequence[PairedRows], sizes: Mapping[str, int] | None, whitened: Whitened, seed: int
) -> list[Subspace]:
    """Find the directions of every concept alone, as many as `sizes` says or as there are; they may overlap."""
    most = max(1, known.dim - len(pairs))
    found: list[Subspace] = []
    for concept, held, rows in zip(known.fit, known.held_out, pairs, strict=True):
        wanted = sizes[rows.name] if sizes else None
        best = _most_explained(known, concept, held, whitened, wanted)
        edges, count = np.array([best.edge]), best.count
        if rows.relation == "share":
            edges, count = _beyond_chance(best, known, rows, whitened, seed)
        size = min(max(count, 1), most) if wanted is None else wanted
        directions, edge, least = best.directions[:, :size], float(edges[0]), float(edges[-1])
        found.append(Subspace(best.shrinkage, directions, best.values, edge, least, count > 0))
    return found


@dataclass(frozen=True)
class _Candidate:
    shrinkage: float
    directions: Tensor
    values: Tensor
    edge: float
    count: int
    explains: float


def _most_explained(
    known: Moments, concept: PairMoments, held: PairMoments | None, whitened: Whitened, wanted: int | None
) -> _Candidate:
    """Choose the shrinkage with which the leading directions explain most of held-out rows."""
    few = held is not None and known.rows < MANY_ROWS * known.dim
    tried: list[_Candidate] = []
    along_axes = whitened.axes.T @ concept.explaining @ whitened.axes
    for shrinkage in (known.shrinkage, *(a for a in SHRINKAGES if few and a > known.shrinkage)):
        scale = whitened.variances(shrinkage).rsqrt()
        values, vectors = largest_eigenpairs(along_axes * scale * scale[:, None], max(2 * SHOWN, wanted or 0))
        directions = whitened.axes @ (scale[:, None] * vectors)
        measured = values if held is None or concept.relation == "share" else held.along(directions)
        edge = float(measured.max()) * (QUARTER if concept.relation == "share" else HALF)
        count = int((measured > edge).sum()) if measured.max() > LEAST else 0
        leading = directions[:, : max(wanted or count, 1)]
        explains = 0.0 if held is None else float(held.explained(leading).clamp_min(0).sum())
        tried.append(_Candidate(shrinkage, directions, values, edge, count, explains))
    return max(tried, key=lambda candidate: candidate.explains)


def _beyond_chance(
    candidate: _Candidate, known: Moments, rows: PairedRows, whitened: Whitened, seed: int
) -> tuple[np.ndarray, int]:
    """Return what chance shows in its best direction and in the last one that counts, and how many count."""
    values, whiten = candidate.values, whitened.whiten(candidate.shrinkage)
    edges = spectral_edges(rows, known, whiten, 1, seed)
    count = int((values > edges[0]).sum())
    # Few groups have few directions, of which the weakest are no more explained than the best one of chance.
    if 0 < count < candidate.count:
        edges = spectral_edges(rows, known, whiten, candidate.count, seed)
        certain = count
        while count < len(edges) and values[count] > edges[count]:
            count += 1
        edges = edges[[0, count - 1 if count > certain else 0]]
    return edges, count


def share_out(known: Moments, found: Sequence[Subspace], whitened: Whitened, *, given: bool) -> list[Tensor]:
    """Return directions (N, d) of each concept, uncorrelated with those of the others.

    The concept whose best remaining direction is explained most takes it, of all that lack one; each gets one at least.

    Args:
        given: the sizes were given, so no direction is too weak to be taken.
    """
    axes = whitened.whiten(known.shrinkage)
    # Coordinates in which latents are white: there, uncorrelated directions are orthogonal.
    inside = [axes.T @ whitened.times(known.shrinkage, each.directions) for each in found]
    basis = orthonormal(*inside)
    spanned = axes @ basis
    explaining = [spanned.T @ concept.explaining @ spanned for concept in known.fit]
    variance = [spanned.T @ whitened.times(each.shrinkage, spanned) for each in found]
    free = torch.eye(basis.shape[1], dtype=basis.dtype)
    owned: list[list[Tensor]] = [[] for _ in found]
    while free.shape[1]:
        offers: list[tuple[float, int, Tensor]] = []
        for number, each in enumerate(found):
            if len(owned[number]) < each.directions.shape[1]:
                values, vectors = relative_eigenpairs(
                    free.T @ explaining[number] @ free, free.T @ variance[number] @ free
                )
                offers.append((float(values[0]), number, vectors[:, 0]))
        waiting = [number for number, directions in enumerate(owned) if not directions]
        # The residual keeps one dimension, and so does every concept that has none yet.
        left = known.dim - 1 - sum(map(len, owned)) - len(waiting)
        worth = [offer for offer in offers if left > 0 and (given or offer[0] > found[offer[1]].least)]
        worth = worth or [offer for offer in offers if offer[1] in waiting]
        if not worth:
            break
        _, number, chosen = max(worth, key=lambda offer: offer[0])
        owned[number].append(free @ chosen)
        # What is left does not see a change along the direction.
        seen = free.T @ variance[number] @ owned[number][-1]
        free = free @ orthonormal(seen[:, None], torch.eye(len(seen), dtype=seen.dtype))[:, 1:]
    return [spanned @ torch.stack(directions, dim=1) for directions in owned]
