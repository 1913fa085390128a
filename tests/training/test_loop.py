"""The loop: what it keeps, when it stops, and that an interrupted run goes on as if nothing had happened."""

import math
import os
import signal
import time

import pytest
import torch

from iin_cli.errors import CheckpointError, DivergedError
from iin_cli.training import saving
from iin_cli.training.loop import Schedule, optimise
from iin_cli.training.resuming import HeldSignals


class Quadratic:
    """Adam on ½‖w‖² with noise that depends on the step; the score rises again after step `worse_after`."""

    def __init__(self, worse_after=10**9, at=None, size=3):
        self.w = torch.nn.Parameter(torch.full((size,), 4.0))
        self.optimizer = torch.optim.Adam([self.w], lr=0.3)
        self.worse_after, self.at, self.steps, self.fractions = worse_after, at or {}, 0, []

    def step(self, step, fraction):
        self.fractions.append(fraction)
        if step in self.at:
            self.at[step]()
        noise = torch.randn(len(self.w), generator=torch.Generator().manual_seed(step))
        loss = 0.5 * (self.w + 0.1 * noise).square().sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.steps = step + 1
        return {"loss": loss.item()}

    def validate(self):
        return {"score": abs(self.steps - self.worse_after), "norm": self.w.detach().norm().item()}

    def weights(self):
        return {"w": self.w.detach()}

    def load_weights(self, weights):
        with torch.no_grad():
            self.w.copy_(weights["w"])

    def state_dict(self):
        return {"w": self.w.detach(), "optimizer": self.optimizer.state_dict(), "steps": self.steps}

    def load_state_dict(self, state):
        self.load_weights(state)
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]


def save_after_every_step(monkeypatch):
    monkeypatch.setattr(saving, "FIRST_SAVE_SECONDS", 0)
    monkeypatch.setattr(saving, "SAVE_SHARE", math.inf)


def after(steps):
    work = Quadratic()
    for step in range(steps):
        work.step(step, 0)
    return work.w


def test_the_best_weights_are_kept():
    work = Quadratic(worse_after=6)
    result = optimise(work, Schedule(20, validate_every=2, rows_per_step=5))
    assert (result.best_step, result.best_score, result.stopped, result.steps) == (6, 0, "steps", 20)
    assert torch.equal(work.w, after(6))
    assert [entry["step"] for entry in result.history] == list(range(2, 21, 2))
    assert result.rows == 100
    assert result.rows_per_second == pytest.approx(100 / result.training_seconds)
    assert work.fractions == [step / 20 for step in range(20)]


def test_the_last_weights_are_kept_where_the_score_is_no_judge():
    work = Quadratic(worse_after=6)
    result = optimise(work, Schedule(9, validate_every=2, keep="last"))
    assert torch.equal(work.w, after(9))
    assert (result.best_step, result.best["score"]) == (9, 3)
    assert set(result.best) == {"score", "norm"}


def test_patience():
    result = optimise(Quadratic(worse_after=6), Schedule(1000, validate_every=2, patience=3))
    assert (result.steps, result.best_step, result.stopped) == (12, 6, "held-out")


COOLING = Schedule(1000, validate_every=2, patience=3, cooldown=0.75)


def test_a_run_cools_down_from_its_best_weights():
    """Patience ends at step 12, 6 steps after the best; three quarters of 6, rounded, follow from the best weights."""
    work, loaded = Quadratic(worse_after=6), []
    load = work.load_weights
    work.load_weights = lambda weights: (loaded.append(weights["w"].clone()), load(weights))
    result = optimise(work, COOLING)
    assert (result.steps, result.best_step, result.stopped, result.cooled_from) == (16, 6, "held-out", 12)
    assert work.fractions[:12] == [step / 1000 for step in range(12)]
    assert work.fractions[12:] == pytest.approx([0.012 + 0.988 * part for part in (0, 0.25, 0.5, 0.75)])
    assert torch.equal(loaded[0], after(6))
    assert torch.equal(work.w, after(6))


def test_a_run_interrupted_while_it_cools_goes_on_exactly(tmp_path):
    expected, state = optimise(Quadratic(worse_after=6), COOLING), tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        optimise(
            Quadratic(worse_after=6, at={13: lambda: os.kill(os.getpid(), signal.SIGINT)}), COOLING, state_path=state
        )
    again = Quadratic(worse_after=6)
    result = optimise(again, COOLING, state_path=state, resume=True)
    assert again.fractions == pytest.approx([0.012 + 0.988 * part for part in (0.5, 0.75)])
    assert (result.steps, result.cooled_from, result.history[-1]["norm"]) == (16, 12, expected.history[-1]["norm"])


def test_the_clock_ends_a_run_and_its_last_step_is_validated():
    work = Quadratic(at={step: lambda: time.sleep(0.05) for step in range(1000)})
    result = optimise(work, Schedule(1000, max_seconds=0.3, validate_every=100))
    assert result.stopped == "time"
    assert 1 < result.steps < 10
    assert [entry["step"] for entry in result.history] == [result.steps]
    assert work.fractions[-1] > 0.5


