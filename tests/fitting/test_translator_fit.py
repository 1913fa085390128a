"""The fit finds a known shared factor: NLL near the analytic entropy, correlations at σ and 0, an exact resume."""

import math
import os
import signal
import threading

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.fitting import translator_fit as fitting
from iin_cli.fitting.streams import Batch, SingleRows
from iin_cli.fitting.translator_fit import TranslatorFit, fitting_speed, log_det_error
from iin_cli.latents.cache import Latents
from iin_cli.latents.table import LatentTable
from iin_cli.plan import Wishes, plan_translator
from iin_cli.training.averaging import AveragedWeights
from iin_cli.training.loop import Schedule, optimise
from iin_cli.translator.alignment import Alignment
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator
from iin_cli.translator.likelihood import correlations, nll, pair_nll
from iin_cli.translator.round_trip import round_trip_error

CPU = torch.device("cpu")
DIM, SIGMA = 4, 0.9
FACTORS = Factors.of({"shared": 1, "residual": 3}, SIGMA)
# Mixes all dimensions and is far from volume-preserving.
MIXING = torch.tensor([[2.0, 0.5, 0.0, 0.3], [0.0, 1.0, -0.7, 0.0], [0.4, 0.0, 0.5, 0.2], [0.0, 0.6, 0.1, 3.0]])
OFFSET = torch.tensor([1.0, -2.0, 0.0, 5.0])
ENTROPY = DIM * 0.5 * math.log(2 * math.pi * math.e) + torch.linalg.slogdet(MIXING)[1].item()


class GaussianPairs:
    """z = MIXING u + OFFSET, u ~ N(0, 1), the members of a pair correlated by σ in u_0 alone."""

    rows_per_step = 512

    def __init__(self):
        self.rho = correlations(FACTORS, FACTORS.mask("shared"))

    def batch(self, step, count=256):
        generator = torch.Generator().manual_seed(step)
        a, noise = torch.randn(2, count, DIM, generator=generator)
        b = self.rho * a + (1 - self.rho**2).sqrt() * noise
        weight = torch.full((count,), 1 / count)
        return Batch(a @ MIXING.T + OFFSET, b @ MIXING.T + OFFSET, self.rho.expand(count, -1), weight)

    def held_out(self):
        return {"shared": self.batch(10**6, 2000)}

    def initial(self, count):
        return self.batch(10**7, count).z_a


def plan(steps, **wishes):
    said = {"blocks": 2, "hidden": 32, "depth": 1, "learning_rate": 5e-3, "batch_pairs": 256, **wishes}
    return plan_translator(DIM, 20_000, "cpu", Wishes(steps=steps, **said), False)


def new_fit(stream, steps, seed=0, initialize=True, **wishes):
    planned = plan(steps, **wishes)
    translator = Translator(DIM, planned.blocks, planned.hidden, planned.depth, seed)
    fit = TranslatorFit(translator, stream, planned, seed, CPU)
    if initialize:
        fit.initialize()
    return fit


@pytest.fixture(scope="module")
def fitted():
    fit = new_fit(GaussianPairs(), 400)
    before = fit.validate()["heldout_nll"]
    return fit, before, optimise(fit, Schedule(400, validate_every=50))


@pytest.mark.slow
def test_the_likelihood_approaches_the_entropy(fitted):
    fit, before, result = fitted
    batch = fit.held_out["shared"]
    zero = torch.zeros(len(batch.z_a))
    identity = 0.5 * pair_nll(batch.z_a, zero, batch.z_b, zero, batch.rho).mean().item()
    # Half of what is known of b through a: ¼ log(1 − σ²) nats per latent and shared dimension.
    entropy = ENTROPY + 0.25 * math.log(1 - SIGMA**2)
    measured = result.best["heldout_nll"]
    assert measured < before - 0.5
    assert measured < identity - 5
    # The held-out sample itself scatters by about √(N/2 / 2000).
    assert entropy - 0.1 < measured < entropy + 0.15
    assert result.best["bits_per_dim"] == pytest.approx(measured / DIM / math.log(2))


