"""The parts of an audit that look at z̃ itself: pair correlations, probes of every block, normality, likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...interpretation.pieces import in_pieces
from ...latents.pairs import step_generator
from ...metrics.bootstrap import Interval, bootstrap, mean_interval
from ...metrics.correlation import PairCorrelation
from ...metrics.gaussianity import MOST_ITEMS, covariance_error, energy_coefficient, mean_error
from ...metrics.informativeness import Evidence, completeness, disentanglement, gap, probe
from ...progress import Task
from ...translator.factors import RESIDUAL
from ...translator.feature_noise import FeatureNoise
from ...translator.likelihood import correlations, nll, pair_nll
from .material import Concept, Pairs, Subject

__all__ = ["Figure", "Findings", "correlation", "informativeness", "likelihood", "normality", "round_trip"]


@dataclass(frozen=True)
class Figure:
    """A figure with its interval, what it is without any structure (`null`), and what T was fitted to (`expected`)."""

    interval: Interval
    null: Interval | None = None
    expected: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the figure as JSON values: value, low, high, items, and null and expected where there are such."""
        values: dict[str, Any] = self.interval.as_dict()
        if self.null is not None:
            values["null"] = self.null.as_dict()
        if self.expected is not None:
            values["expected"] = self.expected
        return values


@dataclass
class Findings:
    """What was found so far: figures by name, and why others are missing (`skipped`: name, or its beginning)."""

    seed: int
    figures: dict[str, Figure] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, interval: Interval, null: Interval | None = None, expected: float | None = None) -> None:
        """Keep a figure."""
        self.figures[name] = Figure(interval, null, expected)

    def skip(self, names: Sequence[str], reason: str) -> None:
        """Keep why there are no such figures."""
        self.skipped.update(dict.fromkeys(names, reason))


def correlation(subject: Subject, concepts: Sequence[Concept], findings: Findings, task: Task) -> None:
    """Correlate the blocks of pairs: σ where T was told that the pairs share the factor, else 0."""
    factors = subject.pool.opened.factors
    blocks = [factors.slice(name) for name in factors.names]
    for concept in concepts:
        if concept.pairs is None:
            names = (f"correlation.{concept.name}", f"correlation_gap.{concept.name}")
            findings.skip(names, concept.reasons["pairs"])
            continue
        pairs = PairCorrelation(concept.pairs.tilde_a.numpy(), concept.pairs.tilde_b.numpy())
        mask = factors.mask(concept.name)
        expected = [factor.sigma * shared for factor, shared in zip(factors, mask, strict=True)]
        for name, where, sigma in zip(factors.names, blocks, expected, strict=True):
            found = pairs.block(where, findings.seed)
            findings.add(f"correlation.{concept.name}.{name}", found, pairs.shuffled(where, findings.seed), sigma)
        findings.add(f"correlation_gap.{concept.name}", pairs.gap(blocks, expected, findings.seed))
        task.advance(0, concept=concept.name)


def informativeness(subject: Subject, concepts: Sequence[Concept], findings: Findings, task: Task) -> None:
    """Probe every block, and all of z̃, for every concept that is known: leakage, DCI and MIG."""
    factors = subject.pool.opened.factors
    aligned = {}
    for concept in concepts:
        if concept.known is None:
            parts = ("information", "leakage", "informativeness", "mig")
            findings.skip([f"{part}.{concept.name}" for part in parts], concept.reasons["known"])
            continue
        known, z_tilde = concept.known, concept.known.z_tilde.numpy()
        evidence = {}
        for name in factors.names:
            block = z_tilde[:, factors.slice(name)]
            evidence[name] = probe(block, known.target, findings.seed)
            null = probe(block, known.target.shuffled(findings.seed), findings.seed)
            _add_information(findings, concept.name, name, evidence[name], null)
            task.advance(0, concept=concept.name, block=name)
        whole = probe(z_tilde, known.target, findings.seed)
        findings.add(f"informativeness.{concept.name}", bootstrap(whole.score, len(known.items), findings.seed))
        own = list(evidence.values())
        findings.add(
            f"mig.{concept.name}",
            bootstrap(
                lambda chosen, own=own: gap(np.array([block.information(chosen) for block in own])),
                len(known.items),
                findings.seed,
            ),
        )
        aligned[concept.name] = (known.items, own, whole)
    _add_dci(findings, aligned, len(subject.chosen))


def _add_information(findings: Findings, concept: str, block: str, found: Evidence, null: Evidence) -> None:
    if block == concept:
        name = f"information.{concept}"
    else:
        name = f"leakage.{concept}" if block == RESIDUAL else f"leakage.{concept}.{block}"
    count = len(found.loss)
    findings.add(
        name, bootstrap(found.information, count, findings.seed), bootstrap(null.information, count, findings.seed)
    )


