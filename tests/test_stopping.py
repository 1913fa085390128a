"""Signals end the program with their code, even where Python drops the exception."""

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest

from iin_cli.stopping import ENDING, Stopped, end_at_once, listen, raising


@pytest.fixture(autouse=True)
def listening(signals):
    listen()


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"), (signal.SIGHUP, 143, "terminated")],
)
def test_a_signal_raises_while_a_command_runs(number, code, word):
    with pytest.raises(Stopped) as stopped:
        received(number)
    assert (stopped.value.code, stopped.value.word) == (code, word)
    assert all(signal.getsignal(each) is end_at_once for each in ENDING)


def received(number):
    with raising(once=False):
        os.kill(os.getpid(), number)
        pytest.fail("nothing was raised")


class Dropping:
    """Receives a signal where Python reports an exception and goes on."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)


def dropped():
    with raising(once=False):
        Dropping()
        time.sleep(10)
        pytest.fail("the signal was lost")


def test_an_exception_dropped_in_a_destructor_comes_again():
    usual = sys.unraisablehook
    with pytest.raises(Stopped):
        dropped()
    assert sys.unraisablehook is usual


def swallowing():
    with raising(once=False), contextlib.suppress(BaseException):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_swallowed_signal_ends_the_command_all_the_same():
    with pytest.raises(Stopped):
        swallowing()


def test_under_torchrun_the_second_one_is_ignored():
    with pytest.raises(Stopped), raising(once=True):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_what_the_caller_ignores_stays_ignored():
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    listen()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)] == [signal.SIG_IGN] * 2
    with raising(once=False):
        os.kill(os.getpid(), signal.SIGHUP)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.7, 1.5])
def test_from_the_first_import_on(tmp_path, number, code, delay):
    # The program says when it listens, and then imports the command line and torch.
    program = (
        "import sys, iin_cli.stopping as s; listen = s.listen\n"
        "s.listen = lambda: (listen(), print('listening', flush=True))\n"
        "sys.argv = ['iin', 'train-backbone', '-b', 'classifier', '-d', 'digits', '--out', 'run', '--device', 'cpu']\n"
        "from iin_cli.__main__ import main; main()"
    )
    environment = {**os.environ, "IIN_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            assert process.stdout.readline() == "listening\n"
            time.sleep(delay)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == code, said
    assert said.splitlines()[-1].startswith("iin: interrupted" if code == 130 else "iin: terminated")
    assert "Traceback" not in said


def test_a_signal_during_an_import_waits_for_its_end(tmp_path, monkeypatch):
    (tmp_path / "imported_slowly.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(0.2)\nwhole = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    listen()

    def command():
        importlib.import_module("imported_slowly")
        time.sleep(5)

    with pytest.raises(Stopped), raising(once=False):
        command()
    assert sys.modules.pop("imported_slowly").whole


def test_a_signal_waits_while_a_condition_takes_its_lock():
    given_back = []
    lock = SimpleNamespace(
        acquire=None,
        release=None,
        __enter__=partial(os.kill, os.getpid(), signal.SIGTERM),
        __exit__=lambda *_: given_back.append(True),
    )
    with pytest.raises(Stopped), raising(once=False), threading.Condition(lock):
        time.sleep(5)
    assert given_back


# Sends a signal at one moment of the main thread's wait for its threads, once.
WAITING = """
import os, sys, threading, time, types
import iin_cli.data.checking as checking
from iin_cli.cli import main
usual, sent = threading.Condition.{method}, []
def interrupted(condition, *given):
    result = usual(condition, *given)
    is_main = threading.get_ident() == threading.main_thread().ident
    if is_main and not sent and sys._getframe(1).f_code.co_name == "{caller}" and os.path.exists("begun"):
        sent.append(True)
        os.kill(os.getpid(), {number})
    return result
threading.Condition.{method} = interrupted
def slow(path, known):
    open("begun", "w").close()
    time.sleep(0.02)
    return types.SimpleNamespace(problem="broken", status=None)
checking.inspect = slow
sys.argv = ["iin", "train-backbone", "-b", "classifier", "-d", "pictures", "--out", "out"]
main()
"""


# After __enter__ the lock of a condition stays taken, and a worker waits for it; after _release_save it is free.
@pytest.mark.parametrize(("method", "caller"), [("__enter__", "result"), ("_release_save", "wait")])
def test_a_signal_while_locks_change_hands_ends_the_command(tmp_path, method, caller):
    (tmp_path / "pictures").mkdir()
    for index in range(600):
        (tmp_path / "pictures" / f"{index}.png").write_bytes(b"x")
    program = WAITING.format(method=method, caller=caller, number=int(signal.SIGTERM))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (143, "iin: terminated"), done.stderr


@pytest.mark.parametrize("number", ENDING)
def test_what_arrives_when_the_work_is_done_changes_nothing(number):
    program = (
        "import atexit, os, sys; from iin_cli.cli import main\n"
        f"sys.argv = ['iin', '--version']; atexit.register(os.kill, os.getpid(), {int(number)})\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("iin ")