def test_the_shared_factor_is_found(fitted):
    fit = fitted[0]
    batch = GaussianPairs().batch(77, 4000)
    with torch.no_grad():
        a, b = (fit.translator(z)[0] for z in (batch.z_a, batch.z_b))
    correlation = torch.corrcoef(torch.cat((a, b), 1).T)[:DIM, DIM:].diagonal()
    assert correlation[0] > SIGMA - 0.05
    assert correlation[1:].abs().max() < 0.12
    torch.testing.assert_close(a.std(0), torch.ones(DIM), atol=0.1, rtol=0)
    torch.testing.assert_close(a.mean(0), torch.zeros(DIM), atol=0.1, rtol=0)


def test_straightness_is_of_the_pairs_held_out():
    planned = plan(1)
    translator = Translator(DIM, planned.blocks, planned.hidden, planned.depth, 0, linear_start=True)
    differs = (Alignment("shared", slice(0, 1), -1),)

    def shown(wanted):
        return TranslatorFit(translator, GaussianPairs(), planned, 0, CPU, wanted).validate().get("straightness")

    assert shown({"shared": differs}) == pytest.approx(1.0, abs=0.01)
    # Pairs that only the batches have, since no two held-out items make one.
    assert shown({"shared": differs, "other": differs}) == pytest.approx(1.0, abs=0.01)
    assert shown({"shared": (), "other": differs}) is None


def test_the_average_of_the_steps_is_validated_and_kept():
    fit = new_fit(GaussianPairs(), 60)
    optimise(fit, Schedule(60, validate_every=60))
    average = AveragedWeights(Translator(DIM, 2, 32, 1, 0), fit.plan.average)
    again = new_fit(GaussianPairs(), 60)
    for step in range(60):
        again.step(step, step / 60)
        average.follow(again.translator, step)
    last = again.translator.state_dict()
    for name, weight in fit.weights().items():
        assert torch.equal(weight, average.module.state_dict()[name])
    assert any(not torch.equal(weight, last[name]) for name, weight in fit.weights().items())
    # What it measured is of what it kept.
    assert again.validate()["heldout_nll"] == fit.validate()["heldout_nll"]


def test_the_published_presets_keep_their_last_weights():
    for preset in ("paper", "compvis"):
        assert new_fit(GaussianPairs(), 1, preset=preset).average is None


def test_the_proofs_hold(fitted):
    z = GaussianPairs().batch(5, 16).z_a
    assert round_trip_error(fitted[0].translator, z) < 1e-4
    assert log_det_error(fitted[0].translator, z) < 1e-4


def test_the_proofs_can_fail():
    class Wrong(Translator):
        def forward(self, z):
            z_tilde, log_det = super().forward(z)
            return z_tilde, log_det + 0.5

        def inverse(self, z_tilde):
            return super().inverse(z_tilde) + 0.25

    wrong, z = Wrong(DIM, 1, 8, 0), torch.randn(5, DIM)
    z = (z - z.mean(0)) / z.std(0, correction=0)
    assert log_det_error(wrong, z) == pytest.approx(0.5, abs=1e-4)
    assert round_trip_error(wrong, z) == pytest.approx(0.25, abs=1e-4)


def test_the_jacobian_is_that_of_the_whole_translator(monkeypatch):
    monkeypatch.setattr(fitting, "JACOBIAN_ROWS", 3)
    translator, z = Translator(7, 2, 16, 1, 0), torch.randn(7, generator=torch.Generator().manual_seed(0))
    exact = torch.autograd.functional.jacobian(lambda z: translator.double()(z[None])[0][0], z.double())
    torch.testing.assert_close(fitting._jacobian(translator, z), exact)


def test_the_speed_is_that_of_the_matrix_products(monkeypatch):
    ticks = iter([0.0, 2.0, 2.0, 3.0, 3.0, 4.5, 4.5, 9.0, 9.0, 11.0])
    monkeypatch.setattr(fitting.time, "perf_counter", lambda: next(ticks))
    speed = fitting_speed(CPU, plan(1), DIM)
    assert speed == pytest.approx(fitting.STEP_EFFICIENCY * 2 * 512 * DIM * 32 / 1.0)


