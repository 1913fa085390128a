"""What a translator is fitted to: latents with the pairs that concepts make of them, from images or from a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ..interpretation.data_choice import describe_data
from ..interpretation.grouping import encode_groups, group_items
from ..interpretation.network import Network
from ..latents.dominance import Dominance, check_dominance
from ..latents.table import ConceptPairs, LatentTable, MappedTable
from ..leading import leaders_first
from ..plan import WIDE, TranslatorPlan, few_rows
from ..plugin_api import ConceptProvider, Dataset, Relation
from ..progress import Reporter
from ..sizing.paired_latents import PairedLatents
from ..sizing.scores import score_concepts
from ..translator.dims import Estimator
from ..translator.factors import Factors
from ..translator.likelihood import mask_posterior
from .pair_files import PairFile, held_out_rows, paired_latents, split_pairs
from .streams import FixedPairs, FreshPairs, MaskedPairs, PairStream, SingleRows, mask_prior

__all__ = ["GroupedMaterial", "Material", "PairMaterial", "from_file", "from_images"]

# Pairs per concept that the held-out NLL is measured on. Wide translators are slow, and their data few.
HELD_OUT_PAIRS, HELD_OUT_PAIRS_WIDE = 2048, 512
# Pairs translated at once.
ROWS = 4096


@dataclass(frozen=True)
class Material(ABC):
    """What a translator is fitted to.

    Attributes:
        table: all latents.
        relations: concept -> how its pairs relate; empty for single latents.
        provenance: `backbone` and `data` as a checkpoint remembers them, JSON values or None.
    """

    table: LatentTable
    relations: dict[str, Relation]
    provenance: dict[str, Any]

    @property
    def dim(self) -> int:
        """N."""
        return self.table.dim

    @property
    def rows(self) -> int:
        """How many latents a fit has."""
        return len(self.table)

    @abstractmethod
    def scores(self, seed: int, estimator: Estimator) -> dict[str, float]:
        """Score every concept on its pairs (Eq 11)."""

    def dominance(self, report: Reporter) -> Dominance | None:
        """Find the few latents that make much of the variance of those scored, and warn of them."""
        return check_dominance(self.table, np.arange(len(self.table)), report)

    @abstractmethod
    def paired_latents(self, seed: int) -> PairedLatents:
        """Return latents in groups: what the pair spectrum is computed from."""

    @abstractmethod
    def stream(self, factors: Factors, plan: TranslatorPlan, seed: int) -> PairStream:
        """Return the stream of batches for these factors."""

    @abstractmethod
    def mapped(self, function: Callable[[Tensor], Tensor], dim: int) -> Self:
        """Return the same pairs of what `function` makes of their latents, (B, N) -> (B, dim)."""

    @property
    def partly_known(self) -> bool:
        """Whether there are pairs of which it is not known what they share."""
        return False

    @property
    def _held(self) -> int:
        return HELD_OUT_PAIRS if self.dim <= WIDE else HELD_OUT_PAIRS_WIDE


@dataclass(frozen=True)
class GroupedMaterial(Material):
    """Latents in groups: every step draws fresh pairs inside them, or single latents where there are no concepts.

    Attributes:
        pairs: of each concept.
        held_out: bool (rows,), the rows that no fit sees.
        all_rows: how many latents all images give, where these are of a part of them; None of all.
    """

    pairs: list[ConceptPairs]
    held_out: np.ndarray
    all_rows: int | None = None

    @property
    def rows(self) -> int:
        """How many latents a fit has, which sees all images."""
        return len(self.table) if self.all_rows is None else self.all_rows

    @classmethod
    def of(
        cls,
        table: LatentTable,
        pairs: list[ConceptPairs],
        held_out: np.ndarray,
        provenance: dict[str, Any],
        origin: str,
        report: Reporter,
        all_rows: int | None = None,
    ) -> Self:
        """Collect a table and its pairs; warn of few latents (`origin` gave them) and of concepts not held out."""
        rows = len(table) if all_rows is None else all_rows
        _warn_of_few(f"{origin} gives {rows} latents", rows, table.dim, report)
        for concept in pairs:
            if concept.held_out is None:
                report.warn(
                    f"concept {concept.name} has no pair among the held-out images: its held-out NLL is not measured"
                )
        return cls(table, {concept.name: concept.relation for concept in pairs}, provenance, pairs, held_out, all_rows)

    def scores(self, seed: int, estimator: Estimator) -> dict[str, float]:
        """Score every concept on fresh pairs of the items it is fitted to."""
        return score_concepts(self.table, self.pairs, seed, estimator)

    def dominance(self, report: Reporter) -> Dominance | None:
        """Look among the items that are fitted to."""
        return check_dominance(self.table, np.flatnonzero(~self.held_out), report)

    def paired_latents(self, seed: int) -> PairedLatents:
        """Sample the latents of every concept's items once."""
        return PairedLatents.of_groups(self.table, self.pairs, self.held_out, seed)

    def mapped(self, function: Callable[[Tensor], Tensor], dim: int) -> Self:
        """Map latents whenever they are read."""
        return replace(self, table=MappedTable(self.table, function, dim))

    def stream(self, factors: Factors, plan: TranslatorPlan, seed: int) -> PairStream:
        """Draw fresh pairs, or single latents without concepts."""
        if self.pairs:
            return FreshPairs(self.table, self.pairs, factors, plan.batch_pairs, seed, self._held)
        return SingleRows(self.table, self.held_out, 2 * plan.batch_pairs, seed, 2 * self._held)


