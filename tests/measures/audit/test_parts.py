"""The parts of an audit on latents whose factors are known, through a translator that changes nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from iin_cli.measures.audit import parts as parts
from iin_cli.measures.audit.material import Concept, Known, Pairs, Subject
from iin_cli.measures.audit.parts import Findings
from iin_cli.measures.audit.swaps import swaps
from iin_cli.metrics.informativeness import Target
from iin_cli.plugin_api import Labels
from iin_cli.progress import Silent
from iin_cli.translator.factors import Factors

FACTORS = Factors.of({"digit": 3, "color": 2, "residual": 3}, {"digit": 0.9, "color": 0.6})
COUNT = 300


class Identity(torch.nn.Module):
    def forward(self, z):
        return z, z.new_zeros(len(z))

    def inverse(self, z_tilde):
        return z_tilde


class FirstThree(torch.nn.Module):
    """A classifier that reads the class off the first three dimensions."""

    name, classes = "first", ("a", "b", "c")

    def decode(self, z):
        return z[:, :3]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pairs_of(concept, seed=1):
    rho = torch.cat([torch.full((f.dim,), f.sigma * m) for f, m in zip(FACTORS, FACTORS.mask(concept), strict=True)])
    a = normal(2000, 8, seed=seed)
    b = rho * a + (1 - rho**2).sqrt() * normal(2000, 8, seed=seed + 1)
    return Pairs(a, b, None, None, a, b)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("iin_cli.metrics.informativeness.TREES", 20)
    monkeypatch.setattr("iin_cli.metrics.bootstrap.bootstrap.__defaults__", (0, 100))


@pytest.fixture
def task():
    with Silent().task("", None) as task:
        yield task


@pytest.fixture
def subject():
    z = normal(COUNT, 8)
    digits = z[:, :3].argmax(1).numpy()
    dataset = SimpleNamespace(name="made", labels={"digit": Labels(digits, ("a", "b", "c"))}, sources=np.arange(COUNT))
    opened = SimpleNamespace(
        translator=Identity(), factors=FACTORS, backbone=FirstThree(), device=torch.device("cpu"), metadata={}
    )
    pool = SimpleNamespace(opened=opened, dataset=dataset, items=np.arange(COUNT), z=z, z_tilde=z)
    return Subject(pool, np.arange(COUNT))


@pytest.fixture
def concepts(subject):
    known = Known(Target(subject.pool.dataset.labels["digit"].values), np.arange(COUNT), subject.z_tilde)
    color = Known(Target(subject.z[:, 3:5].double().numpy()), np.arange(COUNT), subject.z_tilde)
    return [
        Concept("digit", "share", pairs_of("digit"), known, None, {}),
        Concept("color", "share", pairs_of("color", 3), color, None, {}),
    ]


def value(findings, name):
    return findings.figures[name].interval.value


def test_pair_correlations_are_what_the_pairs_were_drawn_with(subject, concepts, task):
    findings = Findings(0)
    parts.correlation(subject, concepts, findings, task)
    for concept, own in (("digit", 0.9), ("color", 0.6)):
        for factor in FACTORS.names:
            figure = findings.figures[f"correlation.{concept}.{factor}"]
            assert figure.expected == pytest.approx(own if factor == concept else 0)
            assert figure.interval.value == pytest.approx(figure.expected, abs=0.05)
            assert abs(figure.null.value) < 0.02
        assert value(findings, f"correlation_gap.{concept}") < 0.05


def test_the_likelihood_is_the_entropy_of_what_the_pairs_were_drawn_from(subject, concepts, task):
    findings = Findings(0)
    parts.likelihood(subject, concepts, findings, task)
    for concept, sigma, dim in (("digit", 0.9, 3), ("color", 0.6, 2)):
        entropy = 0.5 * 8 * np.log(2 * np.pi * np.e) + 0.25 * dim * np.log(1 - sigma**2)
        figure = findings.figures[f"heldout_nll.{concept}"]
        assert figure.interval.low < entropy < figure.interval.high
        assert figure.null.low > figure.interval.high
    parts.likelihood(subject, [], alone := Findings(0), task)
    assert value(alone, "heldout_nll") == pytest.approx(0.5 * 8 * np.log(2 * np.pi * np.e), abs=0.5)


def test_blocks_tell_of_their_own_concepts_only(subject, concepts, task):
    findings = Findings(0)
    parts.informativeness(subject, concepts, findings, task)
    assert value(findings, "information.digit") > 0.5
    assert value(findings, "information.color") > 0.85
    for name in ("leakage.digit", "leakage.digit.color", "leakage.color", "leakage.color.digit"):
        assert value(findings, name) < 0.06, name
    assert value(findings, "mig.color") > 0.8
    assert value(findings, "dci.disentanglement") > 0.8
    assert value(findings, "dci.completeness") > 0.8
    assert 0 < value(findings, "dci.informativeness") <= 1
    assert findings.figures["information.digit"].null.value < 0.06


def test_one_known_concept_has_no_disentanglement_and_none_no_dci(subject, concepts, task):
    unknown = Concept("color", "share", None, None, None, {"pairs": "no colours", "known": "no colours"})
    findings = Findings(0)
    parts.informativeness(subject, [concepts[0], unknown], findings, task)
    parts.correlation(subject, [unknown], findings, task)
    parts.likelihood(subject, [unknown], findings, task)
    assert findings.skipped["leakage.color"] == "no colours"
    assert findings.skipped["correlation.color"] == "no colours"
    assert "only known concept" in findings.skipped["dci.disentanglement"]
    assert {"dci.completeness", "mig.digit"} <= set(findings.figures)
    parts.informativeness(subject, [unknown], nothing := Findings(0), task)
    assert "dci.completeness" in nothing.skipped


def test_normal_blocks_are_normal_and_nothing_is_lost_on_the_way(subject, concepts, task):
    findings = Findings(0)
    parts.normality(subject, concepts, findings, task)
    parts.round_trip(subject, concepts, findings, task)
    for factor in FACTORS.names:
        assert abs(value(findings, f"gaussianity.{factor}")) < 0.02
        assert f"covariance_error.{factor}" in findings.figures
    assert value(findings, "round_trip_error") == 0
    assert value(findings, "no_op_agreement") == 1


def test_swapping_the_block_a_classifier_reads_swaps_its_class_and_no_other_block_does(subject, concepts, task):
    findings = Findings(0)
    swaps([])(subject, concepts, findings, task)
    transfer = findings.figures["transfer.digit"]
    assert transfer.interval.value == 1
    assert transfer.null.value < 0.6
    assert value(findings, "preservation.digit.color") == 1
    assert value(findings, "preservation.digit") == 1
    assert value(findings, "reconstruction.digit") == 1
    assert "predicts no color" in findings.skipped["transfer.color"]


def test_a_factor_in_the_wrong_place_is_seen(subject, concepts, task):
    wrong = Factors.of({"color": 3, "digit": 2, "residual": 3}, {"digit": 0.9, "color": 0.6})
    subject.pool.opened.factors = wrong
    findings = Findings(0)
    swaps([])(subject, concepts, findings, task)
    assert value(findings, "transfer.digit") == 0
    assert value(findings, "preservation.digit.color") == 0
    parts.correlation(subject, concepts, findings, task)
    assert value(findings, "correlation.digit.digit") < 0.1
    assert value(findings, "correlation_gap.digit") > 0.8
