"""The pair spectrum: how much of each direction of z a concept explains, and the closed-form translator it gives.

Latents are whitened, w = Σ^(−1/2)(z − μ). For the pairs of concept F, C_F = ½E[w_a w_bᵀ + w_b w_aᵀ] (DESIGN §2). An
eigenvalue of C_F is the fraction of a direction's variance that a share concept explains. Of a differ concept, whose
pairs have everything else in common, it is ½(1 − ρ). The directions that a concept explains beyond chance are its
dimensions, and the translator is the rotation into them after the whitening.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from .dims import complete
from .factors import Factors
from .layers import Whitening
from .linear_algebra import eigh, orthonormal
from .pair_moments import MANY_ROWS, Moments, PairedRows, moments, spectral_edge

__all__ = ["ConceptSpectrum", "Overlap", "PairSpectrum", "pair_spectrum"]

# Where rows are few, a concept is found better with more shrinkage than the covariance's estimate needs: several are
# compared on held-out pairs.
SHRINKAGES = (0.2, 0.4, 0.6, 0.8)
# Of a differ concept's directions, those count in which it explains at least half as much as in its best.
HALF = 0.5
# A concept that explains less than this of its best direction is not there.
LEAST = 0.01
MOST_SIGMA = 0.99
SHOWN = 64


@dataclass(frozen=True)
class ConceptSpectrum:
    """The spectrum of one concept.

    Attributes:
        relation: of its pairs, share or differ.
        values: fraction of variance explained in each leading direction, largest first, of the rows fitted to.
        held_out: the same of held-out rows along the concept's own directions; empty where no two make a pair.
        edge: what the best direction of an absent concept would show.
        size: directions beyond the edge that no other concept took; at least 1.
        found: whether there is any such direction.
    """

    name: str
    relation: str
    values: tuple[float, ...]
    held_out: tuple[float, ...]
    edge: float
    size: int
    found: bool


@dataclass(frozen=True)
class Overlap:
    """Part in [0, 1] of the smaller concept's directions that lies in those of the other, before they are separated."""

    first: str
    second: str
    part: float


@dataclass(frozen=True)
class PairSpectrum:
    """The spectra of all concepts and the closed form.

    Attributes:
        sizes: name -> dimensions, the residual last.
        sigmas: name -> correlation of the pairs that share the factor, measured on held-out pairs where there are any.
        shrinkage: of the covariance that the concepts were found with, in [0, 1].
        noise: standard deviation of the noise, as a fraction of each feature's, that makes up for the few rows:
            √(a / (1 − a)) for the Ledoit–Wolf shrinkage a.
        start: tensors of `layers.Whitening`.
    """

    concepts: tuple[ConceptSpectrum, ...]
    overlaps: tuple[Overlap, ...]
    sizes: dict[str, int]
    sigmas: dict[str, float]
    shrinkage: float
    noise: float
    start: dict[str, Tensor] = field(repr=False)

    @property
    def absent(self) -> tuple[str, ...]:
        """The concepts that explain no direction."""
        return tuple(concept.name for concept in self.concepts if not concept.found)

    def whitening(self) -> Whitening:
        """Return the closed form as a layer."""
        layer = Whitening(sum(self.sizes.values()))
        layer.load_state_dict(self.start)
        return layer

    def as_dict(self) -> dict[str, Any]:
        """Return all but the closed form as JSON values."""
        return {
            "sizes": self.sizes,
            "sigmas": self.sigmas,
            "shrinkage": self.shrinkage,
            "noise": self.noise,
            "absent": list(self.absent),
            "overlaps": [vars(overlap) for overlap in self.overlaps],
            "concepts": [
                {**vars(concept), "values": list(concept.values), "held_out": list(concept.held_out)}
                for concept in self.concepts
            ],
        }


def pair_spectrum(
    z: Tensor,
    pairs: Sequence[PairedRows],
    *,
    held_out: Sequence[PairedRows | None] = (),
    independent: Tensor | None = None,
    sizes: Mapping[str, int] | None = None,
    seed: int = 0,
) -> PairSpectrum:
    """Find the directions of every concept, and the closed-form translator.

    Where rows are few, the covariance is shrunk by Ledoit and Wolf's estimate. More shrinkage is tried too, and the one
    is taken by which the concepts explain most of held-out pairs. Directions of several concepts are made orthogonal
    greedily: of all concepts that lack directions, the one whose best remaining direction is explained most takes it.

    Args:
        z: (M, N), the rows that are whitened.
        pairs: of every concept, rows to fit to.
        held_out: of every concept, rows held out; None where no two make a pair.
        independent: (M', N), rows of which no two show one item, for the shrinkage; None takes `z`.
        sizes: concept -> dimensions; None takes what the spectrum says.

    Raises DataError for latents that do not vary.

    >>> side = np.arange(400) % 2
    >>> z = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    >>> z[:, 1] += torch.from_numpy(6.0 * side).float()
    >>> found = pair_spectrum(z, [PairedRows("side", "share", z, side)])
    >>> found.sizes, round(found.concepts[0].values[0], 1)
    ({'side': 1, 'residual': 3}, 0.9)
    """
    known = moments(z, pairs, held_out, z if independent is None else independent)
    asked = tuple(a for a in SHRINKAGES if a > known.shrinkage)
    candidates = (known.shrinkage, *(asked if known.rows < MANY_ROWS * known.dim and any(known.held_out) else ()))
    tried = [_subspaces(known, shrinkage, pairs, sizes, seed) for shrinkage in candidates if pairs]
    return _closed_form(known, _best(tried, known) if tried else _Subspaces.none(known), pairs)


