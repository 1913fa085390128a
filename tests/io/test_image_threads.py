"""Threads that read: in order, and never waited for once something went wrong."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from iin_cli.io.image_files import in_threads


def test_outcomes_come_in_order():
    assert list(in_threads(lambda number: (time.sleep(0.01 * (number % 3)), number)[1], range(20))) == list(range(20))


def test_after_a_failure_nothing_more_is_begun():
    begun, release = [], threading.Event()

    def work(number):
        begun.append(number)
        if number == 0:
            raise ValueError("broken")
        release.wait(20)

    started = time.monotonic()
    with pytest.raises(ValueError, match="broken"):
        list(in_threads(work, range(1000)))
    assert time.monotonic() - started < 10
    release.set()
    assert len(begun) < 1000


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_look_at_many_images(number, code, tmp_path):
    program = """
import sys
import time
import iin_cli.data.checking as checking
from iin_cli.cli import main
def slow(path, known):
    open(sys.argv[-1] + "-begun", "w").close()
    time.sleep(0.5)
checking.inspect = slow
main()
"""
    for index in range(400):
        (tmp_path / f"{index}.png").write_bytes(b"x")
    command = ["train-backbone", "-b", "classifier", "-d", str(tmp_path), "--out", str(tmp_path / "out")]
    with subprocess.Popen(
        [sys.executable, "-c", program, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while not (tmp_path / "out-begun").exists() and process.poll() is None:
                time.sleep(0.05)
            process.send_signal(number)
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, len(err.splitlines())) == (code, 1)