def test_the_shortest_run():
    assert optimise(Quadratic(), Schedule(1)).history[0]["step"] == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_divergence(value):
    work = Quadratic()
    work.step = lambda step, fraction: {"loss": value if step == 3 else 1.0}
    with pytest.raises(DivergedError, match=f"step 3: loss is {value}"):
        optimise(work, Schedule(10))
    work = Quadratic()
    work.validate = lambda: {"score": value}
    with pytest.raises(DivergedError, match="score"):
        optimise(work, Schedule(10, validate_every=4))


def diverging(at):
    """Train until step `at`, whose loss is not finite."""
    work = Quadratic(worse_after=4)
    step = work.step
    work.step = lambda number, fraction: {"loss": math.nan} if number == at else step(number, fraction)
    return work


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_best_weights_of_a_diverged_training_can_be_kept(tmp_path, keep):
    work = diverging(9)
    result = optimise(work, Schedule(20, validate_every=2, keep=keep, advice="lower it"), salvage=True)
    assert (result.stopped, result.steps, result.best_step) == ("diverged", 9, 4)
    assert torch.equal(work.w, after(4))
    with pytest.raises(DivergedError) as told:
        result.require_converged(tmp_path / "t")
    kept = f"The best weights, of step 4, are kept in {tmp_path / 't'}"
    assert str(told.value) == f"training diverged at step 9: loss is nan; lower it. {kept}"


def test_nothing_is_kept_before_a_validation():
    with pytest.raises(DivergedError, match="--seed"):
        optimise(diverging(1), Schedule(20, validate_every=2), salvage=True)
    result = optimise(diverging(1), Schedule(20, validate_every=2, from_start=True), salvage=True)
    assert (result.stopped, result.best_step) == ("diverged", 0)


def test_a_training_that_converged_says_nothing(tmp_path):
    optimise(Quadratic(), Schedule(2), salvage=True).require_converged(tmp_path)


@pytest.mark.parametrize("step", [0, 3, 4, 9])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_goes_on_exactly(tmp_path, monkeypatch, step, number):
    class Terminated(BaseException):
        pass

    def terminate(*_):
        raise Terminated

    schedule, state = Schedule(10, validate_every=4), tmp_path / "state.safetensors"
    undisturbed = Quadratic(worse_after=8)
    expected = optimise(undisturbed, schedule)
    previous = {each: signal.signal(each, terminate) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        # The signal comes in the middle of a step, which is finished all the same.
        work = Quadratic(worse_after=8, at={step: lambda: os.kill(os.getpid(), number)})
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else Terminated):
            optimise(work, schedule, state_path=state)
        assert all(signal.getsignal(each) is terminate for each in previous)
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
    assert work.steps == step + 1
    again = Quadratic(worse_after=8)
    result = optimise(again, schedule, state_path=state, resume=True)
    assert len(again.fractions) == 10 - (step + 1)
    assert torch.equal(again.w, undisturbed.w)
    same = ("steps", "best_step", "best_score", "stopped", "rows")
    assert {name: getattr(result, name) for name in same} == {name: getattr(expected, name) for name in same}
    timeless = [[{k: v for k, v in entry.items() if k != "seconds"} for entry in r.history] for r in (result, expected)]
    assert timeless[0] == timeless[1]


def test_a_failing_step_leaves_the_last_saved_state(tmp_path, monkeypatch):
    save_after_every_step(monkeypatch)

    def fail():
        raise MemoryError

    with pytest.raises(MemoryError):
        optimise(Quadratic(at={5: fail}), Schedule(10), state_path=tmp_path / "s")
    again = Quadratic()
    optimise(again, Schedule(10), state_path=tmp_path / "s", resume=True)
    assert torch.equal(again.w, after(10))
    assert len(again.fractions) == 5


def test_the_second_signal_acts_at_once():
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second one was held back too")

    with pytest.raises(KeyboardInterrupt):
        optimise(Quadratic(at={2: twice}), Schedule(10))


def twice_held():
    with HeldSignals() as signals:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        assert signals.arrived == signal.SIGINT


def test_under_torchrun_the_second_signal_is_the_first_once_more(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    # Had it acted, the assertion behind it would not have been reached, and nothing been left to count.
    counted = []
    signal.signal(signal.SIGINT, lambda *_: counted.append(1))
    twice_held()
    assert counted == [1]


def agreed_too_early():
    with HeldSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        signals.agree(0)
        assert not signals.due
        assert signals.arrived == signal.SIGINT


def test_a_signal_is_not_forgotten_when_the_others_had_none():
    with pytest.raises(KeyboardInterrupt):
        agreed_too_early()


def test_the_state_of_another_run_is_refused(tmp_path, monkeypatch):
    save_after_every_step(monkeypatch)
    optimise(Quadratic(), Schedule(2), state_path=tmp_path / "s")
    with pytest.raises(CheckpointError, match="not the state of this run"):
        optimise(Quadratic(size=4), Schedule(2), state_path=tmp_path / "s", resume=True)
