"""How many dimensions of one layer each concept takes: by the pair spectrum, and by Eq 11 in both of its readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, IinError
from ..plugin_api import Relation
from ..translator.all_pairs import AllPairs
from ..translator.dims import Estimator, allocate
from ..translator.linear_algebra import eigh
from ..translator.pair_moments import PairedRows
from ..translator.spectrum import pair_spectrum

__all__ = ["LayerSizes", "PairedItems", "layer_sizes"]

# The spectrum looks at this many principal components of a layer: there are many layers, and some are very wide.
SPECTRUM_WIDTH = 256
# The authors' code divides sums of covariances by sums of variances; the printed formula has correlations.
READINGS: dict[Estimator, str] = {"variance": "code", "correlation": "paper"}


@dataclass(frozen=True)
class PairedItems:
    """Items of one concept: rows of the features, their groups and the images they show, all (M,)."""

    name: str
    relation: Relation
    rows: np.ndarray
    groups: np.ndarray
    sources: np.ndarray


@dataclass(frozen=True)
class LayerSizes:
    """Sizes of the factors at one layer.

    Attributes:
        spectrum: concept -> directions that its pairs explain beyond chance, 0 for an absent one, of the leading 256
            principal components; None where they could not be counted.
        explained: concept -> fraction of variance explained in the best of them.
        code, paper: factor -> size by Eq 11, the residual last, from variances as the authors' code has it and from
            correlations as the paper prints it (their mean: the printed sum saturates); None for too narrow a layer.
        scores: of the two, by reading, then by concept.
    """

    spectrum: dict[str, int] | None
    explained: dict[str, float] | None
    code: dict[str, int] | None
    paper: dict[str, int] | None
    scores: dict[str, dict[str, float]]


def layer_sizes(z: Tensor, items: Sequence[PairedItems]) -> LayerSizes:
    """Size the concepts of `items` in the features z (M, N) of a layer; concepts without a score are left out."""
    scores = {reading: _scores(z, items, estimator) for estimator, reading in READINGS.items()}
    spectrum, explained = _spectrum(z, items)
    sizes = {reading: _allocated(of_concepts, z.shape[1]) for reading, of_concepts in scores.items()}
    return LayerSizes(spectrum, explained, sizes["code"], sizes["paper"], scores)


def _scores(z: Tensor, items: Sequence[PairedItems], estimator: Estimator) -> dict[str, float]:
    found = {}
    for own in items:
        groups = torch.from_numpy(np.ascontiguousarray(own.groups, np.int64))
        try:
            score = AllPairs(z[own.rows], groups, groups, own.relation, estimator)()
        except DataError:
            continue
        if np.isfinite(score):
            found[own.name] = score
    return found


def _allocated(scores: Mapping[str, float], dim: int) -> dict[str, int] | None:
    return allocate(scores, dim) if scores and len(scores) < dim else None


def _spectrum(z: Tensor, items: Sequence[PairedItems]) -> tuple[dict[str, int], dict[str, float]] | tuple[None, None]:
    """Count the directions of every concept among the leading principal components of z (M, N)."""
    leading = _principal(z, SPECTRUM_WIDTH)
    pairs = [PairedRows(own.name, own.relation, leading[own.rows], own.groups) for own in items]
    try:
        found = pair_spectrum(leading, pairs)
    # A layer without variance, or too narrow for all concepts.
    except IinError:
        return None, None
    sizes = {each.name: each.size if each.found else 0 for each in found.concepts}
    return sizes, {each.name: each.values[0] if each.values else 0.0 for each in found.concepts}


def _principal(z: Tensor, width: int) -> Tensor:
    """Return the leading `width` principal components of z (M, N); z itself where it is no wider."""
    if z.shape[1] <= width:
        return z
    centred = (z - z.mean(0)).double()
    wide = z.shape[1] > len(z)
    values, vectors = eigh(centred @ centred.T if wide else centred.T @ centred)
    alive = values[-width:] > 1e-10 * values[-1]
    axes = vectors[:, -width:][:, alive]
    # Of a wide matrix XXᵀ has the eigenvectors that are the components themselves, but for their scale.
    return (axes * values[-width:][alive].sqrt() if wide else centred @ axes).float()