class Rectified:
    """96 features as a network after ReLU gives them: 32 alive, 32 linear copies of those, 32 dead."""

    def rows(self, count, seed):
        generator = torch.Generator().manual_seed(seed)
        mixing = torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
        alive = torch.relu(torch.randn(count, 32, generator=generator) @ mixing / 4 + 0.5)
        return torch.cat((alive, 3.0 * alive + 1.0, torch.zeros(count, 32)), 1).numpy()


def test_dead_and_copied_features_are_fitted():
    rows = Rectified().rows(1500, 1)
    held_out = np.arange(1500) >= 1200
    stream = SingleRows(LatentTable([Latents(rows, None)]), held_out, 128, 0, 300)
    planned = plan_translator(96, 1500, "cpu", Wishes(blocks=4, hidden=64, depth=1, steps=120), True)
    assert planned.feature_noise > 0
    translator = Translator(96, 4, 64, 1, 0)
    fit = TranslatorFit(translator, stream, planned, 0, CPU)
    fit.initialize()
    before = fit.validate()["heldout_nll"]
    result = optimise(fit, Schedule(120, validate_every=30))
    scores = [row["heldout_nll"] for row in result.history]
    assert np.isfinite([before, *scores]).all()
    assert scores[-1] < scores[0] < before - 10
    z = torch.from_numpy(rows[held_out])
    assert round_trip_error(translator, z) <= 1e-4
    with torch.no_grad():
        z_tilde = translator(z)[0]
        # What a factor of dead features is changed to stays near what the network knows.
        moved = translator.inverse(torch.randn(300, 96, generator=torch.Generator().manual_seed(2)))
    assert torch.isfinite(z_tilde).all()
    assert moved[:, 64:].abs().max() < 0.1 * rows[:, :32].std()


def test_unsupervised_likelihood():
    rows = GaussianPairs().batch(0, 6000).z_a.numpy()
    held_out = np.arange(6000) >= 5000
    stream = SingleRows(LatentTable([Latents(rows, None)]), held_out, 512, 0, 1000)
    fit = new_fit(stream, 250)
    result = optimise(fit, Schedule(250, validate_every=50))
    assert ENTROPY - 0.15 < result.best["heldout_nll"] < ENTROPY + 0.2
    z = torch.from_numpy(rows[held_out])
    with torch.no_grad():
        exact = nll(*fit.translator(z)).mean().item()
    assert fit.validate()["heldout_nll"] == pytest.approx(exact, rel=1e-5)


def test_held_out_nll_is_the_mean_over_concepts():
    class TwoConcepts(GaussianPairs):
        def held_out(self):
            return {"shared": self.batch(1, 100), "other": self.batch(2, 3000)}

    fit = new_fit(TwoConcepts(), 1)
    shown = fit.validate()
    assert shown["heldout_nll"] == shown["score"]
    assert shown["heldout_nll"] == pytest.approx((shown["nll_shared"] + shown["nll_other"]) / 2)
    batch = fit.held_out["other"]
    with torch.no_grad():
        (a, da), (b, db) = fit.translator(batch.z_a), fit.translator(batch.z_b)
    exact = 0.5 * pair_nll(a, da, b, db, batch.rho).mean().item()
    assert shown["nll_other"] == pytest.approx(exact, rel=1e-5)


def test_bfloat16_keeps_float32_weights_and_nearly_the_likelihood():
    exact, rough = new_fit(GaussianPairs(), 5), new_fit(GaussianPairs(), 5)
    rough.precision = torch.autocast("cpu", torch.bfloat16)
    for step in range(5):
        exact.step(step, 0.0)
        rough.step(step, 0.0)
    assert {p.dtype for p in rough.translator.parameters()} == {torch.float32}
    assert rough.validate()["score"] == pytest.approx(exact.validate()["score"], rel=0.02)


