"""Gather what an audit looks at: choose items, then prepare, group and encode every concept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError, IinError
from ...interpretation.encoding import encode_items, is_encoded
from ...interpretation.factor_concepts import concept_of_factor
from ...interpretation.grouping import circumstances, find_providers, grouped
from ...interpretation.reading import Reading
from ...metrics.informativeness import Target
from ...plugin_api import ConceptProvider, Groups, Relation
from ...progress import Reporter
from ...translator.factors import RESIDUAL
from .material import (
    AuditedConcept,
    AuditMaterial,
    IndependentPairs,
    Known,
    Taught,
    disjoint_pairs,
    distinct_items,
    unseen,
)

__all__ = ["FEWEST_LESSONS", "LESSONS", "gather"]

# A probe cannot learn a label from fewer items than this.
ITEMS_PER_LABEL = 10
# Training items that a probe learns from, for each item audited: more take longer and hardly tell more.
LESSONS = 2
FEWEST_LESSONS = 1000


def gather(
    pool: Reading,
    training: Reading | None,
    given: Mapping[str, ConceptProvider],
    count: int,
    seed: int,
    report: Reporter,
    names: Sequence[str] | None = None,
    lessons: int | None = None,
) -> AuditMaterial:
    """Choose items of `pool`; prepare, group and encode the concepts, whose `reasons` say what failed.

    Args:
        training: items from which probes learn, except those that show an audited image; None has none.
        given: concepts that are not to be guessed from their factors' names.
        count: items at most, and pairs of each concept.
        names: factors of the concepts; None takes all but the residual.
        lessons: training items that a probe learns from at most; by default twice the items, at least 1000.
    """
    items = pool.rows(distinct_items(pool, count, seed))
    material = AuditMaterial(pool, items, [], unseen(training, items))
    concepts = [name for name in names or pool.opened.factors.names if name != RESIDUAL]
    most = lessons or max(LESSONS * len(items), FEWEST_LESSONS)
    found = [_Gathering(material, name, given.get(name), count, seed, report).concept(most) for name in concepts]
    return replace(material, concepts=found)


@dataclass(frozen=True)
class _Encoded:
    """Items in one rendering: latents (M, N) and, of a stochastic encoder, standard deviations."""

    items: np.ndarray
    z: Tensor
    std: Tensor | None

    def rows(self, items: np.ndarray) -> np.ndarray:
        """Return the rows of `items` (B,)."""
        order = np.argsort(self.items, kind="stable")
        return order[np.searchsorted(self.items, items, sorter=order)]


class _Gathering:
    """The work for one concept."""

    def __init__(
        self,
        material: AuditMaterial,
        name: str,
        provider: ConceptProvider | None,
        count: int,
        seed: int,
        report: Reporter,
    ) -> None:
        pool, self.items, self.training = material.pool, material.items, material.training
        self.pool, self.name, self.count, self.seed, self.report = pool, name, count, seed, report
        self.dataset, self.factors = pool.dataset, pool.opened.factors
        self.relation: Relation = self.factors.relation(name)
        self.given = provider
        self.encoded = {0: _Encoded(pool.items, pool.z, pool.std)}

    def concept(self, lessons: int) -> AuditedConcept:
        """Return the concept, as far as it can be had, and at most `lessons` training items with it."""
        try:
            provider = self._provider()
            groups = self._groups(provider)
        except IinError as error:
            reasons = {"pairs": str(error), "known": str(error)}
            return AuditedConcept(self.name, self.relation, None, None, reasons)
        pairs, known, reasons = None, None, {}
        try:
            pairs = self._pairs(provider, groups)
        except IinError as error:
            reasons["pairs"] = str(error)
        try:
            known = self._known(provider, groups)
            known.target.check()
            if known.taught is not None:
                known = replace(known, taught=known.taught.at_most(lessons, self.seed))
        except IinError as error:
            reasons["known"], known = str(error), None
        return AuditedConcept(self.name, self.relation, pairs, known, reasons)

    def _provider(self) -> ConceptProvider:
        """Return what makes pairs of the concept; DataError where there is none, or one of the other relation."""
        if self.given is not None:
            provider = self.given
        else:
            (provider,) = find_providers([concept_of_factor(self.name, self.factors, self.dataset)])
        if provider.relation != self.relation:
            raise DataError(
                f"the factor was fitted to pairs that {self.relation}, and concept {self.name} makes pairs that "
                f"{provider.relation}: write the right one by --concept"
            )
        return provider

    def _groups(self, provider: ConceptProvider) -> Groups:
        """Prepare the concept on the items it is audited on, and let it group them."""
        items = self.pool.items if self.relation == "share" else self.items.items
        around = circumstances(self.pool.network, self.seed, self.report)
        return grouped(self.dataset, items, [provider], around)[0]

    def _pairs(self, provider: ConceptProvider, groups: Groups) -> IndependentPairs:
        (z_a, std_a), (z_b, std_b) = (
            self._latents(provider, groups.indices[rows], groups.variants[rows])
            for rows in disjoint_pairs(groups, self.count, self.seed)
        )
        transform = self.pool.opened.transform
        return IndependentPairs(z_a, z_b, std_a, std_b, transform(z_a), transform(z_b))

    def _known(self, provider: ConceptProvider, groups: Groups) -> Known:
        """Find what is known of the concept: measurements, else labels, else which variant of an image it is."""
        measured = self._measured(self.items.items)
        if measured is not None:
            taught = None
            if self.training is not None and (values := self._measured(self.training.items)) is not None:
                taught = Taught(Target(values), self.training.z_tilde)
            return Known(Target(measured), np.arange(len(self.items)), self.items.z_tilde, taught)
        return self._labels(provider) if self.relation == "share" else self._variants(provider, groups)

    def _measured(self, items: np.ndarray) -> np.ndarray | None:
        """Return the true values (M, k) of a concept that is measured, or the labels (M,) of one that is redrawn."""
        if self.name == "color" and self.dataset.colors is not None:
            return np.asarray(self.dataset.colors, np.float64)[items]
        column = self.dataset.column(self.name)
        if column is None:
            return None
        labels = self.dataset.labels[column]
        if labels.continuous:
            return np.asarray(labels.values, np.float64)[items, None]
        # The number of a redrawing says nothing; the label of the image as it stands does.
        return np.asarray(labels.values)[items] if self.relation == "differ" else None

    def _labels(self, provider: ConceptProvider) -> Known:
        """Take the groups of a share concept for labels, of the items that are in one."""
        items, training = self.items, self.training
        both = items.items if training is None else np.concatenate((items.items, training.items))
        # Grouped together: the number of a group may stand for something else among other items.
        groups = provider.groups(self.dataset, both, self.seed)
        own = dict(zip(groups.indices.tolist(), groups.group_ids.tolist(), strict=True))
        labels = np.array([own.get(item, -1) for item in both.tolist()], np.int64)
        there, taught = np.flatnonzero(labels[: len(items)] >= 0), None
        if training is not None:
            known = np.flatnonzero(labels[len(items) :] >= 0)
            taught = Taught(Target(labels[len(items) :][known]), training.z_tilde[known])
        learned = len(there) if taught is None else len(taught.z_tilde)
        different = len(np.unique(labels[there]))
        if different > learned / ITEMS_PER_LABEL:
            raise DataError(
                f"{self.name} has {different} values, too many to be learned from {learned} "
                f"{'training ' if taught is not None else ''}items, and the data holds no measurement of it"
            )
        return Known(Target(labels[there]), there, items.z_tilde[there], taught)

    def _variants(self, provider: ConceptProvider, groups: Groups) -> Known:
        """Take one random variant of every audited item."""
        rows = self._one_of_each(groups)
        z, _ = self._latents(provider, groups.indices[rows], groups.variants[rows])
        place = {item: number for number, item in enumerate(self.items.items.tolist())}
        items = np.array([place[item] for item in groups.indices[rows].tolist()])
        target, tilde = Target(groups.variants[rows]), self.pool.opened.transform(z)
        return Known(target, items, tilde, self._taught_variants(provider))

    def _taught_variants(self, provider: ConceptProvider) -> Taught | None:
        """Take one random variant of every training item; None where these are not encoded yet."""
        if self.training is None:
            return None
        groups = provider.groups(self.dataset, self.training.items, self.seed)
        rows, network, items = self._one_of_each(groups), self.pool.network, self.training.items
        drawn = np.unique(groups.variants[groups.variants != 0]).tolist()
        if not all(is_encoded(network, self.dataset, items, provider, variant) for variant in drawn):
            return None
        z = torch.empty(len(rows), self.training.z.shape[1])
        for variant in np.unique(groups.variants[rows]).tolist():
            own = _Encoded(items, self.training.z, None)
            if variant:
                found = encode_items(network, self.dataset, items, provider, variant, report=self.report)
                own = _Encoded(items, found.moments()[0], None)
            mine = np.flatnonzero(groups.variants[rows] == variant)
            z[mine] = own.z[own.rows(groups.indices[rows][mine])]
        return Taught(Target(groups.variants[rows]), self.pool.opened.transform(z))

    def _one_of_each(self, groups: Groups) -> np.ndarray:
        """Choose one row of `groups` at random for every image."""
        order = np.random.default_rng(self.seed + 2).permutation(len(groups.indices))
        _, first = np.unique(groups.indices[order], return_index=True)
        return order[first]

    def _latents(
        self, provider: ConceptProvider, items: np.ndarray, variants: np.ndarray
    ) -> tuple[Tensor, Tensor | None]:
        """Return means (B, N) and, of a stochastic encoder, standard deviations of items drawn in their variants."""
        z = torch.empty(len(items), self.pool.z.shape[1])
        std = torch.empty_like(z) if self.pool.std is not None else None
        for variant in np.unique(variants).tolist():
            if variant not in self.encoded:
                self.encoded[variant] = self._rendered(provider, variant)
            encoded, mine = self.encoded[variant], np.flatnonzero(variants == variant)
            rows = encoded.rows(items[mine])
            z[mine] = encoded.z[rows]
            if std is not None and encoded.std is not None:
                std[mine] = encoded.std[rows]
        return z, std

    def _rendered(self, provider: ConceptProvider, variant: int) -> _Encoded:
        """Encode the audited items as the concept draws them; DataError for images in memory."""
        items = np.sort(self.items.items)
        found = encode_items(self.pool.network, self.dataset, items, provider, variant, report=self.report)
        return _Encoded(items, *found.moments())
