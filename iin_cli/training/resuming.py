"""Stop a training between two steps, keep its state, and let `--resume` continue it."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ..distributed import draw_seed, from_main, is_main_rank, world_size
from ..errors import DivergedError, UsageError
from ..io.rundir import PLAN_NAME, begun_alone, read_plan, recorded_seed, remove_begun, write_plan
from ..stopping import ENDING

__all__ = ["HeldSignals", "resumable", "seed_of_run"]

STATE_NAME = "training-state.safetensors"
# What may differ between an interrupted run and its continuation: time limits, figures that rounding changes, paths.
FREE = ("max_seconds", "scores", "root")
# A message names what differs; a damaged plan may hold a text of megabytes.
SHOWN = 200


class HeldSignals:
    """Holds Ctrl-C, SIGTERM and SIGHUP back until `act`, so that no step is cut in half; a second signal acts at once.

    Attributes:
        due: whether all processes have agreed to end, see `agree`.

    Outside the main thread nothing is held: signals never arrive there. Under torchrun the second signal is held too:
    Ctrl-C arrives from the terminal and again from torchrun, which kills after 30 s whatever still runs.
    """

    def __init__(self) -> None:
        self._previous: dict[int, Any] = {}
        self._arrived: int | None = None
        self.due = False

    def __enter__(self) -> HeldSignals:
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                # Someone chose that this signal is ignored, or kills outright.
                if callable(signal.getsignal(number)):
                    self._previous[number] = signal.signal(number, self._hold)
        return self

    def __exit__(self, *problem: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if problem[0] is None:
            self.act()

    @property
    def arrived(self) -> int:
        """The number of the signal held back; 0 for none."""
        return self._arrived or 0

    def agree(self, number: int) -> None:
        """End all processes by signal `number`, whichever of them received it; 0 for none."""
        self.due = number != 0
        if number:
            # Zero takes nothing back: a signal may have arrived after this process reported none.
            self._arrived = number

    def act(self) -> None:
        """Let a signal that was held back take effect, which usually raises."""
        if self._arrived is not None:
            number, self._arrived = self._arrived, None
            self._previous.get(number, signal.default_int_handler)(number, None)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if self._arrived is not None and world_size() == 1:
            self._previous[number](number, frame)
        self._arrived = number


def seed_of_run(out: Path | None, product: str, given: int | None, resume: bool) -> int:
    """Return the seed of the interrupted run in `out` with `resume`, else the `given` one or a new one.

    The main process alone looks into `out`; all others get its seed. Raises UsageError when `out` holds no interrupted
    run, or its run has finished and written `product`.
    """
    return from_main(_seed(out, product, given, resume) if is_main_rank() else None)


def _seed(out: Path | None, product: str, given: int | None, resume: bool) -> int:
    if not resume:
        return draw_seed(given)
    if out is None:
        raise UsageError("--resume goes on with the interrupted run in --out: name its folder")
    if (out / product).exists():
        raise UsageError(f"--resume: the run in {out} has finished, its result is {out / product}")
    if not (out / STATE_NAME).exists():
        raise UsageError(f"--resume: there is no interrupted run in {out}; without --resume a new one starts")
    return recorded_seed(out, given)


@contextmanager
def resumable(folder: Path, plan: Mapping[str, Any], resume: bool) -> Iterator[Path]:
    """Save `plan` in the run's folder and yield the path of its state.

    The state is removed once the run has succeeded or diverged. A run that fails otherwise leaves plan and state for
    `--resume`, or neither.
    Only the main process writes. Raises UsageError when the run to be resumed has another `plan`.
    """
    state, plan_file = folder / STATE_NAME, folder / PLAN_NAME
    if not is_main_rank():
        yield state
        return
    if resume:
        _require_same(folder, read_plan(folder), json.loads(json.dumps(plan)))
    write_plan(plan_file, plan)
    try:
        yield state
    except BaseException as error:
        if isinstance(error, DivergedError) or not state.exists():
            # An exact continuation would diverge again. A plan stays where the best weights were kept.
            state.unlink(missing_ok=True)
            if begun_alone(folder):
                remove_begun(folder)
        else:
            error.add_note(f"the same command with --resume --out {folder} goes on")
        raise
    state.unlink(missing_ok=True)


def _require_same(folder: Path, recorded: dict[str, Any], wanted: dict[str, Any]) -> None:
    before, now = dict(_flat(recorded)), dict(_flat(wanted))
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            raise UsageError(
                f"--resume: the run in {folder} has {name.replace('.', ' ')[:SHOWN]} {str(before.get(name))[:SHOWN]}, "
                f"and now it is {str(now.get(name))[:SHOWN]}: repeat the command as it was"
            )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if name in FREE:
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