@dataclass(frozen=True)
class _Subspaces:
    """Orthogonal directions of every concept in whitened coordinates, by one shrinkage.

    Attributes:
        scale, rotation: (N,) and (N, N), of the shrunk covariance: its eigenvalues^(−1/2) and its eigenvectors.
        owned: of every concept, its directions (N, d).
        before: of every concept, its directions before they were made orthogonal.
        values, edges, found: as in `ConceptSpectrum`.
    """

    shrinkage: float
    scale: Tensor
    rotation: Tensor
    owned: list[Tensor]
    before: list[Tensor]
    values: list[Tensor]
    edges: list[float]
    found: list[bool]

    @classmethod
    def none(cls, known: Moments) -> _Subspaces:
        scale, rotation = _whitening(known, known.shrinkage)
        return cls(known.shrinkage, scale, rotation, [], [], [], [], [])

    def explained(self, known: Moments) -> list[Tensor | None]:
        """Return what each concept explains of its directions on held-out rows; None where it has none."""
        w = self.rotation * self.scale
        return [
            None if held is None else held.explained(w @ directions)
            for held, directions in zip(known.held_out, self.owned, strict=True)
        ]


def _whitening(known: Moments, shrinkage: float) -> tuple[Tensor, Tensor]:
    values, rotation = eigh(known.shrunk(shrinkage))
    # Rounding makes the eigenvalues of dependent features negative.
    return values.clamp_min(1e-7 * values[-1]).rsqrt(), rotation


def _subspaces(
    known: Moments, shrinkage: float, pairs: Sequence[PairedRows], sizes: Mapping[str, int] | None, seed: int
) -> _Subspaces:
    scale, rotation = _whitening(known, shrinkage)
    whiten = rotation * scale
    most = max(1, known.dim - len(pairs))
    matrices: list[Tensor] = []
    values: list[Tensor] = []
    before: list[Tensor] = []
    edges: list[float] = []
    found: list[bool] = []
    for concept, rows, held in zip(known.fit, pairs, known.held_out, strict=True):
        matrix = whiten.T @ concept.explaining @ whiten
        spectrum, vectors = eigh(matrix)
        spectrum, vectors = spectrum.flip(0), vectors.flip(1)
        if concept.relation == "share":
            edge = spectral_edge(rows, known, whiten, seed)
            count = int((spectrum > edge).sum())
        else:
            measured = spectrum if held is None else held.along(whiten @ vectors[:, : 2 * SHOWN])
            edge = HALF * float(measured.max())
            count = int((measured > edge).sum()) if measured.max() > LEAST else 0
        found.append(count > 0)
        size = sizes[rows.name] if sizes else min(max(count, 1), most)
        matrices.append(matrix)
        values.append(spectrum[:SHOWN])
        edges.append(edge)
        before.append(vectors[:, :size])
    least = [-np.inf if sizes else edge for edge in edges]
    return _Subspaces(shrinkage, scale, rotation, _orthogonal(matrices, before, least), before, values, edges, found)


def _orthogonal(matrices: list[Tensor], before: list[Tensor], least: list[float]) -> list[Tensor]:
    """Share directions out: the concept whose best remaining one is explained most takes it; at least one each."""
    basis = orthonormal(*before)
    small = [basis.T @ matrix @ basis for matrix in matrices]
    free = torch.eye(basis.shape[1], dtype=basis.dtype)
    owned: list[list[Tensor]] = [[] for _ in before]
    while free.shape[1]:
        offers: list[tuple[float, int, Tensor]] = []
        for number, matrix in enumerate(small):
            if len(owned[number]) < before[number].shape[1]:
                values, vectors = eigh(free.T @ matrix @ free)
                offers.append((float(values[-1]), number, vectors[:, -1]))
        waiting = [number for number, directions in enumerate(owned) if not directions]
        # The residual keeps one dimension, and so does every concept that has none yet.
        left = matrices[0].shape[0] - 1 - sum(map(len, owned)) - len(waiting)
        worth = [offer for offer in offers if left > 0 and offer[0] > least[offer[1]]]
        worth = worth or [offer for offer in offers if offer[1] in waiting]
        if not worth:
            break
        _, number, inside = max(worth, key=lambda offer: offer[0])
        owned[number].append(free @ inside)
        # The complement of the direction within the free ones.
        free = free @ orthonormal(inside[:, None], torch.eye(len(inside), dtype=inside.dtype))[:, 1:]
    return [basis @ torch.stack(directions, dim=1) for directions in owned]


