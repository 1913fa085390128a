"""The pair spectrum: how much of each direction of z a concept explains, and the closed-form translator it gives.

Latents are whitened, w = Σ^(−1/2)(z − μ). For the pairs of concept F, C_F = ½E[w_a w_bᵀ + w_b w_aᵀ] (DESIGN §2). An
eigenvalue of C_F is the fraction of a direction's variance that a share concept explains. Of a differ concept, whose
pairs have everything else in common, it is ½(1 − ρ). The directions U that a concept explains beyond chance are its
dimensions. The closed form reads each concept off its directions, and the residual off those that are orthogonal to all
concepts' ΣU, so that no linear map finds the mean of a group in it (as in LEACE, Belrose et al. 2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from .bands import bands
from .dims import complete
from .factors import Factors
from .layers import Whitening
from .linear_algebra import eigh, orthonormal, relative_eigenpairs, singular_values
from .pair_moments import Moments, PairedRows, moments
from .subspaces import SHOWN, Subspace, Whitened, find, share_out

__all__ = ["MOST_SIGMA", "ConceptSpectrum", "Overlap", "PairSpectrum", "pair_spectrum"]

MOST_SIGMA = 0.99


@dataclass(frozen=True)
class ConceptSpectrum:
    """The spectrum of one concept.

    Attributes:
        relation: of its pairs, share or differ.
        values: fraction of variance explained in each leading direction, largest first, of the rows fitted to.
        held_out: the same of held-out rows along each dimension of its factor; empty where no two make a pair.
        bands: bootstrap band (95 %) of each number of `held_out`, or of the rows fitted to; empty unless asked for.
        edge: what the best direction of an absent concept would show.
        size: directions that count and that no other concept took; at least 1.
        found: whether there is any direction beyond the edge.
        shrinkage: of the covariance that the directions were found with, in [0, 1].
    """

    name: str
    relation: str
    values: tuple[float, ...]
    held_out: tuple[float, ...]
    bands: tuple[tuple[float, float], ...]
    edge: float
    size: int
    found: bool
    shrinkage: float


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
        noise: standard deviation of the noise, as a fraction of each feature's, that makes up for the few rows:
            √(a / (1 − a)) for the Ledoit–Wolf shrinkage a.
        start: tensors of `layers.Whitening`.
    """

    concepts: tuple[ConceptSpectrum, ...]
    overlaps: tuple[Overlap, ...]
    sizes: dict[str, int]
    sigmas: dict[str, float]
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
            "noise": self.noise,
            "absent": list(self.absent),
            "overlaps": [vars(overlap) for overlap in self.overlaps],
            "concepts": [
                {
                    **vars(concept),
                    "values": list(concept.values),
                    "held_out": list(concept.held_out),
                    "bands": [list(band) for band in concept.bands],
                }
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
    resamples: int = 0,
) -> PairSpectrum:
    """Find the directions of every concept, and the closed-form translator.

    Where rows are few, the covariance is shrunk by Ledoit and Wolf's estimate; for each concept more shrinkage is tried
    too, and the one is taken with which it explains most of held-out pairs. Directions that several concepts want are
    shared out greedily: of all concepts that lack directions, the one whose best remaining direction is explained most
    takes it.

    Args:
        z: (M, N), the rows that are whitened.
        pairs: of every concept, rows to fit to.
        held_out: of every concept, rows held out; None where no two make a pair.
        independent: (M', N), rows of which no two show one item, for the shrinkage; None takes `z`.
        sizes: concept -> dimensions; None takes what the spectrum says.
        resamples: of the bootstrap bands; 0 leaves them out.

    Raises DataError for latents that do not vary.

    >>> side = np.arange(400) % 2
    >>> z = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    >>> z[:, 1] += torch.from_numpy(6.0 * side).float()
    >>> found = pair_spectrum(z, [PairedRows("side", "share", z, side)])
    >>> found.sizes, round(found.concepts[0].values[0], 1)
    ({'side': 1, 'residual': 3}, 0.9)
    """
    known = moments(z, pairs, held_out, z if independent is None else independent)
    whitened = Whitened(known)
    found = find(known, pairs, sizes, whitened, seed)
    owned = share_out(known, found, whitened, given=bool(sizes)) if found else []
    rows = _readouts(known, found, owned, whitened)
    named = {each.name: directions.shape[1] for each, directions in zip(pairs, owned, strict=True)}
    complete_sizes = complete(named, known.dim)
    noise = (known.shrinkage / (1 - known.shrinkage)) ** 0.5
    factors = Factors.of(complete_sizes, relations={each.name: each.relation for each in pairs})
    concepts: list[ConceptSpectrum] = []
    for number, (subspace, each) in enumerate(zip(found, pairs, strict=True)):
        directions, held = rows[:, factors.slice(each.name)], held_out[number] if held_out else None
        spread = bands(held or each, known, directions, resamples, seed) if resamples else np.empty((0, 2))
        concepts.append(_described(known, number, subspace, directions, spread))
    return PairSpectrum(
        tuple(concepts),
        _overlaps(pairs, found, known, whitened),
        complete_sizes,
        _sigmas(known, rows, factors),
        round(noise, 3),
        _start(known, rows),
    )


