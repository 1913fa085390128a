"""Estimate the size of every factor (Eq 11): find → open → group → encode once → score → allocate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..distributed import choose_device, draw_seed
from ..progress import Reporter, Silent
from ..translator.dims import allocate
from ..translator.factors import RESIDUAL
from .grouping import as_estimator, find_providers, group, score_concepts
from .opening import open_backbone, open_data

__all__ = ["DimsResult", "estimate_dims"]


@dataclass(frozen=True)
class DimsResult:
    """Sizes and the scores they come from; `factors` ends with the residual, whose score is 1."""

    latent_dim: int
    factors: dict[str, int]
    scores: dict[str, float]
    relations: dict[str, str]
    estimator: str
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per factor for a table."""
        return [
            {
                "factor": name,
                "dims": size,
                "score": self.scores.get(name, 1.0),
                "pairs": self.relations.get(name, "-"),
            }
            for name, size in self.factors.items()
        ]


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
    opened = open_backbone(backbone, where, weights, layer)
    dataset = open_data(data, opened.data, data_root, report)
    table, pairs, _ = group(opened, dataset, providers, seed, where, report)
    scores = score_concepts(table, pairs, seed, kind)
    relations: dict[str, str] = {concept.name: concept.relation for concept in pairs}
    factors = allocate(scores, table.dim)
    return DimsResult(table.dim, factors, {**scores, RESIDUAL: 1.0}, relations, estimator, seed)
