"""Inferred plans: the presets as published, the user's word above both, schedules of the learning rate."""

import json

import pytest

from iin_cli.errors import UsageError
from iin_cli.plan import PRESETS, Wishes, plan_translator, share_out


def plan(dim=64, rows=50_000, device="cpu", deterministic=False, **wishes):
    return plan_translator(dim, rows, device, Wishes(**wishes), deterministic)


def test_published_presets():
    paper, compvis = plan(preset="paper"), plan(preset="compvis")
    assert (paper.batch_pairs, paper.learning_rate, paper.sigma, paper.patience) == (25, 1e-4, 0.9, 0)
    assert (compvis.learning_rate, compvis.betas, compvis.sigma) == (1.125e-4, (0.5, 0.9), 0.975)
    assert (compvis.decay, compvis.decay_start, compvis.steps) == ("linear", 100_000, 120_000)


@pytest.mark.parametrize("preset", PRESETS)
def test_table_6_architectures(preset):
    narrow, wide = plan(256, preset=preset, device="cuda"), plan(2048, preset=preset, device="cuda")
    assert (narrow.blocks, narrow.hidden, narrow.depth) == (12, 512, 2)
    assert (wide.blocks, wide.hidden, wide.depth) == (6, 2048, 2)


def test_auto_follows_data_and_device():
    assert plan(rows=2000).steps < plan(rows=50_000).steps < plan(rows=50_000, device="cuda").steps
    assert plan(2048).hidden < plan(2048, device="cuda").hidden
    assert plan(deterministic=True).feature_noise > plan().feature_noise == 0
    assert plan().patience > 0
    assert plan_translator(64, 1000, "cpu", Wishes(), False, bfloat16=True).autocast
    assert not plan().autocast


def test_what_the_user_says_wins():
    said = {"steps": 7, "batch_pairs": 3, "blocks": 2, "hidden": 8, "depth": 0, "sigma": 0.5, "learning_rate": 0.1}
    planned = plan(preset="compvis", **said).as_dict()
    assert {name: planned[name] for name in said} == said
    assert planned["betas"] == (0.5, 0.9)
    assert json.loads(json.dumps(planned))["preset"] == "compvis"


def test_a_sigma_per_concept_leaves_the_others_the_preset():
    planned = plan(preset="compvis", sigma={"digit": 0.5})
    assert (planned.sigma, planned.sigmas) == (0.975, {"digit": 0.5})


def test_short_runs_still_warm_up_and_validate():
    for steps in (1, 3, 30):
        planned = plan(steps=steps)
        assert 1 <= planned.validate_every <= steps
        assert planned.warmup_steps <= max(1, steps // 10)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"preset": "nonsense"}, "auto, compvis, paper"),
        ({"preset": "comvis"}, "did you mean compvis"),
        ({"learning_rate": float("nan")}, "--learning-rate nan"),
        ({"max_seconds": float("inf")}, "--max-seconds inf"),
    ],
)
def test_nonsense_is_refused(wishes, message):
    with pytest.raises(UsageError, match=message):
        Wishes(**wishes)


def test_learning_rates():
    cosine = plan(steps=1000)
    assert cosine.learning_rate_at(0, 0) == pytest.approx(cosine.learning_rate / cosine.warmup_steps)
    assert cosine.learning_rate_at(500, 0.5) == pytest.approx(cosine.learning_rate / 2)
    assert cosine.learning_rate_at(999, 1.0) == pytest.approx(0)
    constant = plan(preset="paper")
    assert constant.learning_rate_at(0, 0) == constant.learning_rate_at(119_999, 0.999) == 1e-4
    linear = plan(preset="compvis")
    assert linear.learning_rate_at(99_999, 0.8) == 1.125e-4
    assert linear.learning_rate_at(110_000, 0.9) == pytest.approx(1.125e-4 / 2)


def test_shares():
    assert share_out(10, ["a", "b", "c"]) == {"a": 4, "b": 3, "c": 3}
    assert share_out(1, ["a", "b"]) == {"a": 1, "b": 1}