def _readouts(known: Moments, found: list[Subspace], owned: list[Tensor], whitened: Whitened) -> Tensor:
    """Return the closed form F (N, N), for standardised rows z: z̃ = zF, concepts first, in the order of `owned`."""
    dim, nothing = known.dim, torch.zeros(known.dim, 0, dtype=torch.float64)
    if sum(u.shape[1] for u in owned) >= dim:
        raise DataError(f"the concepts take all {dim} dimensions: leave at least one for the residual, --dims")
    changed = [whitened.times(each.shrinkage, u) for each, u in zip(found, owned, strict=True)]
    edits = torch.cat([nothing, *changed], dim=1)
    rest = orthonormal(edits, torch.eye(dim, dtype=torch.float64))[:, edits.shape[1] : dim]
    # Unit variance with the noise that a fit adds.
    variance = known.shrunk(known.shrinkage) / (1 - known.shrinkage)
    parts: list[Tensor] = []
    for u, concept in zip(owned, known.fit, strict=True):
        parts.append(u @ relative_eigenpairs(u.T @ concept.explaining @ u, u.T @ variance @ u)[1])
    spread, axes = eigh(rest.T @ variance @ rest)
    parts.append(rest @ (axes * spread.rsqrt()).flip(1))
    return torch.cat(parts, dim=1)


def _start(known: Moments, rows: Tensor) -> dict[str, Tensor]:
    """Return the tensors of `layers.Whitening` for the closed form F (N, N): rotation, scale, rotation."""
    first, scale, second = singular_values(rows)
    start = {"loc": -known.mean, "scale": 1 / known.std, "first": first, "first_scale": scale, "second": second}
    return {name: tensor.float() for name, tensor in start.items()}


def _described(
    known: Moments, number: int, subspace: Subspace, directions: Tensor, spread: np.ndarray
) -> ConceptSpectrum:
    concept, held = known.fit[number], known.held_out[number]
    return ConceptSpectrum(
        concept.name,
        concept.relation,
        _rounded(subspace.values[:SHOWN]),
        () if held is None else _rounded(held.along(directions)),
        tuple((round(float(low), 4), round(float(high), 4)) for low, high in spread),
        round(subspace.edge, 4),
        directions.shape[1],
        subspace.found,
        round(subspace.shrinkage, 4),
    )


def _rounded(values: Tensor) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


def _overlaps(
    pairs: Sequence[PairedRows], found: list[Subspace], known: Moments, whitened: Whitened
) -> tuple[Overlap, ...]:
    white = whitened.whiten(known.shrinkage).T
    inside = [orthonormal(white @ whitened.times(known.shrinkage, each.directions)) for each in found]
    overlaps: list[Overlap] = []
    for i, first in enumerate(pairs):
        for j in range(i + 1, len(pairs)):
            common = (inside[i].T @ inside[j]).square().sum().item()
            part = common / min(inside[i].shape[1], inside[j].shape[1])
            overlaps.append(Overlap(first.name, pairs[j].name, round(part, 3)))
    return tuple(overlaps)


def _sigmas(known: Moments, directions: Tensor, factors: Factors) -> dict[str, float]:
    """Measure each factor's correlation over the pairs that share it; 0.9 where none do."""
    found: dict[str, list[float]] = {name: [] for name in factors.names}
    for fit, held in zip(known.fit, known.held_out, strict=True):
        rho = (fit if held is None else held).correlation(directions)
        for name, shared in zip(factors.names, factors.mask(fit.name), strict=True):
            if shared:
                found[name].append(float(rho[factors.slice(name)].mean()))
    return {
        name: round(min(max(float(np.mean(values)), 0.0), MOST_SIGMA), 2) if values else 0.9
        for name, values in found.items()
    }
