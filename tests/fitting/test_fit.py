"""A fit in memory: no folder, the same for one seed, kept in a state and resumed, described for a checkpoint."""

import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError, UsageError
from iin_cli.fitting import fit as module
from iin_cli.fitting.fit import fit_material
from iin_cli.fitting.inference import infer
from iin_cli.fitting.pairs import Pairs
from iin_cli.fitting.translator_fit import TranslatorFit
from iin_cli.interpretation.opening import FEATURE_NOISE
from iin_cli.plan import Wishes
from iin_cli.progress import Silent
from iin_cli.translator.alignment import reward
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator

CPU = torch.device("cpu")
SMALL = Wishes(steps=40, blocks=2, hidden=16, depth=0, batch_pairs=32, feature_noise=0.0)
LABELS = np.arange(600) % 6


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))


def pairs():
    """One of four dimensions is the label's, mixed with the others."""
    generator = np.random.default_rng(0)
    z = generator.standard_normal((600, 4))
    z[:, 0] = 3 * LABELS + 0.3 * z[:, 0]
    return Pairs(z @ generator.standard_normal((4, 4))).share("label", LABELS)


def fitted(wishes=SMALL, seed=0, **options):
    material = pairs().material()
    return fit_material(material, infer(material, wishes, seed, CPU, Silent()), CPU, **options)


def test_a_fit_writes_nothing_and_says_what_it_did(heard, tmp_path):
    found = fitted(report=heard)
    assert list(tmp_path.iterdir()) == []
    assert sum(found.factors.dims.values()) == 4
    assert list(found.factors.dims) == ["label", "residual"]
    assert (found.loop.steps, found.history[-1]["step"], found.plan.steps) == (40, 40, 40)
    assert found.history[-1]["heldout_nll"] < found.history[0]["heldout_nll"]
    assert found.figures.heldout_nll == found.loop.best["heldout_nll"]
    assert found.figures.round_trip_error < 1e-4
    assert found.figures.log_det_error < 1e-3
    assert not found.translator.training
    assert any("rows/s over 40 steps" in note for note in heard.notes)


def test_a_limit_in_seconds_holds_for_all_of_a_fit(heard):
    found = fitted(replace(SMALL, max_seconds=60.0), report=heard, started=time.monotonic() - 60)
    assert (found.loop.steps, found.loop.stopped) == (1, "time")
    assert any("60 seconds leave none for the steps" in warning for warning in heard.warnings)


def test_what_is_measured_after_the_steps_is_taken_off_the_limit(monkeypatch):
    limits = []
    optimise = module.optimise

    def noted(fit, schedule, **options):
        limits.append(schedule.max_seconds)
        return optimise(fit, schedule, **options)

    monkeypatch.setattr(module, "optimise", noted)
    fitted(replace(SMALL, max_seconds=1000.0), started=time.monotonic() - 500)
    fitted(SMALL)
    assert 400 < limits[0] < 500
    assert limits[1] is None


def test_one_seed_one_translator():
    first, again, other = fitted().tensors(), fitted().tensors(), fitted(seed=1).tensors()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_without_a_concept_it_is_eq_12():
    material = Pairs(pairs().material().table.mean(np.arange(600))).material()
    found = fit_material(material, infer(material, SMALL, 0, CPU, Silent()), CPU)
    assert found.factors.dims == {"residual": 4}
    assert found.inferred.scores == {}


def test_a_checkpoint_can_be_made_of_it():
    found = fitted(Wishes(**vars(SMALL) | {"feature_noise": 0.1}))
    tensors, metadata = found.tensors(), found.metadata({"no_op_agreement": 1.0})
    assert torch.equal(tensors.pop(FEATURE_NOISE), found.noise.std)
    Translator(**metadata["config"]).load_state_dict(tensors)
    assert Factors.from_json(metadata["factors"]) == found.factors
    assert (metadata["kind"], metadata["backbone"]) == ("translator", None)
    training = metadata["training"]
    assert (training["seed"], training["steps"], training["no_op_agreement"]) == (0, 40, 1.0)
    assert training["heldout_nll"] == found.figures.heldout_nll
    assert FEATURE_NOISE not in fitted().tensors()


