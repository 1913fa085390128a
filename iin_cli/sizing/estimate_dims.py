"""Estimate the size of every factor (Eq 11): find → open → group → encode once → score → weigh → allocate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..distributed import choose_device, draw_seed
from ..interpretation.grouping import find_providers, group
from ..interpretation.network import Network
from ..interpretation.opening import open_network
from ..latents.dominance import Dominance, check_dominance
from ..plugin_api import ConceptProvider, Dataset
from ..progress import Reporter, Silent
from ..translator.dims import Estimator, allocate, allocate_calibrated, as_estimator
from ..translator.factors import RESIDUAL
from .evidence import Evidence, collect_evidence
from .scores import score_concepts

__all__ = ["DimsResult", "estimate", "estimate_dims"]


@dataclass(frozen=True)
class DimsResult:
    """Sizes and the scores they come from; `factors` ends with the residual, whose score is 1.

    Attributes:
        factors: sizes by Eq 11, those of `iin fit-translator`.
        scores: of the pairs that a fit draws.
        absent: what Eq 11 would give each concept if its score were 0, the others' as they are.
        calibrated: sizes in proportion to what a concept scores beyond that (`dims.allocate_calibrated`).
        evidence: of each concept, with the score over all pairs.
        dominance: the few items that make much of the latents' variance, if there are any.
    """

    latent_dim: int
    factors: dict[str, int]
    scores: dict[str, float]
    relations: dict[str, str]
    estimator: str
    seed: int
    absent: dict[str, int]
    calibrated: dict[str, int]
    evidence: dict[str, Evidence]
    dominance: Dominance | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        evidence = {name: evidence.as_dict() for name, evidence in self.evidence.items()}
        return {**vars(self), "evidence": evidence, "dominance": self.dominance and self.dominance.as_dict()}

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per factor for a table."""
        none = dict.fromkeys(("interval", "null", "z", "p", "verdict"))
        return [
            {
                "factor": name,
                "dims": size,
                "if_absent": self.absent.get(name),
                "calibrated": self.calibrated[name],
                "score": self.scores.get(name, 1.0),
                **(self.evidence[name].as_row() if name in self.evidence else none),
                "pairs": self.relations.get(name, "-"),
            }
            for name, size in self.factors.items()
        ]

    def tables(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return (title, rows) of every table."""
        return [("factors", self.rows())]


def estimate_dims(
    backbone: str,
    concepts: Sequence[str],
    *,
    data: str | None = None,
    data_root: Path | None = None,
    estimator: str = "variance",
    weights: str = "default",
    layer: str | None = None,
    seed: int | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> DimsResult:
    """Score `concepts` on pairs of training items of `data` and share the latent's dimensions out among them.

    Raises UsageError, DataError and CheckpointError as what it calls does.
    """
    report = report or Silent()
    kind = as_estimator(estimator)
    where, seed = choose_device(device), draw_seed(seed)
    providers = find_providers(concepts)
    opened = open_network(backbone, where, weights, layer)
    dataset = open_data(data, opened.data, data_root, report)
    return estimate(opened, dataset, providers, kind, seed, where, report)


def estimate(
    opened: Network,
    dataset: Dataset,
    providers: Sequence[ConceptProvider],
    estimator: Estimator,
    seed: int,
    device: torch.device,
    report: Reporter,
) -> DimsResult:
    """Score the concepts of `providers` in the latents of `opened`; raises DataError as `grouping.group` does."""
    table, pairs, held_out = group(opened, dataset, providers, seed, device, report)
    dominance = check_dominance(table, np.flatnonzero(~held_out), report)
    scores = score_concepts(table, pairs, seed, estimator)
    factors = allocate(scores, table.dim)
    evidence = collect_evidence(table, pairs, seed, estimator, report)
    absent = {name: allocate({**scores, name: 0.0}, table.dim)[name] for name in scores}
    calibrated = allocate_calibrated({name: found.excess for name, found in evidence.items()}, table.dim)
    relations: dict[str, str] = {concept.name: concept.relation for concept in pairs}
    scores = {**scores, RESIDUAL: 1.0}
    return DimsResult(table.dim, factors, scores, relations, estimator, seed, absent, calibrated, evidence, dominance)