def _add_dci(findings: Findings, aligned: dict[str, tuple[np.ndarray, list[Evidence], Evidence]], count: int) -> None:
    """Add DCI of R (blocks, concepts), the information of each block on each concept, resampling items."""
    names = ("dci.disentanglement", "dci.completeness", "dci.informativeness")
    if not aligned:
        findings.skip(names, "no concept is known")
        return
    # A concept may be known of some of the items only.
    rows = []
    for items, _, _ in aligned.values():
        row = np.full(count, -1)
        row[items] = np.arange(len(items))
        rows.append(row)

    def importance(chosen: np.ndarray) -> np.ndarray:
        columns = [
            [block.information(row[chosen][row[chosen] >= 0]) for block in blocks]
            for row, (_, blocks, _) in zip(rows, aligned.values(), strict=True)
        ]
        return np.array(columns).T

    def whole(chosen: np.ndarray) -> float:
        parts = zip(rows, aligned.values(), strict=True)
        return float(np.mean([all_.score(row[chosen][row[chosen] >= 0]) for row, (_, _, all_) in parts]))

    for name, statistic in zip(
        names,
        (lambda chosen: disentanglement(importance(chosen)), lambda chosen: completeness(importance(chosen)), whole),
        strict=True,
    ):
        if name == names[0] and len(aligned) < 2:
            findings.skip([name], f"{next(iter(aligned))} is the only known concept; disentanglement compares two")
            continue
        try:
            findings.add(name, bootstrap(statistic, count, findings.seed))
        except DataError as error:
            findings.skip([name], f"{error}: no block tells of any concept")


def normality(subject: Subject, concepts: Sequence[Concept], findings: Findings, task: Task) -> None:
    """Compare every block with N(0, I), on up to `MOST_ITEMS` items; of a stochastic encoder, on posterior means."""
    factors = subject.pool.opened.factors
    rows = subject.z_tilde[:MOST_ITEMS].numpy()
    figures = {
        "gaussianity": energy_coefficient,
        "mean_error": mean_error,
        "covariance_error": covariance_error,
    }
    for factor in factors:
        block = rows[:, factors.slice(factor.name)]
        for name, figure in figures.items():
            null = figure.null(len(block), factor.dim, findings.seed)
            findings.add(f"{name}.{factor.name}", figure(block, findings.seed), null)
        task.advance(0, block=factor.name)


def likelihood(subject: Subject, concepts: Sequence[Concept], findings: Findings, task: Task) -> None:
    """Measure the pair likelihood of test pairs, noised as in the fit; the null puts other pairs' members together."""
    opened = subject.pool.opened
    noise = opened.feature_noise(subject.pool.z)
    nats = {}
    for number, concept in enumerate(concepts):
        if concept.pairs is None:
            findings.skip([f"heldout_nll.{concept.name}"], concept.reasons["pairs"])
            continue
        generator = step_generator(findings.seed, number, 0)
        rho = correlations(opened.factors, opened.factors.mask(concept.name))
        a, b = (_translated(subject, z) for z in _noised(concept.pairs, noise, float(rho[-1]), generator))
        nats[concept.name] = 0.5 * pair_nll(*a, *b, rho).double().numpy()
        order = torch.from_numpy(generator.permutation(len(a[0])))
        null = 0.5 * pair_nll(*a, b[0][order], b[1][order], rho).double().numpy()
        findings.add(
            f"heldout_nll.{concept.name}",
            mean_interval(nats[concept.name], findings.seed),
            mean_interval(null, findings.seed),
        )
    if nats:
        fewest = min(map(len, nats.values()))
        findings.add("heldout_nll", mean_interval(np.stack([value[:fewest] for value in nats.values()], 1)))
    elif not concepts:
        single = nll(*_translated(subject, subject.z)).double().numpy()
        findings.add("heldout_nll", mean_interval(single, findings.seed))
    else:
        findings.skip(["heldout_nll"], "no concept has test pairs")


def _noised(pairs: Pairs, noise: FeatureNoise, alike: float, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Sample the posteriors, and add feature noise, as alike in both members as the residuals of such pairs are."""
    a, b = pairs.z_a, pairs.z_b
    if pairs.std_a is not None and pairs.std_b is not None:
        a, b = (
            mean + std * torch.from_numpy(generator.standard_normal(tuple(mean.shape), "float32"))
            for mean, std in ((a, pairs.std_a), (b, pairs.std_b))
        )
    return noise.add_to_pairs(a, b, alike, generator)


def _translated(subject: Subject, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return T(z) (B, N) and log|T'| (B,), in pieces, on the CPU."""
    opened = subject.pool.opened

    def both(rows: Tensor) -> Tensor:
        z_tilde, log_det = opened.translator(rows)
        return torch.cat((z_tilde, log_det[:, None]), dim=1)

    found = torch.cat(list(in_pieces(len(z), z.__getitem__, both, opened.device)))
    return found[:, :-1], found[:, -1]


def round_trip(subject: Subject, concepts: Sequence[Concept], findings: Findings, task: Task) -> None:
    """Go through T and back: the greatest error, and of a classifier whether the top class stays."""
    opened = subject.pool.opened
    back = opened.inverse_transform(subject.z_tilde)
    error = (back - subject.z).abs().amax(1).numpy()
    findings.add("round_trip_error", bootstrap(lambda chosen: float(error[chosen].max()), len(error), findings.seed))
    if opened.backbone.classes is None:
        findings.skip(["no_op_agreement"], f"{opened.backbone.name} draws images and names no class")
        return
    before, after = (opened.network.answers(z).argmax(1) for z in (subject.z, back))
    findings.add("no_op_agreement", mean_interval((before == after).numpy(), findings.seed))
