"""Estimate the size of every factor: group → encode once → pair spectrum, and beside it the scores of Eq 11."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ..figures.scores import plot_dims
from ..interpretation.grouping import group
from ..interpretation.network import Network
from ..latents.dominance import Dominance, check_dominance
from ..metrics.bootstrap import Resampling
from ..plugin_api import ConceptProvider, Dataset
from ..progress import Reporter
from ..results import Result, Table
from ..translator.dims import Estimator, allocate, allocate_calibrated
from ..translator.factors import RESIDUAL
from ..translator.spectrum import PairSpectrum
from .evidence import RESAMPLES, SHUFFLES, Evidence, collect_evidence, curve_of
from .paired_latents import PairedLatents
from .scores import score_concepts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DimsResult", "estimate", "sample_size"]

# Images, at least, that sizes are estimated from where there are more, and images for each dimension of z.
SAMPLE, SAMPLE_PER_DIM = 5000, 4

# Leading directions in a table; JSON has more.
SHOWN = 16
# Of a band that is drawn, not tested.
SPECTRUM_RESAMPLES = 200


@dataclass(frozen=True)
class DimsResult(Result):
    """Sizes and what they come from; `factors` ends with the residual, whose score is 1.

    Attributes:
        factors: sizes by the pair spectrum, those of `iin fit-translator`.
        spectrum: of every concept: what its pairs explain of each direction of z.
        eq11: sizes by Eq 11, those of `iin fit-translator --preset paper`.
        scores: of the pairs that a fit draws.
        absent: the size Eq 11 would give each concept if its score were 0 and the others' unchanged.
        calibrated: sizes in proportion to a concept's score beyond that (`dims.allocate_calibrated`).
        evidence: of each concept, with the score over all pairs.
        images: training images it was estimated from, of the `available` ones.
        dominance: the few items that make much of the latents' variance, if there are any.
        out: where the plot and this result were written; None where they were not.
    """

    latent_dim: int
    factors: dict[str, int]
    scores: dict[str, float]
    relations: dict[str, str]
    estimator: str
    seed: int
    spectrum: PairSpectrum
    eq11: dict[str, int]
    absent: dict[str, int]
    calibrated: dict[str, int]
    evidence: dict[str, Evidence]
    images: int = 0
    available: int = 0
    dominance: Dominance | None = None
    out: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            **named,
            "spectrum": self.spectrum.as_dict(),
            "evidence": {name: found.as_dict() for name, found in self.evidence.items()},
            "dominance": self.dominance and self.dominance.as_dict(),
        }

    def facts(self) -> dict[str, Any]:
        """Return the single values in words."""
        found = {key: value for key, value in super().facts().items() if key not in ("images", "available")}
        return {**found, "estimated from": f"{self.images:,} of {self.available:,} training images"}

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per factor for a table."""
        none: dict[str, Any] = dict.fromkeys(("interval", "null", "z", "p", "verdict"))
        return [
            {
                "factor": name,
                "dims": size,
                "sigma": self.spectrum.sigmas[name],
                "eq11": self.eq11[name],
                "if_absent": self.absent.get(name),
                "calibrated": self.calibrated[name],
                "score": self.scores.get(name, 1.0),
                **(self.evidence[name].as_row() if name in self.evidence else none),
                "pairs": self.relations.get(name, "-"),
            }
            for name, size in self.factors.items()
        ]

    def tables(self) -> list[Table]:
        """Return (title, rows) of every table."""
        spectra = [
            {
                "concept": concept.name,
                "explained": " ".join(f"{value:.2f}" for value in concept.values[:SHOWN]),
                "held out": " ".join(f"{value:.2f}" for value in concept.held_out[:SHOWN]) or None,
                "absent": concept.edge,
                "dims": concept.size,
                "verdict": "found" if concept.found else "absent",
            }
            for concept in self.spectrum.concepts
        ]
        overlaps = [
            {"concepts": f"{each.first}, {each.second}", "overlap": each.part} for each in self.spectrum.overlaps
        ]
        return [
            ("factors", self.rows()),
            ("variance explained in each direction", spectra),
            *([("overlap of concepts", overlaps)] if overlaps else []),
        ]

    def plot(self) -> Figure:
        """Draw the spectrum of every concept and its score, each beside what chance would show."""
        return plot_dims(self.spectrum.concepts, curve_of(list(self.evidence.values())))


def estimate(
    network: Network,
    dataset: Dataset,
    providers: Sequence[ConceptProvider],
    estimator: Estimator,
    seed: int,
    report: Reporter,
    resampling: Resampling | None = None,
    most: int | None = None,
) -> DimsResult:
    """Size the concepts of `providers` in the latents of `network`; raises DataError as `grouping.group` does.

    Args:
        seed: of groups and pairs.
        resampling: of the evidence; None draws 500 resamples and 199 shuffles by `seed`.
        most: images at most, drawn by `seed`; None takes all.
    """
    items = group(network, dataset, providers, seed, report, most)
    table, pairs = items.table, items.pairs
    dominance = check_dominance(table, np.flatnonzero(~items.held_out), report)
    scores = score_concepts(table, pairs, seed, estimator)
    evidence = collect_evidence(table, pairs, estimator, resampling or Resampling(RESAMPLES, SHUFFLES, seed), report)
    latents = PairedLatents.of_groups(table, pairs, items.held_out, seed)
    spectrum = latents.spectrum(None, seed, SPECTRUM_RESAMPLES)
    return DimsResult(
        latent_dim=table.dim,
        factors=spectrum.sizes,
        spectrum=spectrum,
        eq11=allocate(scores, table.dim),
        scores={**scores, RESIDUAL: 1.0},
        relations={concept.name: concept.relation for concept in pairs},
        estimator=estimator,
        seed=seed,
        absent={name: allocate({**scores, name: 0.0}, table.dim)[name] for name in scores},
        calibrated=allocate_calibrated({name: found.excess for name, found in evidence.items()}, table.dim),
        evidence=evidence,
        images=len(items.images),
        available=len(dataset.splits["train"]),
        dominance=dominance,
    )


def sample_size(dim: int) -> int:
    """Return how many training images sizes of z (N = `dim`) are estimated from, where there are more."""
    return max(SAMPLE, SAMPLE_PER_DIM * dim)