def _best(tried: list[_Subspaces], known: Moments) -> _Subspaces:
    """Choose where concepts come nearest to the most that each explains of held-out rows, summed over them."""
    sums = np.array(
        [
            [0.0 if values is None else float(values.sum()) for values in subspaces.explained(known)]
            for subspaces in tried
        ]
    )
    return tried[int((sums / np.maximum(sums.max(0), 1e-9)).sum(1).argmax())]


def _closed_form(known: Moments, chosen: _Subspaces, pairs: Sequence[PairedRows]) -> PairSpectrum:
    dim = known.dim
    owned = torch.cat([torch.zeros(dim, 0, dtype=torch.float64), *chosen.owned], dim=1)
    if owned.shape[1] >= dim:
        raise DataError(f"the concepts take all {dim} dimensions: leave at least one for the residual, --dims")
    rest = orthonormal(owned, torch.eye(dim, dtype=torch.float64))[:, owned.shape[1] : dim]
    whiten = chosen.rotation * chosen.scale
    covariance = whiten.T @ known.shrunk(known.shrinkage) @ whiten
    # More shrinkage than the estimate's leaves the residual correlated: its principal axes are not.
    rest = rest @ eigh(rest.T @ covariance @ rest)[1]
    second = torch.cat((owned, rest), dim=1)
    noise = (known.shrinkage / (1 - known.shrinkage)) ** 0.5
    # Unit variance with the noise that a fit adds.
    variance = ((covariance @ second) * second).sum(0) / (1 - known.shrinkage)
    start = {
        "loc": -known.mean,
        "scale": 1 / known.std,
        "first": chosen.rotation,
        "first_scale": chosen.scale,
        "second": second,
        "second_scale": variance.rsqrt(),
    }
    sizes = {rows.name: directions.shape[1] for rows, directions in zip(pairs, chosen.owned, strict=True)}
    held = chosen.explained(known) if pairs else []
    concepts = tuple(
        ConceptSpectrum(
            rows.name,
            rows.relation,
            tuple(round(value, 4) for value in values.tolist()),
            () if explained is None else tuple(round(value, 4) for value in explained.tolist()),
            round(edge, 4),
            directions.shape[1],
            found,
        )
        for rows, values, explained, edge, directions, found in zip(
            pairs, chosen.values, held, chosen.edges, chosen.owned, chosen.found, strict=True
        )
    )
    sizes = complete(sizes, dim)
    return PairSpectrum(
        concepts,
        _overlaps(pairs, chosen.before),
        sizes,
        _sigmas(known, whiten @ second, sizes, {rows.name: rows.relation for rows in pairs}),
        round(chosen.shrinkage, 4),
        round(noise, 3),
        {name: tensor.float() for name, tensor in start.items()},
    )


def _overlaps(pairs: Sequence[PairedRows], before: list[Tensor]) -> tuple[Overlap, ...]:
    found: list[Overlap] = []
    for i, first in enumerate(pairs):
        for j in range(i + 1, len(pairs)):
            both = (before[i].T @ before[j]).square().sum().item() / min(before[i].shape[1], before[j].shape[1])
            found.append(Overlap(first.name, pairs[j].name, round(both, 3)))
    return tuple(found)


def _sigmas(known: Moments, directions: Tensor, sizes: dict[str, int], relations: dict[str, Any]) -> dict[str, float]:
    """Measure each factor's correlation over the pairs that share it; 0.9 where none do."""
    factors = Factors.of(sizes, relations=relations)
    found: dict[str, list[float]] = {name: [] for name in sizes}
    for fit, held in zip(known.fit, known.held_out, strict=True):
        rho = (fit if held is None else held).correlation(directions)
        for name, shared in zip(factors.names, factors.mask(fit.name), strict=True):
            if shared:
                found[name].append(float(rho[factors.slice(name)].mean()))
    return {
        name: round(min(max(float(np.mean(values)), 0.0), MOST_SIGMA), 2) if values else 0.9
        for name, values in found.items()
    }
