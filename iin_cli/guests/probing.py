"""Try things out in another process, so that one which ends it, crashes it, or never returns is only named.

The other process gets its tasks as JSON on stdin and answers each by a line on a pipe of its own: what is written to
stdout, by whatever means, goes to stderr. After a task that ended it, another process goes on with the next one.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

__all__ = ["answer_tasks", "is_another_process", "try_each"]

# The first import of torch takes long on a busy machine.
LIMIT_SECONDS = 120.0
# A process of torchrun would wait for those that do not know of it.
OF_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
# Nothing that was loaded has a say in how the process ends.
CHILD = """
import json, os, sys
given = json.load(sys.stdin)
sys.path[:] = given["path"]
from iin_cli.guests.probing import answer_tasks
answer_tasks(given)
os._exit(0)
"""


def try_each(
    function: str, tasks: Sequence[Any], done: Callable[[], None] = lambda: None, limit: float | None = None
) -> list[Any]:
    """Return what `function` answers each task; a text, why there is no answer, for a task that ended the process.

    Args:
        function: `MODULE:NAME`, from one JSON value to another that is no text.
        done: called after each task.
        limit: seconds for each task; None: two minutes.
    """
    limit, answers = LIMIT_SECONDS if limit is None else limit, []
    while len(answers) < len(tasks):
        answers += _answers(function, tasks[len(answers) :], done, limit)
    return answers


def answer_tasks(given: dict[str, Any]) -> None:
    """Answer every task of `given` on its pipe; this runs in the other process."""
    global _answers_tasks
    _answers_tasks = True
    module, _, name = given["function"].partition(":")
    function = getattr(import_module(module), name)
    for task in given["tasks"]:
        os.write(given["pipe"], json.dumps(function(task)).encode() + b"\n")


_answers_tasks = False


def is_another_process() -> bool:
    """Say whether this is the process in which things are tried out."""
    return _answers_tasks


def _answers(function: str, tasks: Sequence[Any], done: Callable[[], None], limit: float) -> list[Any]:
    """Answer tasks in one process, up to the first that ends it; that one's answer is why."""
    reading, writing = os.pipe()
    given = json.dumps({"function": function, "tasks": list(tasks), "pipe": writing, "path": sys.path})
    try:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=_stderr(),
            text=True,
            pass_fds=(writing,),
            env={name: value for name, value in os.environ.items() if name not in OF_TORCHRUN},
        )
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    answers: list[Any] = []
    try:
        _send(child, given)
        while len(answers) < len(tasks):
            line = _line(reading, time.monotonic() + limit)
            answers.append(json.loads(line) if line else _end(child, limit, timed_out=line is None))
            done()
            if not line:
                break
    finally:
        os.close(reading)
        child.kill()
        child.wait()
    return answers


def _send(child: subprocess.Popen[str], text: str) -> None:
    # A process that ended before it read is seen when no answer comes.
    with suppress(BrokenPipeError):
        if child.stdin is not None:
            child.stdin.write(text)
            child.stdin.close()


def _line(pipe: int, end: float) -> bytes | None:
    """Read one line; empty where the other side has ended, None where the time has passed."""
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([pipe], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return None
        if not (byte := os.read(pipe, 1)):
            return b""
        line += byte
    return line


def _end(child: subprocess.Popen[str], limit: float, timed_out: bool) -> str:
    """Say how the process ended, or that it does not."""
    if timed_out:
        return f"it does not return within {limit:g} s"
    try:
        status = child.wait(5)
    except subprocess.TimeoutExpired:
        return "it closes every file of the process"
    if status < 0:
        return f"it crashes the process ({signal.Signals(-status).name})"
    return f"it ends the process, with exit status {status}"


def _stderr() -> int:
    """The stream that a process started here may write to."""
    try:
        os.fstat(2)
    except OSError:
        return subprocess.DEVNULL
    return 2
