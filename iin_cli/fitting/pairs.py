"""`Pairs`: latents in memory, and what their pairs have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, UsageError
from ..interpretation.grouping import MOST_NEEDED
from ..latents.arrays import as_latents
from ..latents.cache import Latents
from ..latents.splitting import held_out_mask
from ..latents.table import ConceptPairs, LatentTable
from ..plugin_api import Relation
from ..progress import Reporter, Silent
from ..translator.factors import RESIDUAL
from .materials import GroupedMaterial, Material, from_file
from .pair_files import PairFile, pairs_in_memory

__all__ = ["GivenPairs", "Pairs"]


@dataclass(frozen=True)
class _Concept:
    """A concept's groups: of every row of z, then of every row of each rendering; negative numbers make no pair."""

    name: str
    relation: Relation
    groups: np.ndarray
    renderings: tuple[Latents, ...] = ()


class Pairs:
    """Latents z (M, N), one row per item, and concepts that pairs of them share or differ in.

    `share` and `differ` return new pairs with one concept more; the order of concepts is that of the factors. Without a
    concept a translator is fitted to single latents (Eq 12).

    Args:
        z: a tensor or an array of floating-point numbers.
        log_variance: (M, N), for a stochastic encoder, whose means are `z`; every step then samples new latents.
        sources: (M,), what each item shows; items of one source are all fitted to or all held out. None: each its own.

    Raises DataError for latents of another shape or type and values that are not finite (it names the first row).

    >>> z, digit = np.random.default_rng(0).normal(size=(500, 8)), np.arange(500) % 10
    >>> Pairs(z).share("digit", digit).differ("greyscale", z * 0.9)
    Pairs(500 latents, N = 8; share digit, differ greyscale)
    """

    def __init__(self, z: Any, *, log_variance: Any = None, sources: Any = None) -> None:
        self._z = _latents(z, log_variance, "z")
        self._concepts: tuple[_Concept, ...] = ()
        self._sources = None if sources is None else _numbered(sources, len(self), "sources")

    def __len__(self) -> int:
        return len(self._z.mean)

    @property
    def dim(self) -> int:
        """N."""
        return self._z.mean.shape[1]

    def __repr__(self) -> str:
        concepts = ", ".join(f"{concept.relation} {concept.name}" for concept in self._concepts) or "no concept"
        return f"Pairs({len(self)} latents, N = {self.dim}; {concepts})"

    def share(self, concept: str, labels: Any = None, *, groups: Any = None) -> Self:
        """Add a concept that items of equal labels have in common, and nothing else.

        Args:
            labels: (M,) whole numbers or strings.
            groups: (M,) whole numbers instead, of which negative ones make no pair.

        Raises UsageError for a name that is taken, DataError for labels of another length, measurements, and labels
        that are all equal.
        """
        numbers = self._groups(concept, labels, groups, "labels")
        if len(np.unique(numbers)) < 2:
            raise DataError(f"concept {concept}: all labels are equal, so that no two items differ in it")
        return self._with(_Concept(concept, "share", numbers))

    def differ(self, concept: str, renderings: Any = None, *, groups: Any = None, log_variance: Any = None) -> Self:
        """Add a concept that is all in which an item differs from its other renderings.

        Args:
            renderings: latents (M, N) of the same items in another rendering, row by row; or a list of these.
            groups: (M,) whole numbers instead, where z itself holds the renderings: items of one group are renderings
                of one thing, and negative numbers make no pair.
            log_variance: of the renderings, where z has one.

        Raises UsageError for a name that is taken, DataError for renderings that do not fit z.
        """
        if renderings is None or groups is not None:
            numbers = self._groups(concept, renderings, groups, "renderings")
            return self._with(_Concept(concept, "differ", numbers))
        # A list of rows is one rendering, a list of arrays (M, N) several.
        several = isinstance(renderings, (list, tuple)) and {np.ndim(rows) for rows in renderings} == {2}
        given = [*renderings] if several else [renderings]
        variances = [*log_variance] if several and log_variance is not None else [log_variance] * len(given)
        if len(variances) != len(given):
            raise DataError(
                f"concept {concept}: {len(given)} renderings and {len(variances)} log_variances; give one each"
            )
        drawn = tuple(self._rendering(concept, mean, variance) for mean, variance in zip(given, variances, strict=True))
        return self._with(_Concept(concept, "differ", np.tile(np.arange(len(self)), 1 + len(drawn)), drawn))

    @staticmethod
    def given(z_a: Any, z_b: Any, mask: Any, concepts: Sequence[str]) -> GivenPairs:
        """Take pairs as they are, of which it may not be known what they share.

        Args:
            z_a, z_b: latents (P, N).
            mask: (P, K+1) whole numbers, a column for each of `concepts` and one for the residual: 1 where the pair
                shares the factor, 0 where it does not, −1 where that is not known.

        >>> z = np.random.default_rng(0).normal(size=(2, 500, 8))
        >>> Pairs.given(*z, np.tile([[1, 0], [-1, -1]], (250, 1)), ["digit"])
        GivenPairs(500 pairs, N = 8; digit; 250 not all known)
        """
        first = as_latents(z_a, "z_a")
        known = _as_array(mask, "mask")
        if known.dtype.kind not in "iub":
            raise DataError(f"mask holds {known.dtype}, it is whole numbers: 1, 0, and −1 for what is not known")
        if len(set(concepts)) != len(concepts) or not concepts or RESIDUAL in concepts:
            raise UsageError("name each concept once, and not residual, which is what no concept explains")
        file = pairs_in_memory(first, as_latents(z_b, "z_b", first.shape[1]), torch.from_numpy(known), concepts)
        return GivenPairs(file)

    def material(self, report: Reporter | None = None) -> GroupedMaterial:
        """Return what a translator is fitted to; warn of few latents and of concepts that cannot be held out.

        Raises DataError for fewer rows than a fit needs, and where a concept makes no pair.
        """
        count, needed = len(self), min(self.dim, MOST_NEEDED)
        if count < needed:
            raise DataError(f"z has {count} rows, fewer than the {needed} that a translator of N = {self.dim} needs")
        renderings = [(concept.name, drawn) for concept in self._concepts for drawn in concept.renderings]
        names = ["z", *(f"a rendering of {name}" for name, _ in renderings)]
        table = LatentTable(
            [self._z, *(drawn for _, drawn in renderings)],
            lambda row: f"row {row % count} of {names[row // count]}",
        )
        sources = np.tile(self._all_sources(), len(names))
        held_out, pairs, start = held_out_mask(sources), [], count
        for concept in self._concepts:
            own = len(concept.renderings) * count
            rows = np.concatenate((np.arange(count), start + np.arange(own)))
            kept = concept.groups >= 0
            pairs.append(
                ConceptPairs.of(concept.name, concept.relation, rows[kept], concept.groups[kept], held_out, sources)
            )
            start += own
        if pairs and all(concept.held_out is None for concept in pairs):
            told = report or Silent()
            told.warn("too few items to hold pairs out: the fit is judged by the pairs that it is fitted to")
            pairs = [replace(concept, held_out=concept.fit) for concept in pairs]
        fingerprint = hashlib.sha256(np.ascontiguousarray(self._z.mean).data).hexdigest()
        provenance = {"backbone": None, "data": {"name": None, "root": None, "fingerprint": fingerprint}}
        return GroupedMaterial.of(table, pairs, held_out, provenance, "z", report or Silent())

    def _with(self, concept: _Concept) -> Self:
        if not isinstance(concept.name, str) or not concept.name:
            raise UsageError(f"a concept's name is a word such as 'digit', not {concept.name!r}")
        if concept.name == RESIDUAL:
            raise UsageError("the name residual is taken by what no concept explains: choose another")
        if concept.name in [other.name for other in self._concepts]:
            raise UsageError(f"the concept {concept.name} is given twice: choose another name")
        more = type(self).__new__(type(self))
        more._z, more._sources, more._concepts = self._z, self._sources, (*self._concepts, concept)
        return more

    def _groups(self, concept: str, labels: Any, groups: Any, first: str) -> np.ndarray:
        if (labels is None) == (groups is None):
            raise UsageError(f"concept {concept}: give either {first} or groups=")
        if groups is None:
            return _numbered(labels, len(self), f"concept {concept}: labels")
        numbers = _as_array(groups, f"concept {concept}: groups")
        if numbers.dtype.kind not in "iu":
            raise DataError(f"concept {concept}: groups hold {numbers.dtype}, they are whole numbers")
        return np.where(numbers < 0, -1, _numbered(numbers, len(self), f"concept {concept}: groups"))

    def _rendering(self, concept: str, mean: Any, log_variance: Any) -> Latents:
        drawn = _latents(mean, log_variance, f"the rendering of {concept}", self.dim)
        if len(drawn.mean) != len(self):
            raise DataError(
                f"the rendering of {concept} has {len(drawn.mean)} rows, z has {len(self)}: give the same items in the "
                "same order"
            )
        if (drawn.log_variance is None) != (self._z.log_variance is None):
            raise DataError(f"concept {concept}: either z and its renderings have a log_variance, or none of them")
        return drawn

    def _all_sources(self) -> np.ndarray:
        """What each item shows (M,): as given, else what groups of renderings within z say is one thing."""
        if self._sources is not None:
            return self._sources
        sources = np.arange(len(self))
        for concept in self._concepts:
            if concept.relation == "differ" and not concept.renderings:
                sources = _joined(sources, concept.groups)
        return sources


