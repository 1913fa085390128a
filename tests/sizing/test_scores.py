"""Scores of pairs of a known covariance."""

import numpy as np
import pytest

from iin_cli.latents.cache import Latents
from iin_cli.latents.pairs import PairSampler
from iin_cli.latents.table import ConceptPairs, LatentTable
from iin_cli.sizing import scores as module
from iin_cli.sizing.scores import score_concepts


def test_scores_follow_what_pairs_have_in_common(monkeypatch):
    monkeypatch.setattr(module, "SCORE_PAIRS", 4000)
    generator = np.random.default_rng(0)
    group_ids = np.repeat(np.arange(200), 5)
    z = generator.standard_normal((1000, 4)).astype(np.float32)
    # One of four dimensions is the group's own.
    z[:, 0] = generator.standard_normal(200)[group_ids]
    sampler = PairSampler.of(np.arange(1000), group_ids, "x")
    pairs = [ConceptPairs(kind, kind, sampler, None) for kind in ("share", "differ")]
    scores = score_concepts(LatentTable([Latents(z, None)]), pairs, 0, "variance")
    assert scores["share"] == pytest.approx(0.25, abs=0.04)
    assert scores["differ"] == pytest.approx(0.75, abs=0.04)
