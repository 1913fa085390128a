"""Inferred plans: the presets as published, the user's word above both, schedules of the learning rate."""

import json

import pytest

from iin_cli.errors import UsageError
from iin_cli.plan import PRESETS, Wishes, few_rows, parameter_count, plan_translator, share_out
from iin_cli.translator.flow import Translator


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
    few, many = plan(deterministic=True, rows=639), plan(deterministic=True, rows=640)
    assert few.feature_noise > many.feature_noise
    assert plan().patience > 0
    assert plan_translator(64, 1000, "cpu", Wishes(), False, bfloat16=True).autocast
    assert not plan().autocast


@pytest.mark.parametrize("shape", [(5, 2, 7, 0), (64, 3, 32, 2), (7, 1, 16, 3)])
def test_parameters_are_those_of_the_translator(shape):
    assert parameter_count(*shape) == sum(p.numel() for p in Translator(*shape).parameters())


def test_parameters_of_flows_within_factors_are_those_of_the_translator():
    planned, sizes = plan(400, rows=800, method="flow"), [1, 9, 390]
    translator = Translator(400, planned.blocks, planned.hidden, planned.depth, linear_start=True, within=sizes)
    assert planned.within
    assert planned.cost(400, sizes=sizes).parameters == sum(p.numel() for p in translator.parameters())


@pytest.mark.parametrize(
    ("said", "method"),
    [
        ({"rows": 800}, "linear"),
        ({"rows": 800, "sigma": 0.7}, "linear"),
        ({"rows": 4000}, "flow"),
        ({"rows": 800, "method": "flow"}, "flow"),
        ({"rows": 800, "steps": 50}, "flow"),
        ({"rows": 800, "hidden": 50}, "flow"),
        ({"rows": 800, "preset": "paper"}, "flow"),
        ({"rows": 800, "dim": 64}, "flow"),
        ({"rows": 40_000, "method": "linear"}, "linear"),
    ],
)
def test_a_flow_is_fitted_unless_wide_latents_are_few_or_the_user_says_otherwise(said, method):
    assert plan(**{"dim": 400} | said).method == method


def test_without_concepts_a_flow_is_fitted_however_few_latents_there_are():
    assert plan_translator(400, 800, "cpu", Wishes(), True, concepts=False).method == "flow"


def test_table_6_has_302_million_parameters():
    assert plan(2048, device="cuda").cost(2048).parameters == 302_186_496


def test_the_cost_of_a_step():
    planned = plan(64, steps=10, blocks=1, hidden=1, depth=0, batch_pairs=4)
    cost = planned.cost(64, flops_per_second=1e6)
    # 8 latents, multiplied and added with each weight: once forward, twice backward.
    assert cost.flops_per_step == 8 * 2 * 3 * cost.parameters
    assert cost.seconds == pytest.approx(10 * cost.flops_per_step / 1e6)
    assert json.loads(json.dumps(cost.as_dict()))["memory_bytes"] == cost.memory_bytes
    # Weights, gradients, Adam's two moments and the best weights, in float32.
    wide = plan(2048, device="cuda").cost(2048)
    assert wide.memory_bytes > 5 * 4 * wide.parameters
    assert "302.2 M parameters, 907 GFLOP per step: about 8 h for 1270 steps" in (
        plan(2048, device="cuda", steps=1270).cost(2048, 4e10).sentence(1270)
    )


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("dim", [257, 512, 768, 1024, 2048, 4096])
@pytest.mark.parametrize("rows", [900, 400_000])
def test_a_wide_translator_finishes_on_a_cpu(dim, rows, bfloat16):
    planned = plan_translator(dim, rows, "cpu", Wishes(method="flow"), True, bfloat16)
    cost = planned.cost(dim, 1.2e11 if bfloat16 else 4e10)
    assert cost.seconds <= 600
    # What little data can teach is learned in less.
    assert cost.seconds > 100 or rows < 10 * dim
    assert planned.steps >= 600
    assert planned.patience * planned.validate_every < planned.steps
    # The user's word holds, whatever it costs.
    assert plan_translator(dim, rows, "cpu", Wishes(hidden=2048), True, bfloat16).hidden == 2048


def test_few_wide_rows_get_a_smaller_translator_on_a_cpu():
    few, many = plan(2048, rows=20_479), plan(2048, rows=20_480)
    assert few.hidden < many.hidden
    assert few.blocks < many.blocks
    assert plan(2048, rows=900, device="cuda").hidden == 2048


def test_few_rows_are_named_with_the_numbers():
    assert few_rows("20480 latents", 20_480, 2048) is None
    assert few_rows("pairs.safetensors has 900 pairs", 900, 2048).startswith(
        "pairs.safetensors has 900 pairs, fewer than 10·N = 20480: "
    )


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