def test_what_is_wished_is_taken_as_it_is(heard):
    material = pairs().material()
    wishes = Wishes(**vars(SMALL) | {"dims": {"label": 3}, "sigma": {"label": 0.5}})
    inferred = infer(material, wishes, 7, CPU, heard)
    assert inferred.as_dict() == {
        "factors": {"label": 3, "residual": 1},
        "scores": {},
        "plan": inferred.plan.as_dict(),
        "seed": 7,
    }
    assert heard.notes[0] == "factors label 3, residual 1 of 4"
    assert set(infer(material, SMALL, 7, CPU, heard).scores) == {"label"}
    with pytest.raises(UsageError, match="did you mean label"):
        infer(material, Wishes(sigma={"labe": 0.5}), 0, CPU, heard)
    with pytest.raises(UsageError, match="did you mean variance"):
        Wishes(estimator="varianc")


def test_a_fit_kept_in_a_state_goes_on_exactly(tmp_path, monkeypatch):
    wishes = Wishes(**vars(SMALL) | {"feature_noise": 0.1})
    expected, step = fitted(wishes), TranslatorFit.step

    def interrupted(self, number, fraction):
        if number == 20:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, number, fraction)

    monkeypatch.setattr(TranslatorFit, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fitted(wishes, state=tmp_path / "state")
    monkeypatch.setattr(TranslatorFit, "step", step)
    found = fitted(wishes, state=tmp_path / "state", resume=True)
    assert all(torch.equal(value, found.tensors()[name]) for name, value in expected.tensors().items())


def test_latents_that_do_not_vary():
    material = Pairs(np.ones((100, 4))).material()
    with pytest.raises(DataError, match="the latents do not vary"):
        fit_material(material, infer(material, SMALL, 0, CPU, Silent()), CPU)


def test_the_linear_method_is_the_closed_form_and_takes_no_step():
    material = pairs().material()
    inferred = infer(material, Wishes(method="linear"), 0, CPU, Silent())
    found = fit_material(material, inferred, CPU)
    assert (found.loop.steps, found.translator.config["blocks"], found.plan.method) == (0, 0, "linear")
    z = torch.randn(5, 4)
    assert torch.equal(found.translator(z)[0], inferred.spectrum.whitening()(z)[0])
    assert found.figures.round_trip_error < 1e-4
    assert found.figures.log_det_error < 1e-3
    assert np.isfinite([found.figures.train_nll, found.figures.heldout_nll]).all()
    # One number of four tells the label.
    assert found.factors.dims == {"label": 1, "residual": 3}
    assert found.factors.items[0].sigma > 0.9
    again = Translator(**found.metadata()["config"])
    again.load_state_dict({name: tensor for name, tensor in found.tensors().items() if name != FEATURE_NOISE})
    assert torch.equal(again(z)[0], found.translator(z)[0])


def test_the_closed_form_can_make_every_dimension_gaussian():
    generator = np.random.default_rng(0)
    z = generator.exponential(size=(3000, 4)) ** 1.5
    material = Pairs(z).share("side", z[:, 0] > 1).material()
    plain, gaussian = (
        fit_material(material, infer(material, Wishes(method="linear", gaussianise=wanted), 0, CPU, Silent()), CPU)
        for wanted in (None, True)
    )
    assert gaussian.figures.heldout_nll < plain.figures.heldout_nll - 0.3
    assert gaussian.figures.round_trip_error < 1e-4
    assert gaussian.figures.log_det_error < 1e-3
    assert gaussian.factors.dims == plain.factors.dims
    again = Translator(**gaussian.metadata()["config"])
    again.load_state_dict({name: tensor for name, tensor in gaussian.tensors().items() if name != FEATURE_NOISE})
    rows = torch.from_numpy(z[:9]).float()
    assert torch.equal(again(rows)[0], gaussian.translator(rows)[0])


def test_a_flow_is_not_told_to_be_gaussian():
    with pytest.raises(UsageError, match="--gaussianise belongs to --method linear"):
        Wishes(gaussianise=True)


def test_a_flow_starts_from_the_closed_form_and_separates_no_worse():
    found = fitted()
    assert found.history[0]["step"] == 0
    own, linear = found.figures.separation["label"], found.figures.separation_linear["label"]
    assert own.own >= linear.own - 2 * linear.error
    assert own.elsewhere <= linear.elsewhere + 2 * linear.error
    assert found.plan.linear_start
    assert found.plan.pair_reward > 0


def test_a_flow_that_separates_worse_gives_way_to_the_closed_form(heard, monkeypatch):
    monkeypatch.setattr("iin_cli.fitting.fit.worse", lambda found, start: list(start))
    material = pairs().material()
    inferred = infer(material, SMALL, 0, CPU, Silent())
    found = fit_material(material, inferred, CPU, heard)
    z = torch.randn(5, 4)
    assert torch.allclose(found.translator(z)[0], inferred.spectrum.whitening()(z)[0], atol=1e-6)
    assert found.figures.separation == found.figures.separation_linear
    assert any("the closed form is kept" in line for line in heard.notes)


def test_a_concept_that_is_not_there_is_named_and_asked_for_nothing(heard):
    noise = np.random.default_rng(1).integers(0, 4, 600)
    material = pairs().share("noise", noise).material()
    inferred = infer(material, SMALL, 0, CPU, heard)
    assert inferred.spectrum.absent == ("noise",)
    assert inferred.factors.dims["noise"] == 1
    assert {factor.name: factor.sigma for factor in inferred.factors}["noise"] < 0.2
    assert any(line.startswith("concept noise is not in the latents") for line in heard.warnings)
    found = fit_material(material, inferred, CPU)
    assert found.figures.separation["label"].own > 0.8


@pytest.mark.parametrize("preset", ["paper", "compvis"])
def test_published_presets_know_no_closed_form(preset):
    inferred = infer(pairs().material(), Wishes(preset=preset), 0, CPU, Silent())
    assert inferred.spectrum is None
    assert not inferred.plan.linear_start
    assert inferred.plan.pair_reward == 0
    with pytest.raises(UsageError, match="--method linear: the preset"):
        Wishes(preset=preset, method="linear")


def test_an_unknown_method_is_refused():
    with pytest.raises(UsageError, match="--method 'flw'"):
        Wishes(method="flw")


def test_a_concept_that_pairs_differ_in_stays_straight(monkeypatch):
    generator = np.random.default_rng(0)
    z = generator.standard_normal((1500, 4))

    def turned(angles):
        return np.stack((2 * np.cos(angles) + 0.1 * z[:, 0], 2 * np.sin(angles) + 0.1 * z[:, 1], z[:, 2], z[:, 3]), 1)

    before, after = (turned(angles) for angles in generator.uniform(-2, 2, (2, 1500)))
    material = Pairs(before).differ("angle", after).material()
    wishes = Wishes(steps=150, hidden=32, blocks=4, batch_pairs=64, feature_noise=0.0, learning_rate=3e-3)

    def straightness():
        return fit_material(material, infer(material, wishes, 0, CPU, Silent()), CPU).history[-1]["straightness"]

    assert 0.99 < straightness() <= 1.0
    # Making an arc Gaussian bends it.
    monkeypatch.setattr("iin_cli.fitting.translator_fit.reward", lambda *given: reward(*given[:-1]))
    assert straightness() < 0.96
    assert "straightness" not in fitted().history[-1]
