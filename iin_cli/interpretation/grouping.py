"""Group and encode: from a network, data and concepts to latents in memory-mapped blocks and pairs of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError, UsageError
from ..latents.concept_contract import check_groups, wrong_attribute
from ..latents.dominance import names_of_rows, variant_of
from ..latents.pairs import step_generator
from ..latents.splitting import held_out_mask
from ..latents.table import ConceptPairs, LatentTable
from ..latents.thinning import thin
from ..plugin_api import Circumstances, ConceptProvider, Dataset, Groups
from ..progress import Reporter
from ..registry import FIRST_PARTY, find, is_known
from ..translator.factors import RESIDUAL
from .encoding import encode_items
from .network import Network

__all__ = [
    "MOST_NEEDED",
    "GroupedItems",
    "Grouping",
    "circumstances",
    "encode_groups",
    "find_providers",
    "group",
    "group_items",
    "grouped",
]

MOST_NEEDED = 256
# Of the items that should make pairs in a random part; of groups of two, a tenth of the images leaves a tenth.
WHOLE = 0.9


@dataclass(frozen=True)
class GroupedItems:
    """Training items as concepts group them.

    Attributes:
        table: the latents of every item, rendered ones included.
        pairs: of each concept.
        held_out: bool (rows,), the rows that no fit sees.
        images: numbers of the images in the dataset, int64 (M,).
        rows: how many there would be of all images.
    """

    table: LatentTable
    pairs: list[ConceptPairs]
    held_out: np.ndarray
    images: np.ndarray
    rows: int


def find_providers(concepts: Sequence[str], dataset: Dataset | None = None) -> list[ConceptProvider]:
    """Return the providers of `concepts` (`NAME[:ARGUMENT]`). UsageError for unknown names or two of one name.

    Args:
        dataset: one of its label columns may stand for a concept, where no concept has that name.
    """
    providers: list[ConceptProvider] = []
    for wanted in concepts:
        provider = (found := find("concepts", _written(wanted, dataset))).make()
        if (wrong := wrong_attribute(provider)) is not None:
            raise found.fault("breaks the contract of a concept", wrong)
        if provider.concept in [other.concept for other in providers]:
            raise UsageError(f"--concept {wanted}: the concept {provider.concept} is given twice")
        if provider.concept == RESIDUAL:
            raise UsageError(f"--concept {wanted}: the name residual is taken by what no concept explains")
        providers.append(provider)
    return providers


def _written(wanted: str, dataset: Dataset | None) -> str:
    """Write a concept that is only the name of a column as `label:NAME`, or as `attribute:NAME` of a measurement."""
    column = dataset.column(wanted) if dataset is not None else None
    if dataset is None or is_known("concepts", wanted.partition(":")[0]):
        return wanted
    if column is None:
        try:
            find("concepts", wanted)
        except UsageError as error:
            there = f"its label columns are {', '.join(dataset.labels)}" if dataset.labels else "it has no labels"
            raise UsageError(f"{error}; nor is it a label column of {dataset.name}: {there}") from error
        return wanted
    written = f"{'attribute' if dataset.labels[column].continuous else 'label'}:{column}"
    if wanted in FIRST_PARTY["concepts"]:
        raise UsageError(
            f"concept {wanted!r} comes with a package that is not installed: pip install "
            f"{FIRST_PARTY['concepts'][wanted]}; or write {written} for the column of {dataset.name}"
        )
    return written


def group(
    network: Network,
    dataset: Dataset,
    providers: Sequence[ConceptProvider],
    seed: int,
    report: Reporter,
    most: int | None = None,
) -> GroupedItems:
    """Group the training items of `dataset` by each concept, and encode every rendered item once.

    Args:
        most: images at most, drawn by `seed`; concepts of small groups add as many of their own. None takes all.

    Raises DataError when a concept has no labels or makes no pair, or when there are fewer images than latents;
    UsageError for a `most` below that.
    """
    return encode_groups(network, dataset, group_items(network, dataset, providers, seed, report, most), report)


@dataclass(frozen=True)
class Grouping:
    """Training items as concepts group them, before they are encoded.

    Attributes:
        images: numbers of the images in the dataset, int64 (M,).
        providers: the concepts, and `groups` what each made.
        rows: how many rows all images would make, rendered ones included.
    """

    images: np.ndarray
    providers: Sequence[ConceptProvider]
    groups: Sequence[Groups]
    rows: int


def group_items(
    network: Network,
    dataset: Dataset,
    providers: Sequence[ConceptProvider],
    seed: int,
    report: Reporter,
    most: int | None = None,
    most_rows: int | None = None,
) -> Grouping:
    """Let each concept group the training items of `dataset`, and encode none; as `group`.

    Args:
        most_rows: rows at most, rendered ones included, where that is fewer images than `most`; never too few.
    """
    indices = np.asarray(dataset.splits["train"])
    # Wider latents have dependent features anyway: noise is declared, and few rows are warned of.
    needed = min(network.latent_dim, MOST_NEEDED)
    if len(indices) < needed:
        raise DataError(
            f"{dataset.name} has {len(indices)} training images, fewer than the {needed} "
            f"{'' if needed < network.latent_dim else 'dimensions of the latent '}that a translator needs"
        )
    if most is not None and most < needed:
        raise UsageError(f"--n {most}: sizes need at least {needed} images")
    groups = grouped(dataset, indices, providers, circumstances(network, seed, report))
    rows = len(indices) + sum(int((own.variants != 0).sum()) for own in groups)
    if most_rows is not None and most_rows < rows:
        most = min(most or len(indices), max(needed, len(indices) * most_rows // rows))
    if most is not None and most < len(indices):
        indices, groups = _drawn(indices, groups, most, seed)
    return Grouping(indices, providers, groups, rows)


def encode_groups(network: Network, dataset: Dataset, grouping: Grouping, report: Reporter) -> GroupedItems:
    """Encode every item of `grouping` once, rendered ones too, and make each concept's pairs of their rows."""
    indices, providers, groups = grouping.images, grouping.providers, grouping.groups
    total = 1 + sum(len(np.unique(own.variants[own.variants != 0])) for own in groups)
    parts = (f"{number} of {total}" if total > 1 else "" for number in range(1, total + 1))
    blocks, rows_of = [encode_items(network, dataset, indices, report=report, part=next(parts))], {}
    start, row_indices, variants = len(indices), [indices], [""]
    for provider, own in zip(providers, groups, strict=True):
        for variant in np.unique(own.variants[own.variants != 0]):
            items = own.indices[own.variants == variant]
            blocks.append(
                encode_items(network, dataset, items, provider, int(variant), report=report, part=next(parts))
            )
            rows_of[provider.concept, int(variant)] = start
            row_indices.append(items)
            variants.append(variant_of(provider, int(variant)))
            start += len(items)
    sources = dataset.sources[np.concatenate(row_indices)]
    held_out = held_out_mask(sources)
    pairs = [
        ConceptPairs.of(
            provider.concept,
            provider.relation,
            _rows(provider, own, indices, rows_of),
            own.group_ids,
            held_out,
            sources,
        )
        for provider, own in zip(providers, groups, strict=True)
    ]
    table = LatentTable(blocks, names_of_rows(dataset, row_indices, variants))
    return GroupedItems(table, pairs, held_out, indices, grouping.rows)


