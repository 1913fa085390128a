"""A closed stdout or stderr is no failure; a full disk behind stdout is one."""

import errno
import os
import sys

import pytest

from iin_cli.cli.streams import lasting_streams


class Broken:
    """A stream on the descriptor `number` whose writes fail with `code`."""

    def __init__(self, number, code):
        self.number, self.code = number, code

    def write(self, text):
        raise OSError(self.code, os.strerror(self.code))

    flush = write

    def isatty(self):
        return self.code == errno.EIO

    def fileno(self):
        return self.number


@pytest.fixture
def number(tmp_path):
    handle = os.open(tmp_path / "stream", os.O_WRONLY | os.O_CREAT)
    yield handle
    os.close(handle)


@pytest.mark.parametrize("code", [errno.EPIPE, errno.EBADF, errno.EIO])
def test_a_reader_that_left(monkeypatch, number, code):
    broken = Broken(number, code)
    broken.flush = lambda: None
    monkeypatch.setattr(sys, "stdout", broken)
    with lasting_streams():
        print("result")
    assert sys.stdout is broken
    assert os.fstat(number).st_rdev == os.stat(os.devnull).st_rdev


def test_a_full_disk_behind_stdout_is_told(monkeypatch, number):
    broken = Broken(number, errno.ENOSPC)
    monkeypatch.setattr(sys, "stdout", broken)
    with pytest.raises(OSError, match="space"), lasting_streams():
        print("result")


def test_messages_never_end_a_command(monkeypatch, number):
    monkeypatch.setattr(sys, "stderr", Broken(number, errno.ENOSPC))
    with lasting_streams():
        print("progress", file=sys.stderr)


def test_streams_that_were_never_there(monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with lasting_streams():
        print("result")
        print("progress", file=sys.stderr)
    assert (sys.stdout, sys.stderr) == (None, None)


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_the_command_with_closed_streams(closed):
    program = f"'{sys.executable}' -m iin_cli plugins {closed}"
    assert os.waitstatus_to_exitcode(os.system(f"exec >/dev/null; {program}")) == 0
