"""Optimise anything `Trainable`: progress, validation, best weights, stopping, exact resume.

Several processes run the loop in step. After every step one exchange of a few numbers gives all of them the step's
figures, the main process's clock and any signal that arrived; only the main process validates and saves. So all see
the same figures, and stop, diverge or go on together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import torch

from ..distributed import from_main, gather_numbers, is_main_rank, wait_for_all
from ..errors import CheckpointError, DivergedError, IinError, ResourceError, reason
from ..io.training_state import read_state
from ..progress import Reporter, Silent, Task
from .logs import RunLog
from .resuming import HeldSignals
from .saving import Saving
from .soundness import require_finite, require_same_optimizers

__all__ = ["ADVICE", "LoopResult", "Schedule", "Trainable", "flushed_denormals", "optimise"]

# Which limit ended a run.
Reason = Literal["steps", "time", "held-out"]
# What to do about a training that diverged, where nothing better is known.
ADVICE = "start again with another --seed, or look for outliers in the data"
# Reports of steps between two validations, at most.
REPORTS = 10
# How the names of figures begin that were measured on training data.
TRAINING = "train_"


class Trainable(Protocol):
    """Anything that `optimise` can train."""

    def step(self, step: int, fraction: float) -> dict[str, float]:
        """Take optimisation step `step` with `fraction` in [0, 1) of the run done; return the figures to show.

        Each of several processes returns its part of a figure: the sum over all of them is shown.
        """
        ...

    def validate(self) -> dict[str, float]:
        """Measure on held-out data; the lowest `score` decides which weights are kept."""
        ...

    def weights(self) -> Mapping[str, torch.Tensor]:
        """Return the weights to keep when a validation is the best so far."""
        ...

    def load_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Restore what `weights` returned."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return everything that an exact resume needs, weights included."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...


@dataclass(frozen=True)
class Schedule:
    """How long a training lasts.

    Attributes:
        steps: at most.
        max_seconds: limit in seconds of wall clock, None for none; the run's fraction follows the nearer limit.
        validate_every: steps between validations; the last step is always validated.
        patience: validations without a better score before stopping; 0 never stops.
        cooldown: after that, go back to the best weights and let the run's fraction rise to 1 within this part of the
            steps that led to them, so that a rate which falls with it comes down too; 0 stops at once.
        rows_per_step: for the speed in rows/s.
        unit: what a row is called.
        from_start: validate before the first step too, so that weights are kept only where they improve on it.
        advice: what the message says to do where training diverges.
        keep: the weights of the `best` validation, or of the `last` step where scores do not rank weights (GANs).
    """

    steps: int
    max_seconds: float | None = None
    validate_every: int = 100
    patience: int = 0
    cooldown: float = 0.0
    rows_per_step: int = 1
    unit: str = "rows"
    keep: Literal["best", "last"] = "best"
    from_start: bool = False
    advice: str = ADVICE


@dataclass
class LoopResult:
    """What the loop did.

    Attributes:
        steps: taken.
        seconds: since the run began, without the time between an interruption and its resume.
        training_seconds: of `seconds`, those spent on steps rather than on validating and saving.
        rows: trained on.
        best_step, best_score, best: the validation whose weights are kept.
        stopped: which limit ended the run.
        cooled_from, cooling_steps: the step at which patience ran out, and how many follow it; 0 where it did not.
        reached: the run's fraction at `cooled_from`.
        diverged: why it diverged; empty where it did not.
        history: the figures of every validation, beside those of the step before it (`train_…`).
    """

    steps: int = 0
    seconds: float = 0.0
    training_seconds: float = 0.0
    rows: int = 0
    best_step: int = 0
    best_score: float = math.inf
    stopped: Reason | Literal["diverged"] = "steps"
    best: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    cooled_from: int = 0
    cooling_steps: int = 0
    reached: float = 0.0
    diverged: str = ""

    def require_converged(self, kept: Path) -> None:
        """Raise DivergedError if training diverged, and name the file `kept` with the best weights."""
        if self.diverged:
            raise DivergedError(f"{self.diverged}. The best weights, of step {self.best_step}, are kept in {kept}")

    @property
    def rows_per_second(self) -> float:
        """Rows per second of training."""
        return self.rows / self.training_seconds if self.training_seconds else 0.0


def optimise(
    work: Trainable,
    schedule: Schedule,
    *,
    state_path: Path | None = None,
    resume: bool = False,
    description: str = "training",
    report: Reporter | None = None,
    salvage: bool = False,
    log: RunLog | None = None,
) -> LoopResult:
    """Train `work` to the end of `schedule` and leave it with its best weights.

    Args:
        state_path: file in which the run is saved after some seconds, then now and then (`saving.Saving`), and before
            Ctrl-C or SIGTERM ends it.
        resume: continue exactly from that file: the same steps as without the interruption, unless `max_seconds` ends
            the run elsewhere. The number of processes may be another.
        salvage: end with the best weights and with `diverged` where training diverges after a validation; the caller
            keeps them and then calls `require_converged`.
        log: gets the figures of every validation, as `history` keeps them, and those of some steps between.

    Only the main process reads and writes the state, and only it ends with the best weights.

    Raises DivergedError as soon as a figure or a score is not finite, CheckpointError for a state that does not fit.
    """
    report, saving, log = report or Silent(), Saving(state_path, is_main_rank()), log or RunLog()
    result, best_weights = LoopResult(), work.weights()
    if resume and state_path is not None:
        result, best_weights = _restore(work, state_path)
    started = time.monotonic() - result.seconds
    run = _Run(work, schedule, result, best_weights, saving, started, log, state_path if resume else None)
    log.begin(result.history, result.steps)
    with HeldSignals() as signals, flushed_denormals(), report.task(description, schedule.steps, "steps") as task:
        task.advance(result.steps)
        try:
            run.to_end(signals, task)
        except DivergedError as error:
            if not (salvage and result.history):
                raise
            result.stopped, result.diverged = "diverged", str(error)
        finally:
            log.close()
    if schedule.keep == "best" or result.diverged:
        work.load_weights(run.best_weights)
    else:
        result.best_step, result.best = result.steps, {k: v for k, v in result.history[-1].items() if k in result.best}
    return result


@dataclass
class _Run:
    """One run under way; `best_weights` are those of the best validation so far.

    `untried` is the state that the run goes on from, until a step was taken with it.
    """

    work: Trainable
    schedule: Schedule
    result: LoopResult
    best_weights: Mapping[str, torch.Tensor]
    saving: Saving
    started: float
    log: RunLog
    untried: Path | None = None

    def to_end(self, signals: HeldSignals, task: Task) -> None:
        """Take step after step until a limit is reached or a signal ends the run."""
        result, schedule = self.result, self.schedule
        # A state saved before its validation still needs that validation.
        validated = bool(result.history) and result.history[-1]["step"] == result.steps
        reason = _finished(result, schedule) if validated else None
        if schedule.from_start and not result.history and not result.steps:
            self._judge(from_main(self.work.validate() if is_main_rank() else None), {})
            reason = _finished(result, schedule)
        while reason is None:
            shown = self._step(signals)
            task.advance(1, **shown, **_speed(result, schedule))
            # Read once, so that the last step is validated whatever the clock says a moment later.
            reason = _finished(result, schedule)
            if reason is not None or result.steps % schedule.validate_every == 0:
                held_out = from_main(self.work.validate() if is_main_rank() else None)
                _exchanged(result, signals, self.started)
                _require_finite({"score": held_out["score"]}, result.steps, schedule.advice)
                self._judge(held_out, shown)
                task.advance(0, **{key: value for key, value in held_out.items() if key != "score"})
                reason = self._cooled(reason or _finished(result, schedule))
            elif result.steps % max(1, schedule.validate_every // REPORTS) == 0:
                self.log.add({**_place(result), **_of_training(shown)})
            if signals.due or self.saving.due:
                self.saving.save(self._state)
            if signals.due:
                # Torchrun ends all processes soon after the first: wait until the state is on disk.
                wait_for_all()
                signals.act()
        result.stopped = reason

    def _cooled(self, reason: Reason | None) -> Reason | None:
        """Go on from the best weights where patience has run out for the first time; else return `reason`."""
        result, schedule = self.result, self.schedule
        if reason != "held-out" or not schedule.cooldown or result.cooling_steps or not result.best_step:
            return reason
        result.reached, result.cooled_from = _fraction(result, schedule), result.steps
        result.cooling_steps = max(1, round(schedule.cooldown * result.best_step))
        self.work.load_weights(from_main(self.best_weights if is_main_rank() else None))
        return None

    def _step(self, signals: HeldSignals) -> dict[str, float]:
        """Take a step; CheckpointError where the first one after a resume fails over the state."""
        untried, self.untried = self.untried, None
        try:
            return _timed_step(self.work, self.result, self.schedule, signals, self.started)
        except (IinError, MemoryError):
            raise
        except Exception as error:
            # Moments of another shape are noticed by the optimiser's step, and not when it takes them.
            if untried is None or "OutOfMemory" in type(error).__name__ or "allocate memory" in str(error):
                raise
            raise _not_of_this_run(untried, error) from error

    def _judge(self, held_out: dict[str, float], shown: dict[str, float]) -> None:
        """Note a validation; keep the weights if it is the best so far."""
        result = self.result
        result.history.append({**_place(result), **_of_training(shown), **held_out})
        self.log.add(result.history[-1])
        if held_out["score"] >= result.best_score:
            return
        result.best_score, result.best_step, result.best = held_out["score"], result.steps, held_out
        if is_main_rank():
            self.best_weights = {name: value.detach().clone() for name, value in self.work.weights().items()}

    def _state(self) -> dict[str, Any]:
        loop = {name: getattr(self.result, name) for name in self.result.__dataclass_fields__}
        return {"loop": loop, "best": self.best_weights, "work": self.work.state_dict()}


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Flush denormal floats to zero while training: they slow a CPU tenfold and change nothing."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _timed_step(
    work: Trainable, result: LoopResult, schedule: Schedule, signals: HeldSignals, started: float
) -> dict[str, float]:
    before = time.monotonic()
    part = work.step(result.steps, _fraction(result, schedule))
    shown = dict(zip(part, _exchanged(result, signals, started, *part.values()), strict=True))
    _require_finite(shown, result.steps, schedule.advice)
    result.training_seconds += time.monotonic() - before
    result.steps += 1
    result.rows += schedule.rows_per_step
    return shown


def _exchanged(result: LoopResult, signals: HeldSignals, started: float, *parts: float) -> list[float]:
    """Return the sums of `parts` over all processes; share the main process's clock and any process's signal."""
    seconds, numbers, *columns = zip(
        *gather_numbers([time.monotonic() - started, signals.arrived, *parts]), strict=True
    )
    result.seconds = seconds[0]
    signals.agree(int(max(numbers)))
    return [sum(column) for column in columns]


def _finished(result: LoopResult, schedule: Schedule) -> Reason | None:
    if result.steps >= schedule.steps:
        return "steps"
    if schedule.max_seconds is not None and result.seconds >= schedule.max_seconds and result.steps > 0:
        return "time"
    if result.cooling_steps:
        return "held-out" if result.steps - result.cooled_from >= result.cooling_steps else None
    since_best = (result.steps - result.best_step) / schedule.validate_every
    if schedule.patience and result.history and since_best >= schedule.patience:
        return "held-out"
    return None


def _fraction(result: LoopResult, schedule: Schedule) -> float:
    by_steps = result.steps / schedule.steps
    by_time = result.seconds / schedule.max_seconds if schedule.max_seconds else float(schedule.max_seconds == 0)
    if result.cooling_steps:
        done = (result.steps - result.cooled_from) / result.cooling_steps
        by_steps = result.reached + (1 - result.reached) * done
    return min(max(by_steps, by_time), 1 - 1e-9)


def _place(result: LoopResult) -> dict[str, float]:
    return {"step": result.steps, "seconds": round(result.seconds, 2)}


def _of_training(shown: Mapping[str, float]) -> dict[str, float]:
    """Name the figures of a step as those of training data, since a validation may have one of the same name."""
    return {name if name.startswith(TRAINING) else f"{TRAINING}{name}": value for name, value in shown.items()}


def _speed(result: LoopResult, schedule: Schedule) -> dict[str, float]:
    return {f"{schedule.unit}/s": round(result.rows_per_second)}


def _require_finite(values: dict[str, float], step: int, advice: str) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise DivergedError(f"training diverged at step {step}: {name} is {value}; {advice}")


def _restore(work: Trainable, path: Path) -> tuple[LoopResult, Mapping[str, torch.Tensor]]:
    state = from_main(read_state(path) if is_main_rank() else None)
    try:
        # Checked and not converted: whole numbers among the figures stay whole.
        _require_counts(msgspec.convert(state["loop"], LoopResult))
        require_finite([state["work"], state["best"]])
        require_same_optimizers(state["work"], work.state_dict())
        work.load_state_dict(state["work"])
        if _shapes(state["best"]) != _shapes(work.weights()):
            raise ValueError("its best weights are of another network")
        return LoopResult(**state["loop"]), state["best"]
    except (MemoryError, ResourceError):
        raise
    # An optimiser, or a plugin's recipe, may fail in any way over a state that is not its own.
    except Exception as error:
        raise _not_of_this_run(path, error) from error


def _not_of_this_run(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{path} is not the state of this run: {reason(error)[:500]}")


def _require_counts(loop: LoopResult) -> None:
    """Raise ValueError for counts below zero, and a history without steps."""
    if min(loop.steps, loop.rows, loop.best_step, loop.seconds, loop.training_seconds) < 0:
        raise ValueError("a count or a time is negative")
    if not all("step" in figures for figures in loop.history):
        raise ValueError("its history lacks a step")


def _shapes(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in weights.items()}
