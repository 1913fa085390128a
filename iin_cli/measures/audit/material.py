"""What an audit looks at: items of different sources, and each concept's independent pairs and known values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ...errors import DataError
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.reading import Reading
from ...metrics.informativeness import Target
from ...plugin_api import Groups, Relation

__all__ = [
    "AuditMaterial",
    "AuditedConcept",
    "IndependentPairs",
    "Known",
    "Taught",
    "disjoint_pairs",
    "distinct_items",
    "unseen",
]


@dataclass(frozen=True)
class IndependentPairs:
    """Pairs of a concept, no item in two: posterior means z_a, z_b (P, N) and standard deviations, None without."""

    z_a: Tensor
    z_b: Tensor
    std_a: Tensor | None
    std_b: Tensor | None
    tilde_a: Tensor
    tilde_b: Tensor


@dataclass(frozen=True)
class Taught:
    """What is known of the concept in training items, and their z̃ (L, N)."""

    target: Target
    z_tilde: Tensor

    def at_most(self, count: int, seed: int) -> Taught:
        """Return `count` of them, drawn by `seed`, or all where there are no more."""
        rows = np.random.default_rng(seed).permutation(len(self.z_tilde))[:count]
        return Taught(Target(self.target.values[rows]), self.z_tilde[rows])


@dataclass(frozen=True)
class Known:
    """What is known of the concept in some of the audited items, and their z̃: numbers (M,) of the items, z̃ (M, N).

    Attributes:
        taught: the same of training items, from which probes learn; None where they learn from the audited ones.
    """

    target: Target
    items: np.ndarray
    z_tilde: Tensor
    taught: Taught | None = None


@dataclass(frozen=True)
class AuditedConcept:
    """A concept ready to be audited; what cannot be had of it is None, and `reasons` says why.

    Attributes:
        reasons: `pairs` or `known` -> why there are none.
    """

    name: str
    relation: Relation
    pairs: IndependentPairs | None
    known: Known | None
    reasons: dict[str, str]


@dataclass(frozen=True)
class AuditMaterial:
    """What an audit looks at.

    Attributes:
        pool: all items that were read, of which pairs are drawn.
        items: those audited, no two of one source.
        training: other items, from which probes learn; None where there are too few.
        concepts: of the translator's factors, all but the residual.
    """

    pool: Reading
    items: Reading
    concepts: Sequence[AuditedConcept]
    training: Reading | None = None

    @property
    def opened(self) -> OpenTranslator:
        """The audited translator."""
        return self.pool.opened


def distinct_items(pool: Reading, count: int, seed: int) -> np.ndarray:
    """Choose rows of `pool`, at most `count`, no two of one source, so that they are independent."""
    order = np.random.default_rng(seed).permutation(len(pool))
    _, first = np.unique(pool.dataset.sources[pool.items[order]], return_index=True)
    return order[np.sort(first)[:count]]


def unseen(training: Reading | None, items: Reading) -> Reading | None:
    """Return the `training` items that show no image of `items`; None where they are fewer than these."""
    if training is None:
        return None
    sources = training.dataset.sources
    rows = np.flatnonzero(~np.isin(sources[training.items], sources[items.items]))
    if len(rows) < len(items):
        return None
    return training if len(rows) == len(training) else training.rows(rows)


def disjoint_pairs(groups: Groups, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows (P,) and (P,) of `groups` that make pairs, P ≤ `count`, no row twice.

    Every group gives one pair before any gives another: where there are many groups, pairs have nothing in common.
    Raises DataError when no group has two rows.
    """
    order = np.random.default_rng(seed).permutation(len(groups.group_ids))
    order = order[np.argsort(groups.group_ids[order], kind="stable")]
    ids = groups.group_ids[order]
    _, starts = np.unique(ids, return_index=True)
    place = np.arange(len(ids)) - np.repeat(starts, np.diff([*starts, len(ids)]))
    first = np.flatnonzero((place[:-1] % 2 == 0) & (ids[:-1] == ids[1:]))
    if not len(first):
        raise DataError("no two of the items make a pair")
    first = first[np.argsort(place[first], kind="stable")]
    # Chosen at random among the pairs of one turn: otherwise only the groups of lowest number would count.
    turn = np.random.default_rng(seed + 1).random(len(first)) + place[first]
    first = first[np.argsort(turn, kind="stable")][:count]
    return order[first], order[first + 1]
