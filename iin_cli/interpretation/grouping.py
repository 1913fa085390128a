"""Group and encode: from a network, data and concepts to latents in memory-mapped blocks and pairs of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError, UsageError
from ..latents.dominance import names_of_rows, variant_of
from ..latents.splitting import held_out_mask
from ..latents.table import ConceptPairs, LatentTable
from ..plugin_api import Circumstances, ConceptProvider, Dataset, Groups
from ..progress import Reporter
from ..registry import find
from ..translator.factors import RESIDUAL
from .concept_contract import check_groups, wrong_attribute
from .encoding import encode_items
from .network import Network

__all__ = ["MOST_NEEDED", "GroupedItems", "circumstances", "find_providers", "group", "grouped"]

MOST_NEEDED = 256


@dataclass(frozen=True)
class GroupedItems:
    """Training items as concepts group them.

    Attributes:
        table: the latents of every item, rendered ones included.
        pairs: of each concept.
        held_out: bool (rows,), the rows that no fit sees.
    """

    table: LatentTable
    pairs: list[ConceptPairs]
    held_out: np.ndarray


def find_providers(concepts: Sequence[str]) -> list[ConceptProvider]:
    """Return the providers of `concepts` (`NAME[:ARGUMENT]`). UsageError for unknown names or two of one name."""
    providers: list[ConceptProvider] = []
    for wanted in concepts:
        provider = (found := find("concepts", wanted)).make()
        if (wrong := wrong_attribute(provider)) is not None:
            raise found.fault("breaks the contract of a concept", wrong)
        if provider.concept in [other.concept for other in providers]:
            raise UsageError(f"--concept {wanted}: the concept {provider.concept} is given twice")
        if provider.concept == RESIDUAL:
            raise UsageError(f"--concept {wanted}: the name residual is taken by what no concept explains")
        providers.append(provider)
    return providers


def group(
    network: Network, dataset: Dataset, providers: Sequence[ConceptProvider], seed: int, report: Reporter
) -> GroupedItems:
    """Group the training items of `dataset` by each concept, and encode every rendered item once.

    Raises DataError when a concept has no labels or makes no pair, or when there are fewer images than latents.
    """
    indices = np.asarray(dataset.splits["train"])
    # Wider latents have dependent features anyway: noise is declared, and few rows are warned of.
    needed = min(network.latent_dim, MOST_NEEDED)
    if len(indices) < needed:
        raise DataError(
            f"{dataset.name} has {len(indices)} training images, fewer than the {needed} "
            f"{'' if needed < network.latent_dim else 'dimensions of the latent '}that a translator needs"
        )
    groups = grouped(dataset, indices, providers, circumstances(network, seed, report))
    blocks, rows_of = [encode_items(network, dataset, indices, report=report)], {}
    start, row_indices, variants = len(indices), [indices], [""]
    for provider, own in zip(providers, groups, strict=True):
        for variant in np.unique(own.variants[own.variants != 0]):
            items = own.indices[own.variants == variant]
            blocks.append(encode_items(network, dataset, items, provider, int(variant), report=report))
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
    return GroupedItems(LatentTable(blocks, names_of_rows(dataset, row_indices, variants)), pairs, held_out)


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
