"""The parts of an audit on latents whose factors are known, through a translator that changes nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from iin_cli.interpretation.answers import Classes
from iin_cli.interpretation.open_translator import OpenTranslator
from iin_cli.interpretation.reading import Reading
from iin_cli.measures.audit import parts
from iin_cli.measures.audit.findings import Findings
from iin_cli.measures.audit.material import AuditedConcept, AuditMaterial, IndependentPairs, Known
from iin_cli.measures.audit.probes import informativeness
from iin_cli.measures.audit.swaps import swaps
from iin_cli.metrics.bootstrap import Resampling
from iin_cli.metrics.informativeness import Target
from iin_cli.plugin_api import Dataset, Labels
from iin_cli.progress import Silent
from iin_cli.translator.factors import Factors

FACTORS = Factors.of({"digit": 3, "color": 2, "residual": 3}, {"digit": 0.9, "color": 0.6})
COUNT = 300
QUICK = Resampling(100, 50)


class Identity(torch.nn.Module):
    def forward(self, z):
        return z, z.new_zeros(len(z))

    def inverse(self, z_tilde):
        return z_tilde


class FirstThree:
    """A classifier that reads the class off the first three dimensions."""

    name, answer = "first", Classes(("a", "b", "c"))

    def answers(self, z, report=None):
        return self.answer.of(z[:, :3])


class MadeDataset(Dataset):
    """Items without images."""

    name, fingerprint = "made", "0"

    def __init__(self, labels):
        self.labels, self.sources = labels, np.arange(COUNT)

    def images(self, indices, size, interpolation="bicubic"):
        raise NotImplementedError


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pairs_of(concept, seed=1):
    rho = torch.cat([torch.full((f.dim,), f.sigma * m) for f, m in zip(FACTORS, FACTORS.mask(concept), strict=True)])
    a = normal(2000, 8, seed=seed)
    b = rho * a + (1 - rho**2).sqrt() * normal(2000, 8, seed=seed + 1)
    return IndependentPairs(a, b, None, None, a, b)


@pytest.fixture
def task():
    with Silent().task("", None) as task:
        yield task


@pytest.fixture
def concepts():
    z = normal(COUNT, 8)
    known = Known(Target(z[:, :3].argmax(1).numpy()), np.arange(COUNT), z)
    color = Known(Target(z[:, 3:5].double().numpy()), np.arange(COUNT), z)
    return [
        AuditedConcept("digit", "share", pairs_of("digit"), known, {}),
        AuditedConcept("color", "share", pairs_of("color", 3), color, {}),
    ]


@pytest.fixture
def material(concepts):
    z = normal(COUNT, 8)
    labels = {"digit": Labels(z[:, :3].argmax(1).numpy(), ("a", "b", "c"))}
    dataset = MadeDataset(labels)
    opened = OpenTranslator(Path("t"), Identity(), FACTORS, {}, FirstThree(), torch.device("cpu"))
    pool = Reading(opened, opened.network, dataset, np.arange(COUNT), z, z)
    return AuditMaterial(pool, pool, concepts)


def value(findings, name):
    return findings.figures[name].interval.value


def test_pair_correlations_are_what_the_pairs_were_drawn_with(material, task):
    findings = Findings(QUICK)
    parts.correlation(material, findings, task)
    for concept, own in (("digit", 0.9), ("color", 0.6)):
        for factor in FACTORS.names:
            figure = findings.figures[f"correlation.{concept}.{factor}"]
            assert figure.expected == pytest.approx(own if factor == concept else 0)
            assert figure.interval.value == pytest.approx(figure.expected, abs=0.05)
            assert abs(figure.null.value) < 0.02
        assert value(findings, f"correlation_gap.{concept}") < 0.05


def test_the_likelihood_is_the_entropy_of_what_the_pairs_were_drawn_from(material, task):
    findings = Findings(QUICK)
    parts.likelihood(material, findings, task)
    for concept, sigma, dim in (("digit", 0.9, 3), ("color", 0.6, 2)):
        entropy = 0.5 * 8 * np.log(2 * np.pi * np.e) + 0.25 * dim * np.log(1 - sigma**2)
        figure = findings.figures[f"heldout_nll.{concept}"]
        assert figure.interval.low < entropy < figure.interval.high
        assert figure.null.low > figure.interval.high
    parts.likelihood(replace(material, concepts=[]), alone := Findings(QUICK), task)
    assert value(alone, "heldout_nll") == pytest.approx(0.5 * 8 * np.log(2 * np.pi * np.e), abs=0.5)


def test_blocks_tell_of_their_own_concepts_only(material, task):
    findings = Findings(QUICK)
    informativeness(material, findings, task)
    assert value(findings, "information.digit") > 0.5
    assert value(findings, "information.color") > 0.85
    for name in ("leakage.digit", "leakage.digit.color", "leakage.color", "leakage.color.digit"):
        assert value(findings, name) < 0.06, name
    assert value(findings, "mig.color") > 0.8
    assert value(findings, "dci.disentanglement") > 0.8
    assert value(findings, "dci.completeness") > 0.8
    assert 0 < value(findings, "dci.informativeness") <= 1
    assert findings.figures["information.digit"].null.value < 0.06


def test_one_known_concept_has_no_disentanglement_and_none_no_dci(material, task):
    unknown = AuditedConcept("color", "share", None, None, {"pairs": "no colours", "known": "no colours"})
    none, findings = replace(material, concepts=[unknown]), Findings(QUICK)
    informativeness(replace(material, concepts=[material.concepts[0], unknown]), findings, task)
    parts.correlation(none, findings, task)
    parts.likelihood(none, findings, task)
    assert findings.skipped["leakage.color"] == "no colours"
    assert findings.skipped["correlation.color"] == "no colours"
    assert "only known concept" in findings.skipped["dci.disentanglement"]
    assert {"dci.completeness", "mig.digit"} <= set(findings.figures)
    informativeness(none, nothing := Findings(QUICK), task)
    assert "dci.completeness" in nothing.skipped


def test_normal_blocks_are_normal_and_nothing_is_lost_on_the_way(material, task):
    findings = Findings(QUICK)
    parts.normality(material, findings, task)
    parts.round_trip(material, findings, task)
    for factor in FACTORS.names:
        assert abs(value(findings, f"gaussianity.{factor}")) < 0.02
        assert f"covariance_error.{factor}" in findings.figures
    assert value(findings, "round_trip_error") == 0
    assert value(findings, "no_op_agreement") == 1


def test_swapping_the_block_a_classifier_reads_swaps_its_class_and_no_other_block_does(material, task):
    findings = Findings(QUICK)
    swaps([])(material, findings, task)
    transfer = findings.figures["transfer.digit"]
    assert transfer.interval.value == 1
    assert transfer.null.value < 0.6
    assert value(findings, "preservation.digit.color") == 1
    assert value(findings, "preservation.digit") == 1
    assert value(findings, "reconstruction.digit") == 1
    assert "predicts no color" in findings.skipped["transfer.color"]


def test_a_factor_in_the_wrong_place_is_seen(material, task):
    wrong = Factors.of({"color": 3, "digit": 2, "residual": 3}, {"digit": 0.9, "color": 0.6})
    opened = replace(material.opened, factors=wrong)
    pool = replace(material.pool, opened=opened)
    material, findings = AuditMaterial(pool, pool, material.concepts), Findings(QUICK)
    swaps([])(material, findings, task)
    assert value(findings, "transfer.digit") == 0
    assert value(findings, "preservation.digit.color") == 0
    parts.correlation(material, findings, task)
    assert value(findings, "correlation.digit.digit") < 0.1
    assert value(findings, "correlation_gap.digit") > 0.8


@pytest.mark.parametrize("part", [parts.likelihood, parts.correlation, parts.normality, parts.round_trip])
def test_another_seed_is_another_interval_of_every_figure(material, task, part):
    found = [Findings(Resampling(20, 5, seed)) for seed in (0, 1)]
    for findings in found:
        part(material, findings, task)
    first, second = (findings.figures for findings in found)
    for name, figure in first.items():
        # No image is lost, whichever are drawn.
        if (figure.interval.low, figure.interval.high) not in ((0, 0), (1, 1)):
            assert figure.interval != second[name].interval, name
