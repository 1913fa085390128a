"""What a translator is fitted to, pairs of encoded images or a file of latents, and how its factors are sized."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import UsageError, nearest
from ..interpretation.data_choice import describe_data
from ..interpretation.grouping import group
from ..interpretation.network import Network
from ..latents.dominance import Dominance, check_dominance
from ..plan import WIDE, TranslatorPlan, few_rows
from ..plugin_api import ConceptProvider, Dataset, Relation
from ..progress import Reporter
from ..sizing.scores import score_concepts
from ..translator.dims import Estimator, allocate, complete
from ..translator.factors import RESIDUAL, Factors
from .pair_files import PairFile, held_out_rows, split_pairs
from .streams import FixedPairs, FreshPairs, PairStream, SingleRows

__all__ = ["Material", "from_file", "from_images", "size_factors"]

# Pairs per concept that the held-out NLL is measured on. Wide translators are slow, and their data few.
HELD_OUT_PAIRS, HELD_OUT_PAIRS_WIDE = 2048, 512


@dataclass(frozen=True)
class Material:
    """What a fit works on; `stream` makes the pairs once factors, batch and seed are known.

    `dominance` is of the latents that were scored: the few that make much of their variance, if there are any.
    """

    dim: int
    rows: int
    relations: dict[str, Relation]
    scores: dict[str, float]
    stochastic: bool
    provenance: dict[str, Any]
    stream: Callable[[Factors, TranslatorPlan, int], PairStream]
    dominance: Dominance | None = None


def from_images(
    opened: Network,
    providers: Sequence[ConceptProvider],
    dataset: Dataset,
    root: Path | None,
    dims: Mapping[str, int] | None,
    estimator: Estimator,
    seed: int,
    device: torch.device,
    report: Reporter,
) -> Material:
    """Group the training images of `dataset` and encode them once; scores are measured where `dims` are not given.

    `root` is the data root it was opened with. Raises DataError as `group` does.
    """
    table, pairs, held_out = group(opened, dataset, providers, seed, device, report)
    _warn_of_few(f"{dataset.name} gives {len(table)} latents", len(table), table.dim, report)
    for concept in pairs:
        if concept.held_out is None:
            report.warn(
                f"concept {concept.name} has no pair among the held-out images: its held-out NLL is not measured"
            )
    scores = score_concepts(table, pairs, seed, estimator) if pairs and not dims else {}
    dominance = check_dominance(table, np.flatnonzero(~held_out), report) if scores else None

    def stream(factors: Factors, plan: TranslatorPlan, seed: int) -> PairStream:
        held = _held_out_count(table.dim)
        if pairs:
            return FreshPairs(table, pairs, factors, plan.batch_pairs, seed, held)
        return SingleRows(table, held_out, 2 * plan.batch_pairs, seed, 2 * held)

    provenance = {"backbone": opened.provenance, "data": describe_data(dataset, root)}
    relations = {concept.name: concept.relation for concept in pairs}
    return Material(table.dim, len(table), relations, scores, table.stochastic, provenance, stream, dominance)


def from_file(file: PairFile, dims: Mapping[str, int] | None, estimator: Estimator, report: Reporter) -> Material:
    """Make pairs of a file, or single latents, the material. DataError where a concept has no pairs."""
    if file.mask is None:
        held_out = held_out_rows(file)
    else:
        chosen = split_pairs(file, report)

    def stream(factors: Factors, plan: TranslatorPlan, seed: int) -> PairStream:
        held = _held_out_count(file.dim)
        if file.mask is None:
            return SingleRows(file.table, held_out, 2 * plan.batch_pairs, seed, 2 * held)
        return FixedPairs(*file.parts, file.mask, chosen, factors, plan.batch_pairs, seed, held)

    kind, count = ("latents", file.rows) if file.mask is None else ("pairs", file.rows // 2)
    _warn_of_few(f"{file.path} has {count} {kind}", count, file.dim, report)
    provenance = {
        "backbone": None,
        "data": {"name": str(file.path.resolve()), "root": None, "fingerprint": file.sha256},
    }
    relations, scores = file.relations, {} if dims else file.scores(estimator)
    dominance = check_dominance(file.table, np.arange(file.rows), report) if scores else None
    return Material(file.dim, file.rows, relations, scores, False, provenance, stream, dominance)


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


def _held_out_count(dim: int) -> int:
    return HELD_OUT_PAIRS if dim <= WIDE else HELD_OUT_PAIRS_WIDE


def _warn_of_few(what: str, rows: int, dim: int, report: Reporter) -> None:
    warning = few_rows(what, rows, dim)
    if warning is not None:
        report.warn(warning)
