"""Sizes from pairs: sum to N, follow the scores, the same for one seed."""

import math

import numpy as np
import pytest
import torch

from iin_cli.concepts.variants import VariantConcept, group_variants
from iin_cli.data import open_dataset
from iin_cli.interpretation.grouping import find_providers, group
from iin_cli.interpretation.opening import open_network
from iin_cli.latents.table import LatentTable
from iin_cli.plugin_api import ConceptProvider, Groups
from iin_cli.progress import Silent
from iin_cli.sizing.estimate import estimate as estimate_of
from iin_cli.translator.dims import allocate, allocate_calibrated

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def estimate(files, pictures):
    def run(*concepts, estimator="variance", seed=0, report=None):
        network, dataset = open_network(str(files.autoencoder)), open_dataset(str(pictures))
        return estimate_of(network, dataset, find_providers(concepts), estimator, seed, report or Silent())

    return run


@pytest.mark.parametrize("estimator", ["variance", "correlation"])
def test_sizes_follow_the_scores(estimate, estimator):
    result = estimate("class", "color", estimator=estimator)
    assert result.latent_dim == 8
    assert list(result.factors) == ["class", "color", "residual"]
    assert sum(result.factors.values()) == 8
    assert result.scores["residual"] == 1
    total = sum(math.exp(value) for value in result.scores.values())
    for name in ("class", "color"):
        # What the image shows is in its latent, even of an untrained network.
        assert 0.05 < result.scores[name] < 1
        assert result.eq11[name] == max(1, math.floor(math.exp(result.scores[name]) / total * 8))
    assert result.factors == result.spectrum.sizes


def test_a_differ_concept_scores_what_changes(estimate):
    result = estimate("greyscale")
    assert result.relations == {"greyscale": "differ"}
    assert 0 < result.scores["greyscale"] < 1
    assert [row["pairs"] for row in result.rows()] == ["differ", "-"]


def test_every_concept_has_evidence_and_sizes_without_it(estimate):
    result = estimate("class", "color", "greyscale")
    scores = {name: score for name, score in result.scores.items() if name != "residual"}
    assert list(scores) == ["class", "color", "greyscale"]
    for name in scores:
        found = result.evidence[name]
        assert found.verdict == "found"
        # The pairs drawn are of the same items.
        assert found.score.value == pytest.approx(result.scores[name], abs=0.05)
        assert result.absent[name] == allocate({**scores, name: 0.0}, 8)[name] <= result.factors[name]
    excess = {name: found.excess for name, found in result.evidence.items()}
    assert result.calibrated == allocate_calibrated(excess, 8)
    assert sum(result.calibrated.values()) == 8
    row = result.rows()[0]
    assert (row["if_absent"], row["calibrated"], row["verdict"]) == (
        result.absent["class"],
        result.calibrated["class"],
        "found",
    )
    assert set(map(tuple, result.rows())) == {tuple(row)}


def test_what_is_not_there_is_said_to_be_not(files, pictures):
    class Dice(ConceptProvider):
        concept, relation = "dice", "share"

        def groups(self, dataset, indices, seed):
            return Groups(
                indices, np.zeros(len(indices), np.int64), np.random.default_rng(0).integers(0, 4, len(indices))
            )

    class Nothing(VariantConcept):
        concept, variants, fingerprint = "nothing", 1, "nothing"

        def groups(self, dataset, indices, seed):
            return group_variants(self.concept, dataset, indices, 1)

        def render(self, images, variant):
            return images

    opened = open_network(str(files.autoencoder))
    dataset = open_dataset(str(pictures))
    result = estimate_of(opened, dataset, [Dice(), Nothing()], "variance", 0, Silent())
    for name in ("dice", "nothing"):
        assert result.evidence[name].verdict == "not distinguishable from none"
        assert result.calibrated[name] == 1
        assert result.absent[name] > 0
    assert result.scores["nothing"] == pytest.approx(0, abs=1e-6)


def test_an_item_that_makes_the_variance_is_named(heard, estimate, files, pictures, monkeypatch):
    clean = estimate("class", report=heard)
    assert (clean.dominance, clean.as_dict()["dominance"], heard.warnings) == (None, None, [])
    mean = LatentTable.mean
    train = open_dataset(str(pictures)).splits["train"]
    opened = open_network(str(files.autoencoder))
    held_out = group(opened, open_dataset(str(pictures)), [], 0, Silent()).held_out
    odd, unused = np.flatnonzero(~held_out)[20], np.flatnonzero(held_out)[0]

    def stretched(number):
        return lambda table, rows: mean(table, rows) * torch.from_numpy(1 + 99.0 * (rows == number)).float()[:, None]

    # One that is held out is no part of any score.
    monkeypatch.setattr(LatentTable, "mean", stretched(unused))
    assert estimate("class", report=heard).dominance is None
    monkeypatch.setattr(LatentTable, "mean", stretched(odd))
    result = estimate("class", report=heard)
    name = open_dataset(str(pictures)).path(int(train[odd]))
    assert list(result.dominance.items) == [name]
    assert result.as_dict()["dominance"]["share"] > 0.9
    (line,) = heard.warnings
    assert line.startswith("the scores are dominated by few items: 1 of ")
    assert name in line


def test_one_seed_one_result(estimate):
    assert estimate("class").as_dict() == estimate("class").as_dict()
    assert estimate("class", seed=1).scores != estimate("class").scores


def test_spectra_and_scores_are_drawn(estimate):
    result = estimate("class", "greyscale")
    panels = result.plot().axes
    assert [panel.get_title(loc="left").split(":")[0] for panel in panels[::2]] == ["class", "greyscale"]
    for concept, spectrum, score in zip(result.spectrum.concepts, panels[::2], panels[1::2], strict=True):
        bars = [bar.get_height() for bar in spectrum.containers[0]]
        assert bars == pytest.approx(concept.values[: len(bars)])
        assert score.collections[-1].get_offsets()[0, 0] == result.evidence[concept.name].score.value
    assert "class" in result._repr_html_()
