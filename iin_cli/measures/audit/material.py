"""What an audit looks at: test items, and of each concept independent pairs of them and what is known of each item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError, IinError, UsageError, nearest
from ...interpretation.encoding import encode_items
from ...interpretation.grouping import circumstances, find_providers
from ...interpretation.reading import Reading
from ...latents.cache import Latents
from ...metrics.informativeness import Target
from ...plugin_api import ConceptProvider, Dataset, Groups, Relation
from ...progress import Reporter
from ...registry import names
from ...translator.factors import RESIDUAL, Factors

__all__ = [
    "Concept",
    "Known",
    "Pairs",
    "Subject",
    "concept_of_factor",
    "disjoint_pairs",
    "distinct_items",
    "gather",
    "given_concepts",
]

# Fewer items than this of each label are too few to learn it from some and be asked of others.
ITEMS_PER_LABEL = 10


@dataclass(frozen=True)
class Pairs:
    """Independent pairs of a concept: posterior means z_a, z_b (P, N) and standard deviations, None without."""

    z_a: Tensor
    z_b: Tensor
    std_a: Tensor | None
    std_b: Tensor | None
    tilde_a: Tensor
    tilde_b: Tensor


@dataclass(frozen=True)
class Known:
    """What is known of the concept in some of the audited items, and their z̃: numbers (M,) of the items, z̃ (M, N)."""

    target: Target
    items: np.ndarray
    z_tilde: Tensor


@dataclass(frozen=True)
class Concept:
    """A concept ready to be audited; what cannot be had of it is None, and `reasons` says why.

    Attributes:
        labels: of a share concept, the group (M,) of every audited item, −1 for none.
        reasons: `pairs` or `known` -> why there are none.
    """

    name: str
    relation: Relation
    pairs: Pairs | None
    known: Known | None
    labels: np.ndarray | None
    reasons: dict[str, str]


@dataclass(frozen=True)
class Subject:
    """The audited translator with M items of different sources, `chosen` rows of `pool`, of which pairs are drawn."""

    pool: Reading
    chosen: np.ndarray

    @property
    def items(self) -> np.ndarray:
        """Numbers of the audited items in the dataset (M,)."""
        return self.pool.items[self.chosen]

    @property
    def z(self) -> Tensor:
        """Their latents (M, N)."""
        return self.pool.z[self.chosen]

    @property
    def z_tilde(self) -> Tensor:
        """Their z̃ (M, N)."""
        return self.pool.z_tilde[self.chosen]


def concept_of_factor(name: str, factors: Factors, dataset: Dataset) -> str:
    """Say how to write the concept of factor `name`, whose argument a checkpoint does not keep.

    Raises DataError where neither a concept nor a column of the data is called so.
    """
    relation = {factor.name: factor.relation for factor in factors}[name]
    if name in names("concepts"):
        return name
    column = next((column for column in dataset.labels if column.casefold() == name.casefold()), None)
    if column is None:
        raise DataError(
            f"{dataset.name} has no label {name!r}, nor is there a concept of that name: write it by --concept"
        )
    if relation == "differ":
        return f"redraw:{name}"
    return f"attribute:{name}" if dataset.labels[column].continuous else f"label:{column}"


def distinct_items(pool: Reading, count: int, seed: int) -> np.ndarray:
    """Choose rows of `pool`, at most `count`, no two of one source, so that they are independent."""
    order = np.random.default_rng(seed).permutation(len(pool))
    _, first = np.unique(pool.dataset.sources[pool.items[order]], return_index=True)
    return order[np.sort(first)[:count]]


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
    # Of pairs of one turn a random choice, else the lowest groups alone would be heard.
    turn = np.random.default_rng(seed + 1).random(len(first)) + place[first]
    first = first[np.argsort(turn, kind="stable")][:count]
    return order[first], order[first + 1]


def given_concepts(wanted: Sequence[str], factors: Factors) -> dict[str, ConceptProvider]:
    """Return the concepts `NAME[:ARGUMENT]` by name. UsageError for one that is unknown or no factor."""
    given = {provider.concept: provider for provider in find_providers(wanted)}
    concepts = [name for name in factors.names if name != RESIDUAL]
    for name in given:
        if name not in concepts:
            raise UsageError(f"--concept: the translator has no factor {name!r}: {nearest(name, concepts)}")
    return given


def gather(
    subject: Subject, given: Mapping[str, ConceptProvider], seed: int, count: int, report: Reporter
) -> list[Concept]:
    """Prepare, group and encode the concepts of the translator's factors; what fails is said in their `reasons`.

    Args:
        given: concepts that are not to be guessed from their names.
        count: at most so many pairs of each.
    """
    concepts = [name for name in subject.pool.opened.factors.names if name != RESIDUAL]
    return [_Gathering(subject, name, given.get(name), seed, count, report).concept() for name in concepts]


class _Gathering:
    """The work for one concept."""

    def __init__(
        self,
        subject: Subject,
        name: str,
        provider: ConceptProvider | None,
        seed: int,
        count: int,
        report: Reporter,
    ) -> None:
        self.subject, self.name, self.seed, self.count, self.report = subject, name, seed, count, report
        self.pool, self.dataset = subject.pool, subject.pool.dataset
        self.factors = self.pool.opened.factors
        self.relation = {factor.name: factor.relation for factor in self.factors}[name]
        self.provider, self.encoded = provider, {0: self._encode(self.pool.items, 0)}
        self.places: dict[int, np.ndarray] = {0: self.pool.items}

    def concept(self) -> Concept:
        """Return the concept, as far as it can be had."""
        reasons: dict[str, str] = {}
        try:
            groups = self._groups()
        except IinError as error:
            return Concept(self.name, self.relation, None, None, None, {"pairs": str(error), "known": str(error)})
        labels = self._labels(groups) if self.relation == "share" else None
        pairs, known = None, None
        try:
            pairs = self._pairs(groups)
        except IinError as error:
            reasons["pairs"] = str(error)
        try:
            known = self._known(groups, labels)
            known.target.check()
        except IinError as error:
            reasons["known"], known = str(error), None
        return Concept(self.name, self.relation, pairs, known, labels, reasons)

    def _groups(self) -> Groups:
        """Prepare the concept on the items it is audited on, and let it group them."""
        if self.provider is None:
            (self.provider,) = find_providers([concept_of_factor(self.name, self.factors, self.dataset)])
        if self.provider.relation != self.relation:
            raise DataError(
                f"the factor was fitted to pairs that {self.relation}, and concept {self.name} makes pairs that "
                f"{self.provider.relation}: write the right one by --concept"
            )
        opened = self.pool.opened
        items = self.pool.items if self.relation == "share" else self.subject.items
        self.provider.prepare(self.dataset, items, circumstances(opened.network, self.seed, opened.device, self.report))
        return self.provider.groups(self.dataset, items, self.seed)

    def _labels(self, groups: Groups) -> np.ndarray:
        """Return the group of every audited item, −1 where it is in none."""
        own = dict(zip(groups.indices.tolist(), groups.group_ids.tolist(), strict=True))
        return np.array([own.get(item, -1) for item in self.subject.items.tolist()], np.int64)

    def _pairs(self, groups: Groups) -> Pairs:
        sides = [
            self._latents(groups.indices[rows], groups.variants[rows])
            for rows in disjoint_pairs(groups, self.count, self.seed)
        ]
        (z_a, std_a), (z_b, std_b) = sides
        opened = self.pool.opened
        return Pairs(z_a, z_b, std_a, std_b, opened.transform(z_a), opened.transform(z_b))

    def _known(self, groups: Groups, labels: np.ndarray | None) -> Known:
        """Find what is known of the concept: measurements, else labels, else which variant of an image it is."""
        measured = self._measured()
        everything = np.arange(len(self.subject.chosen))
        if measured is not None:
            return Known(Target(measured), everything, self.subject.z_tilde)
        if labels is not None:
            there = np.flatnonzero(labels >= 0)
            different = len(np.unique(labels[there]))
            if different > len(there) / ITEMS_PER_LABEL:
                raise DataError(
                    f"{self.name} has {different} values on {len(there)} items, too many to be learned, "
                    "and the data holds no measurement of it"
                )
            return Known(Target(labels[there]), there, self.subject.z_tilde[there])
        return self._variants(groups)

    def _measured(self) -> np.ndarray | None:
        """Return the true values (M, k) of a concept that is measured, or the labels (M,) of one that is redrawn."""
        if self.name == "color" and hasattr(self.dataset, "colors"):
            return np.asarray(self.dataset.colors, np.float64)[self.subject.items]
        column = next((name for name in self.dataset.labels if name.casefold() == self.name.casefold()), None)
        if column is None:
            return None
        labels = self.dataset.labels[column]
        if labels.continuous:
            return np.asarray(labels.values, np.float64)[self.subject.items, None]
        # The number of a redrawing says nothing; the label of the image as it stands does.
        return np.asarray(labels.values)[self.subject.items] if self.relation == "differ" else None

    def _variants(self, groups: Groups) -> Known:
        """Take one random variant of every audited item."""
        order = np.random.default_rng(self.seed + 2).permutation(len(groups.indices))
        found, first = np.unique(groups.indices[order], return_index=True)
        rows = order[first]
        z, _ = self._latents(groups.indices[rows], groups.variants[rows])
        place = {item: number for number, item in enumerate(self.subject.items.tolist())}
        items = np.array([place[item] for item in found.tolist()])
        return Known(Target(groups.variants[rows]), items, self.pool.opened.transform(z))

    def _encode(self, items: np.ndarray, variant: int) -> Latents:
        opened = self.pool.opened
        provider = self.provider if variant else None
        return encode_items(
            opened.network, self.dataset, items, provider, variant, device=opened.device, report=self.report
        )

    def _latents(self, indices: np.ndarray, variants: np.ndarray) -> tuple[Tensor, Tensor | None]:
        """Return means (B, N) and, of a stochastic encoder, standard deviations of items drawn in their variants."""
        dim = self.pool.z.shape[1]
        mean = np.empty((len(indices), dim), np.float32)
        stochastic = self.encoded[0].log_variance is not None
        log_variance = np.empty_like(mean) if stochastic else None
        for variant in np.unique(variants).tolist():
            if variant not in self.encoded:
                self.places[variant] = np.sort(self.subject.items)
                self.encoded[variant] = self._encode(self.places[variant], variant)
            mine = variants == variant
            order = np.argsort(self.places[variant], kind="stable")
            rows = order[np.searchsorted(self.places[variant], indices[mine], sorter=order)]
            mean[mine] = self.encoded[variant].mean[rows]
            if log_variance is not None:
                log_variance[mine] = self.encoded[variant].log_variance[rows]
        std = torch.from_numpy(np.exp(0.5 * log_variance)) if log_variance is not None else None
        return torch.from_numpy(mean), std