@dataclass(frozen=True, repr=False)
class GivenPairs:
    """Pairs of latents in memory, and a mask of what each shares; made by `Pairs.given`."""

    file: PairFile

    @property
    def dim(self) -> int:
        """N."""
        return self.file.dim

    def __len__(self) -> int:
        return len(self.file.parts[0])

    def __repr__(self) -> str:
        listed = ", ".join(self.file.names[:-1])
        return f"GivenPairs({len(self)} pairs, N = {self.dim}; {listed}; {self.file.unknown} not all known)"

    def material(self, report: Reporter | None = None) -> Material:
        """Return what a translator is fitted to; warn of few pairs. DataError where a concept has no pairs."""
        return from_file(self.file, report or Silent())


def _latents(mean: Any, log_variance: Any, name: str, dim: int | None = None) -> Latents:
    z = as_latents(mean, name, dim)
    if log_variance is None:
        return Latents(z.numpy(), None)
    variance = as_latents(log_variance, f"the log_variance of {name}", z.shape[1])
    if len(variance) != len(z):
        raise DataError(f"the log_variance of {name} has {len(variance)} rows, {name} has {len(z)}")
    return Latents(z.numpy(), variance.numpy())


def _numbered(labels: Any, count: int, name: str) -> np.ndarray:
    """Number distinct labels (M,) from 0 on; DataError for another shape, measurements, and labels of several kinds."""
    values = _as_array(labels, name)
    if values.shape != (count,):
        hint = "; write np.unique(labels, axis=0, return_inverse=True)[1]" if values.ndim == 2 else ""
        raise DataError(f"{name} have shape {values.shape}, z has {count} rows: give one per row{hint}")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise DataError(f"{name} are not finite in row {int(np.flatnonzero(~np.isfinite(values))[0])}")
        if (values != np.round(values)).any():
            raise DataError(
                f"{name} are measurements, none quite equal: write np.digitize(labels, edges) to group them"
            )
    try:
        return np.unique(values, return_inverse=True)[1]
    except TypeError:
        raise DataError(f"{name} are of several kinds: give whole numbers or strings") from None


def _as_array(values: Any, name: str) -> np.ndarray:
    try:
        return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} are no array (M,): {error}") from None


def _joined(sources: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Join sources (M,) that have items in a common group (M,), directly or through others."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    mine = np.flatnonzero(groups >= 0)
    size = len(sources)
    edges = coo_matrix((np.ones(len(mine)), (sources[mine], size + groups[mine])), shape=(2 * size, 2 * size))
    return np.unique(connected_components(edges, directed=False)[1][sources], return_inverse=True)[1]