@dataclass(frozen=True)
class PairMaterial(Material):
    """Pairs of a file, as they are; `chosen` says which are fitted to."""

    file: PairFile
    chosen: MaskedPairs

    @property
    def partly_known(self) -> bool:
        """Whether it is not known of all pairs what they share."""
        return bool((self.chosen.mask < 0).any())

    def translated(self, transform: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Return z̃ of both members of all pairs by `transform`, each (P, N), on the CPU."""
        rows = np.array_split(np.arange(len(self.chosen.z_a)), -(-len(self.chosen.z_a) // ROWS))
        a, b = (
            torch.cat([transform(torch.from_numpy(part[some])).cpu() for some in rows])
            for part in (self.chosen.z_a, self.chosen.z_b)
        )
        return a, b

    def shared(self, transform: Callable[[Tensor], Tensor], factors: Factors) -> Tensor:
        """Return the chance that each pair shares each factor (P, K+1), with z̃ by `transform`; 0 and 1 where known."""
        mask = self.chosen.mask.float()
        prior = torch.where(mask < 0, mask_prior(self.chosen.mask), mask)
        return mask_posterior(*self.translated(transform), factors, prior)

    def decided(self, shared: Tensor, certain: float) -> Self:
        """Return the same pairs, of which it is taken as known what is at least `certain` by `shared` (P, K+1).

        Sizes and directions come from these; the likelihood sums over what is not known as before.
        """
        mask = self.chosen.mask.clone()
        mask[(mask < 0) & (shared >= certain)] = 1
        mask[(mask < 0) & (shared <= 1 - certain)] = 0
        return replace(self, file=replace(self.file, mask=mask))

    def scores(self, seed: int, estimator: Estimator) -> dict[str, float]:
        """Score every concept on its pairs in the file."""
        return self.file.scores(estimator)

    def paired_latents(self, seed: int) -> PairedLatents:
        """Take the pairs of the file."""
        return paired_latents(self.file, self.chosen.fit, self.chosen.held_out, seed)

    def mapped(self, function: Callable[[Tensor], Tensor], dim: int) -> Self:
        """Map all latents at once, into memory."""
        z_a, z_b = (part.numpy() for part in self.translated(function))
        file, chosen = replace(self.file, parts=(z_a, z_b)), replace(self.chosen, z_a=z_a, z_b=z_b)
        return replace(self, table=file.table, file=file, chosen=chosen)

    def stream(self, factors: Factors, plan: TranslatorPlan, seed: int) -> PairStream:
        """Draw pairs of the file, equally many of each kind."""
        return FixedPairs(self.chosen, factors, plan.batch_pairs, seed, self._held)


def from_images(
    network: Network,
    dataset: Dataset,
    root: Path | None,
    providers: Sequence[ConceptProvider],
    seed: int,
    report: Reporter,
    most_rows: int | None = None,
) -> Material:
    """Group the training images of `dataset` by each concept and encode them once; errors as `group`.

    Args:
        root: the data root that `dataset` was opened with.
        most_rows: of images and their renderings at most, for a plan of a fit to all of them; None takes all.

    Under torchrun one process of a machine prepares what concepts cache, and all share the encoding.
    """
    with leaders_first():
        grouping = group_items(network, dataset, providers, seed, report, most_rows=most_rows)
    images, total = len(grouping.images), len(dataset.splits["train"])
    if images < total:
        report.note(
            f"planned from {images:,} of {total:,} training images, drawn by seed {seed}; a fit measures all, and its "
            "sizes may differ by little"
        )
    found = encode_groups(network, dataset, grouping, report)
    provenance = {"backbone": network.provenance, "data": describe_data(dataset, root)}
    return GroupedMaterial.of(found.table, found.pairs, found.held_out, provenance, dataset.name, report, found.rows)


def from_file(file: PairFile, report: Reporter) -> Material:
    """Take the pairs of a file, or its single latents; DataError where a concept has no pairs."""
    name = None if file.path is None else str(file.path.resolve())
    data = {"name": name, "root": None, "fingerprint": file.sha256}
    provenance = {"backbone": None, "data": data}
    if file.mask is None:
        _warn_of_few(f"{file.called} has {file.rows} latents", file.rows, file.dim, report)
        return GroupedMaterial(file.table, {}, provenance, [], held_out_rows(file))
    (z_a, z_b), (fit, held_out) = file.parts, split_pairs(file, report)
    _warn_of_few(f"{file.called} has {len(z_a)} pairs", len(z_a), file.dim, report)
    if file.unknown:
        report.note(
            f"of {file.unknown} of {len(z_a)} pairs not all is known that they share: the likelihood sums over it, and "
            "sizes come from the others"
        )
    chosen = MaskedPairs(z_a, z_b, file.mask, fit, held_out)
    return PairMaterial(file.table, file.relations, provenance, file, chosen)


def _warn_of_few(what: str, rows: int, dim: int, report: Reporter) -> None:
    warning = few_rows(what, rows, dim)
    if warning is not None:
        report.warn(warning)
