"""Sizes from pairs: sum to N, follow the scores, the same for one seed."""

import math

import pytest

from iin_cli.errors import DataError, UsageError
from iin_cli.workflows.estimate_dims import estimate_dims


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path))


@pytest.fixture
def estimate(files, pictures):
    def run(*concepts, **options):
        return estimate_dims(str(files.autoencoder), concepts, **{"data": str(pictures), "seed": 0, **options})

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
        assert result.factors[name] == max(1, math.floor(math.exp(result.scores[name]) / total * 8))


def test_a_differ_concept_scores_what_changes(estimate):
    result = estimate("greyscale")
    assert result.relations == {"greyscale": "differ"}
    assert 0 < result.scores["greyscale"] < 1
    assert [row["pairs"] for row in result.rows()] == ["differ", "-"]


def test_one_seed_one_result(estimate):
    assert estimate("class").scores == estimate("class").scores
    assert estimate("class", seed=1).scores != estimate("class").scores


def test_what_cannot_be_estimated(estimate, tmp_path):
    with pytest.raises(UsageError, match="did you mean variance"):
        estimate("class", estimator="varianc")
    with pytest.raises(DataError, match="needs the label 'digit'"):
        estimate("digit")
    with pytest.raises(UsageError, match="unknown concept 'hue'"):
        estimate("hue")
