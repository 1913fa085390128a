"""The parts of an audit that look at z̃ itself: pair correlations, normality, likelihood, round trip."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...latents.pairs import step_generator
from ...metrics.bootstrap import bootstrap, mean_interval
from ...metrics.correlation import PairCorrelation
from ...metrics.gaussianity import MOST_ITEMS, covariance_error, energy_coefficient, mean_error
from ...progress import Task
from ...translator.feature_noise import FeatureNoise
from ...translator.likelihood import correlations, nll, pair_nll
from ...translator.round_trip import in_stds
from .findings import Findings
from .material import AuditMaterial, IndependentPairs

__all__ = ["correlation", "likelihood", "normality", "round_trip"]

NORMALITY = {"gaussianity": energy_coefficient, "mean_error": mean_error, "covariance_error": covariance_error}


def correlation(material: AuditMaterial, findings: Findings, task: Task) -> None:
    """Correlate the blocks of pairs: σ where T was told that the pairs share the factor, else 0."""
    factors = material.opened.factors
    blocks = [factors.slice(name) for name in factors.names]
    for concept in material.concepts:
        if concept.pairs is None:
            names = (f"correlation.{concept.name}", f"correlation_gap.{concept.name}")
            findings.skip(names, concept.reasons["pairs"])
            continue
        tilde_a, tilde_b = concept.pairs.tilde_a.numpy(), concept.pairs.tilde_b.numpy()
        pairs = PairCorrelation(tilde_a, tilde_b, findings.resampling)
        mask = factors.mask(concept.name)
        expected = [factor.sigma * shared for factor, shared in zip(factors, mask, strict=True)]
        for name, where, sigma in zip(factors.names, blocks, expected, strict=True):
            findings.add(f"correlation.{concept.name}.{name}", pairs.block(where), pairs.shuffled(where), sigma)
        findings.add(f"correlation_gap.{concept.name}", pairs.gap(blocks, expected))
        task.advance(0, concept=concept.name)


def normality(material: AuditMaterial, findings: Findings, task: Task) -> None:
    """Compare every block with N(0, I), on up to `MOST_ITEMS` items; of a stochastic encoder, on posterior means."""
    factors = material.opened.factors
    rows = material.items.z_tilde[:MOST_ITEMS].numpy()
    for factor in factors:
        block = rows[:, factors.slice(factor.name)]
        for name, figure in NORMALITY.items():
            null = figure.null(len(block), factor.dim, findings.resampling)
            findings.add(f"{name}.{factor.name}", figure(block, findings.resampling), null)
        task.advance(0, block=factor.name)


def likelihood(material: AuditMaterial, findings: Findings, task: Task) -> None:
    """Measure the pair likelihood of test pairs, noised as in the fit; the null puts other pairs' members together."""
    opened, resampling = material.opened, findings.resampling
    noise = opened.feature_noise(material.pool.z)
    nats = {}
    for number, concept in enumerate(material.concepts):
        if concept.pairs is None:
            findings.skip([f"heldout_nll.{concept.name}"], concept.reasons["pairs"])
            continue
        generator = step_generator(findings.seed, number, 0)
        rho = correlations(opened.factors, opened.factors.mask(concept.name))
        noised = _noised(concept.pairs, noise, float(rho[-1]), generator)
        a, b = (opened.transform_with_log_det(z) for z in noised)
        nats[concept.name] = 0.5 * pair_nll(*a, *b, rho).double().numpy()
        order = torch.from_numpy(generator.permutation(len(a[0])))
        null = 0.5 * pair_nll(*a, b[0][order], b[1][order], rho).double().numpy()
        found = mean_interval(nats[concept.name], resampling)
        findings.add(f"heldout_nll.{concept.name}", found, mean_interval(null, resampling))
    if nats:
        fewest = min(map(len, nats.values()))
        together = np.stack([value[:fewest] for value in nats.values()], 1)
        findings.add("heldout_nll", mean_interval(together, resampling))
    elif not material.concepts:
        single = nll(*opened.transform_with_log_det(material.items.z)).double().numpy()
        findings.add("heldout_nll", mean_interval(single, resampling))
    else:
        findings.skip(["heldout_nll"], "no concept has test pairs")


def round_trip(material: AuditMaterial, findings: Findings, task: Task) -> None:
    """Go through T and back: the greatest error in stds, and of a classifier whether the top class stays."""
    items, network = material.items, material.pool.network
    back = material.opened.inverse_transform(items.z_tilde)
    error = in_stds((back - items.z).abs(), items.z).amax(1).numpy()
    greatest = bootstrap(lambda chosen: float(error[chosen].max()), len(error), findings.resampling)
    findings.add("round_trip_error", greatest)
    if not network.answer.names:
        findings.skip(["no_op_agreement"], f"{network.name} {network.answer.verb} and names no class")
        return
    same = network.answer.agreement(network.answers(items.z), network.answers(back))
    if same is not None:
        findings.add("no_op_agreement", mean_interval(same, findings.resampling))


def _noised(
    pairs: IndependentPairs, noise: FeatureNoise, alike: float, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Sample the posteriors, and add feature noise, as alike in both members as the residuals of such pairs are."""
    a, b = pairs.z_a, pairs.z_b
    if pairs.std_a is not None and pairs.std_b is not None:
        a, b = (
            mean + std * torch.from_numpy(generator.standard_normal(tuple(mean.shape), "float32"))
            for mean, std in ((a, pairs.std_a), (b, pairs.std_b))
        )
    return noise.add_to_pairs(a, b, alike, generator)