def test_feature_noise_is_a_fraction_of_each_std_and_spares_no_dead_feature():
    class Dead(GaussianPairs):
        def initial(self, count):
            z = super().initial(count)
            z[:, 2] = 7.0
            return z

    fit = new_fit(Dead(), 5, feature_noise=0.1)
    std = fit.stream.initial(2000).std(0, correction=0)
    torch.testing.assert_close(fit.noise.std[[0, 1, 3]], 0.1 * std[[0, 1, 3]])
    # A tenth of the typical std stands for the one it has not.
    assert fit.noise.std[2].item() == pytest.approx(0.1 * 0.1 * std[[0, 1, 3]].median().item())
    clean = fit.stream.batch(0)
    noised = fit._noised(clean, 0)
    torch.testing.assert_close((noised.z_b - clean.z_b).std(0), fit.noise.std, rtol=0.2, atol=1e-5)
    assert torch.equal(fit._noised(clean, 3).z_a, fit._noised(clean, 3).z_a)


def test_the_noise_of_a_pair_is_as_alike_as_its_residuals():
    fit = new_fit(GaussianPairs(), 5, feature_noise=0.5)
    clean = fit.stream.batch(0, 4096)
    for alike in (0.0, 0.9):
        rho = torch.zeros_like(clean.rho)
        rho[:, -1] = alike
        clean = Batch(clean.z_a, clean.z_b, rho, clean.weight)
        noised = fit._noised(clean, 0)
        first, second = noised.z_a - clean.z_a, noised.z_b - clean.z_b
        torch.testing.assert_close(
            (first * second).mean(0) / fit.noise.std**2, torch.full((DIM,), alike), atol=0.08, rtol=0
        )
        torch.testing.assert_close(second.std(0), fit.noise.std, rtol=0.06, atol=0)


def test_latents_that_do_not_vary():
    class Constant(GaussianPairs):
        def initial(self, count):
            return torch.ones(count, DIM)

    with pytest.raises(DataError, match="do not vary"):
        new_fit(Constant(), 5)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_an_interrupted_fit_goes_on_bit_for_bit(tmp_path, noise):
    class Interrupting(GaussianPairs):
        def batch(self, step, count=256):
            if step == 4:
                os.kill(os.getpid(), signal.SIGINT)
            return super().batch(step, count)

    schedule = Schedule(9, validate_every=3)
    undisturbed = new_fit(GaussianPairs(), 9, feature_noise=noise)
    optimise(undisturbed, schedule)
    with pytest.raises(KeyboardInterrupt):
        optimise(new_fit(Interrupting(), 9, feature_noise=noise), schedule, state_path=tmp_path / "s")
    again = new_fit(GaussianPairs(), 9, initialize=False, feature_noise=noise)
    optimise(again, schedule, state_path=tmp_path / "s", resume=True)
    for name, value in undisturbed.weights().items():
        assert torch.equal(value, again.weights()[name]), name


def test_batches_are_drawn_ahead_and_each_belongs_to_its_step():
    drawn = []

    class Watched(GaussianPairs):
        def batch(self, step, count=256):
            if step < 1000:
                drawn.append((step, threading.current_thread() is threading.main_thread()))
            if step == 22:
                raise DataError("row 22 cannot be read")
            return super().batch(step, count)

    threads, fit = torch.get_num_threads(), new_fit(Watched(), 100)
    for step in (5, 6, 7, 20, 21):
        assert torch.equal(fit._coming(step).z_a, GaussianPairs().batch(step).z_a)
    with pytest.raises(DataError, match="row 22"):
        fit.step(22, 0.0)
    assert [step for step, _ in drawn][:3] == [5, 6, 7]
    assert not any(in_main for _, in_main in drawn)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("size", [0.01, 10.0])
def test_gradients_are_clipped_as_torch_does(size):
    first, second = (torch.nn.Linear(40, 40) for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        a.grad = torch.full_like(a, size)
        b.grad = a.grad.clone()
    fitting._clip(first, 10.0)
    torch.nn.utils.clip_grad_norm_(second.parameters(), 10.0)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)
