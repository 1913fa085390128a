"""What a translator is fitted to, pairs of encoded images or a file of latents, and how its factors are sized."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import UsageError, nearest
from ..plan import TranslatorPlan
from ..plugin_api import ConceptProvider, Relation
from ..progress import Reporter
from ..translator.dims import Estimator, allocate, complete
from ..translator.factors import RESIDUAL, Factors
from .grouping import group, score_concepts
from .opening import OpenBackbone, choose_root, describe_data, open_data
from .pair_files import PairFile, held_out_rows, split_pairs
from .pair_streams import FixedPairs, FreshPairs, PairStream, SingleRows

__all__ = ["Material", "from_file", "from_images", "size_factors"]

HELD_OUT_PAIRS = 2048


@dataclass(frozen=True)
class Material:
    """What a fit works on; `stream` makes the pairs once factors, batch and seed are known."""

    dim: int
    rows: int
    relations: dict[str, Relation]
    scores: dict[str, float]
    stochastic: bool
    provenance: dict[str, Any]
    stream: Callable[[Factors, TranslatorPlan, int], PairStream]


def from_images(
    opened: OpenBackbone,
    providers: Sequence[ConceptProvider],
    data: str | None,
    data_root: Path | None,
    dims: Mapping[str, int] | None,
    estimator: Estimator,
    seed: int,
    device: torch.device,
    report: Reporter,
) -> Material:
    """Group the data's training images and encode them once; scores are measured where `dims` are not given.

    Raises DataError as `group` and `open_data` do.
    """
    root = choose_root(data, opened.data, data_root)
    dataset = open_data(data, opened.data, root)
    table, pairs, held_out = group(opened, dataset, providers, seed, device, report)
    scores = score_concepts(table, pairs, seed, estimator) if pairs and not dims else {}

    def stream(factors: Factors, plan: TranslatorPlan, seed: int) -> PairStream:
        if pairs:
            return FreshPairs(table, pairs, factors, plan.batch_pairs, seed, HELD_OUT_PAIRS)
        return SingleRows(table, held_out, 2 * plan.batch_pairs, seed, 2 * HELD_OUT_PAIRS)

    provenance = {"backbone": opened.provenance, "data": describe_data(dataset, root)}
    relations = {concept.name: concept.relation for concept in pairs}
    return Material(table.dim, len(table), relations, scores, table.stochastic, provenance, stream)


def from_file(file: PairFile, dims: Mapping[str, int] | None, estimator: Estimator, report: Reporter) -> Material:
    """Make pairs of a file, or single latents, the material. DataError where a concept has no pairs."""
    if file.table is not None:
        held_out = held_out_rows(file)
    else:
        chosen = split_pairs(file, report)

    def stream(factors: Factors, plan: TranslatorPlan, seed: int) -> PairStream:
        if file.table is not None:
            return SingleRows(file.table, held_out, 2 * plan.batch_pairs, seed, 2 * HELD_OUT_PAIRS)
        return FixedPairs(file.z_a, file.z_b, file.mask, chosen, factors, plan.batch_pairs, seed, HELD_OUT_PAIRS)

    provenance = {
        "backbone": None,
        "data": {"name": str(file.path.resolve()), "root": None, "fingerprint": file.sha256},
    }
    relations, scores = file.relations, {} if dims else file.scores(estimator)
    return Material(file.dim, file.rows, relations, scores, False, provenance, stream)


def size_factors(material: Material, dims: Mapping[str, int] | None, plan: TranslatorPlan) -> Factors:
    """Size the factors as `dims` says, else by Eq 11; UsageError for unknown names or sizes that do not sum to N."""
    wanted = list(material.relations)
    for name in plan.sigmas:
        if name not in wanted:
            raise UsageError(f"--sigma names {name!r}: {nearest(name, wanted)}")
    if dims:
        given = [name for name in dims if name != RESIDUAL]
        if sorted(given) != sorted(wanted):
            raise UsageError(
                f"--dims names {', '.join(given) or 'nothing'}; the concepts are {', '.join(wanted) or 'none'}"
            )
        sizes = complete(
            {name: dims[name] for name in [*wanted, *([RESIDUAL] if RESIDUAL in dims else [])]}, material.dim
        )
    else:
        sizes = allocate(material.scores, material.dim)
    return Factors.of(sizes, {name: plan.sigmas.get(name, plan.sigma) for name in sizes}, material.relations)
