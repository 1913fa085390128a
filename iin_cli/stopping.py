"""Ctrl-C, SIGTERM and a hang-up end the program with 130 or 143, whatever it does when they arrive.

While a command runs the signal raises `Stopped`, so that files are cleaned up and a training saves its state. During an
import, where an exception could be lost or abort the process, and while a lock changes hands, where it would leave the
lock taken for ever, the signal waits. Before and after a command there is nothing to save: the process ends at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

__all__ = ["ENDING", "Stopped", "end_at_once", "end_within", "ending_at_once", "ignore", "listen", "raising"]

# What ends a program: a user, a scheduler, and a terminal that was closed, which is as if it had been terminated.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Seconds until a signal is sent again whose exception was lost.
AGAIN_SECONDS = 0.05
# An import or a lock that takes longer is not waited for.
MOST_SECONDS = 8.0
# Where the interpreter's own import system says it was compiled from.
IMPORTING = "<frozen importlib._bootstrap>"
# Methods of `threading.Condition` that take or give back its lock.
HANDING_OVER = ("__enter__", "_release_save", "_acquire_restore")


class Stopped(BaseException):
    """A signal arrived; this is no Exception, so that no handler on the way swallows it.

    It is no KeyboardInterrupt either, which Typer swallows together with its notes.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def code(self) -> int:
        """The exit status."""
        return _code(self.number)

    @property
    def word(self) -> str:
        """What the user is told."""
        return _word(self.number)


def listen() -> None:
    """From now on each of these signals ends the process at once; one that the caller chose to ignore stays ignored.

    A script's background jobs ignore Ctrl-C, and a program under nohup ignores that its terminal is closed.
    """
    for number in ENDING:
        ignored = signal.getsignal(number) is signal.SIG_IGN and number != signal.SIGTERM
        ours = number != signal.SIGINT or signal.getsignal(number) in (signal.default_int_handler, end_at_once)
        if ours and not ignored:
            signal.signal(number, end_at_once)


def ignore() -> None:
    """From now on none of these signals changes anything: the work is done, and Python takes a while to end.

    It would put back the usual handlers meanwhile, and a run that has finished would look as if it had been killed.
    """
    for number in ENDING:
        if signal.getsignal(number) is end_at_once:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def raising(once: bool) -> Iterator[None]:
    """Raise `Stopped` in the body for every signal that `listen` heeds.

    Args:
        once: ignore the signal from then on, as under torchrun: Ctrl-C comes from the terminal and again from torchrun.
    """
    arrived: list[int] = []
    waited = 0.0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal waited
        # Extension modules in C++ abort the process over an exception.
        if _is_importing(frame) or _is_handing_over(frame):
            waited += AGAIN_SECONDS
            if waited > MOST_SECONDS:
                end_at_once(number, frame)
            _send_later(number)
            return
        if once:
            signal.signal(number, signal.SIG_IGN)
        arrived.append(number)
        raise Stopped(number)

    usual, sys.unraisablehook = sys.unraisablehook, _send_again(sys.unraisablehook)
    heeded = [number for number in ENDING if signal.getsignal(number) is end_at_once]
    for number in heeded:
        signal.signal(number, stop)
    try:
        yield
        # Code written in C may have dropped the exception without a word.
        if arrived:
            raise Stopped(arrived[0])
    except RuntimeError as error:
        # Between the release of a condition's lock and the wait, the exception makes Python release the lock twice.
        if not arrived:
            raise
        stopped = Stopped(arrived[0])
        for note in getattr(error, "__notes__", []):
            stopped.add_note(note)
        raise stopped from error
    finally:
        sys.unraisablehook = usual
        for number in heeded:
            if signal.getsignal(number) is stop:
                signal.signal(number, end_at_once)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End the process at a signal while the body runs, without tidying up: for a body that has nothing to save.

    Python takes seconds to take tensors and threads apart.
    """
    handlers = {number: signal.getsignal(number) for number in ENDING}
    heeded = [number for number, handler in handlers.items() if callable(handler)]
    for number in heeded:
        signal.signal(number, end_at_once)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, handlers[number])


def end_within(seconds: float, code: int) -> None:
    """End the process with `code` after `seconds`, unless it has ended by then: a stopped one has nothing left to do.

    Python waits at its exit for every thread, such as one that reads from a disk which does not answer, or that wants a
    lock which the exception left taken.
    """
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


def end_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """End the process, with the one line that a user expects."""
    # Not by print, which the signal may have interrupted.
    try:
        os.write(2, f"iin: {_word(number)}\n".encode())
    finally:
        os._exit(_code(number))


def _send_again(usual: Any) -> Any:
    """Return a hook for exceptions that Python drops, as in a destructor: a `Stopped` among them arrives once more."""

    def dropped(what: Any) -> None:
        if isinstance(what.exc_value, Stopped):
            _send_later(what.exc_value.number)
        else:
            usual(what)

    return dropped


def _send_later(number: int) -> None:
    timer = threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


def _is_importing(frame: FrameType | None) -> bool:
    """Say whether a module is being imported where the signal arrived."""
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            return True
        frame = frame.f_back
    return False


def _is_handing_over(frame: FrameType | None) -> bool:
    """Say whether a condition was taking or giving back its lock when the signal arrived."""
    code = frame.f_code if frame is not None else None
    return code is not None and code.co_filename == threading.__file__ and code.co_name in HANDING_OVER


def _code(number: int) -> int:
    return 130 if number == signal.SIGINT else 143


def _word(number: int) -> str:
    return "interrupted" if number == signal.SIGINT else "terminated"