def _drawn(indices: np.ndarray, groups: Sequence[Groups], most: int, seed: int) -> tuple[np.ndarray, list[Groups]]:
    """Draw `most` of the images, as `ChosenData.training_items` does, and of every concept the items among them.

    A concept of small groups, which that would tear apart, keeps whole groups instead.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(indices))[:most])
    part, kept = indices[drawn], []
    for own in groups:
        rows = _paired(own, np.flatnonzero(np.isin(own.indices, part)))
        everything = _paired(own, np.arange(len(own.indices)))
        if len(rows) < WHOLE * len(everything) * most / len(indices):
            rows = thin(own.group_ids, most, step_generator(seed, 3000, 0))
        kept.append(Groups(own.indices[rows], own.variants[rows], own.group_ids[rows]))
    added = np.isin(indices, np.concatenate([own.indices for own in kept])) if kept else np.zeros(len(indices), bool)
    added[drawn] = True
    return indices[added], kept


def _paired(own: Groups, rows: np.ndarray) -> np.ndarray:
    """Return those of `rows` (M,) whose group has another of them."""
    _, group_of, sizes = np.unique(own.group_ids[rows], return_inverse=True, return_counts=True)
    return rows[sizes[group_of] > 1]


def circumstances(network: Network, seed: int, report: Reporter) -> Circumstances:
    """Return what concepts may use that are prepared for `network`."""
    backbone = network.backbone
    return Circumstances(str(network.device), backbone.image_size, backbone.interpolation, seed, report)


def grouped(
    dataset: Dataset, indices: np.ndarray, providers: Sequence[ConceptProvider], circumstances: Circumstances
) -> list[Groups]:
    """Prepare every concept and let it group the items `indices` (M,) of `dataset`.

    Errors as the concepts raise; PluginError for one that breaks its contract.
    """
    for provider in providers:
        provider.prepare(dataset, indices, circumstances)
    made = [provider.groups(dataset, indices, circumstances.seed) for provider in providers]
    return [
        check_groups(provider, own, dataset, indices, circumstances)
        for provider, own in zip(providers, made, strict=True)
    ]


def _rows(
    provider: ConceptProvider, grouped: Groups, indices: np.ndarray, rows_of: dict[tuple[str, int], int]
) -> np.ndarray:
    """Say which row of the table each grouped item is."""
    order = np.argsort(indices, kind="stable")
    rows = order[np.searchsorted(indices, grouped.indices, sorter=order)]
    for variant in np.unique(grouped.variants[grouped.variants != 0]):
        mine = grouped.variants == variant
        rows[mine] = rows_of[provider.concept, int(variant)] + np.arange(mine.sum())
    return rows
