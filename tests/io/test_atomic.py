"""A file appears whole or not at all."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from iin_cli.errors import ResourceError, UsageError
from iin_cli.io.atomic import write_atomically, write_text


def test_a_file_appears_whole_under_its_name(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    with write_atomically(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["a.txt"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_who_may_read(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a.txt", "x")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode


def test_many_writers_leave_the_umask_alone(tmp_path, monkeypatch):
    change, before = os.umask, os.umask(0o027)

    def change_slowly(mask):
        found = change(mask)
        # Time enough for another thread to see it, which happens seldom otherwise.
        time.sleep(0.01)
        return found

    monkeypatch.setattr(os, "umask", change_slowly)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: write_text(tmp_path / f"{number}.txt", "x"), range(40)))
        assert change(0o027) == 0o027
    finally:
        change(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}


def test_a_writer_that_puts_a_file_of_its_own_there_changes_nothing(tmp_path):
    with write_atomically(tmp_path / "a.txt") as temporary:
        other = tmp_path / "other"
        other.write_text("x")
        other.chmod(0o600)
        other.replace(temporary)
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError("no"), SystemExit(1)])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with write_atomically(path) as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises((KeyboardInterrupt, ValueError, SystemExit)):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_text_is_utf8(tmp_path):
    write_text(tmp_path / "a.txt", "z̃")
    assert (tmp_path / "a.txt").read_bytes() == "z̃".encode()


def test_a_full_disk_and_a_refusal_have_their_own_errors(tmp_path):
    def fail(number):
        with write_atomically(tmp_path / "a.txt"):
            raise OSError(number, os.strerror(number))

    with pytest.raises(ResourceError, match=r"no space left on the disk while writing .*a.txt"):
        fail(errno.ENOSPC)
    with pytest.raises(UsageError, match=r"cannot write .*a.txt: Read-only file system"):
        fail(errno.EROFS)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "a").write_text("file")
    with pytest.raises(UsageError, match="cannot write"):
        write_text(tmp_path / "a" / "b.txt", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot write"):
        write_text(tmp_path / "folder", "x")
    assert sorted(os.listdir(tmp_path)) == ["a", "folder"]
