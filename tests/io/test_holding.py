"""A folder that one run writes is closed to all others, and a run that was killed leaves nothing behind."""

import errno
import json
import os
import subprocess
import sys

import pytest

from iin_cli.errors import UsageError
from iin_cli.io.holding import hold
from iin_cli.io.output import Output
from iin_cli.io.rundir import open_run

PART = ".training-state.safetensors.0123abcd.part"


def test_two_runs_do_not_write_into_one_folder(tmp_path):
    with hold(tmp_path), pytest.raises(UsageError, match="another run is writing into"), hold(tmp_path):
        pass
    with hold(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_where_there_are_no_locks_the_run_goes_on(tmp_path, monkeypatch):
    def refuse(handle, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with hold(tmp_path):
        pass


def test_a_killed_run_holds_nothing(tmp_path):
    program = "import sys, time; from pathlib import Path; from iin_cli.io.holding import hold\n"
    program += "with hold(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match="another run is writing into"), hold(tmp_path):
            pass
        other.kill()
        other.wait()
    with hold(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_run_folder_is_held_and_the_refused_run_leaves_it_alone(tmp_path):
    out = tmp_path / "run"
    with open_run(out, "x") as folder:
        for again in (open_run(out, "x"), open_run(out, "x", resume=True), Output.open(out, "x", (".png",), "a plot")):
            with pytest.raises(UsageError, match="another run is writing into"), again:
                pass
        assert folder.is_dir()
    with open_run(out, "x"):
        pass


def test_a_folder_that_went_away_meanwhile_is_refused(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    monkeypatch.setattr("fcntl.flock", lambda handle, operation: (tmp_path / "run").rmdir())
    with pytest.raises(UsageError, match="another run is writing into"), hold(tmp_path / "run"):
        pass


def test_what_a_killed_run_left_counts_as_nothing(tmp_path):
    (tmp_path / PART).write_text("half")
    (tmp_path / "plan.json").write_text(json.dumps({"seed": 3, "plan": {}}))
    with open_run(tmp_path, "x") as folder:
        assert list(folder.iterdir()) == []


def test_a_resumed_run_removes_parts_and_keeps_the_plan(tmp_path):
    (tmp_path / PART).write_text("half")
    (tmp_path / "plan.json").write_text(json.dumps({"seed": 3}))
    with open_run(tmp_path, "x", resume=True) as folder:
        assert [file.name for file in folder.iterdir()] == ["plan.json"]


@pytest.mark.parametrize("text", ["[]", "{", '{"rooms": 3}'])
def test_a_plan_of_another_kind_is_the_users(tmp_path, text):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(UsageError, match="is not empty"), open_run(tmp_path, "x"):
        pass
    assert (tmp_path / "plan.json").read_text() == text


def test_parts_stay_where_a_run_is_refused(tmp_path):
    for name in ("result.json", PART, "notes.part"):
        (tmp_path / name).write_text("x")
    with pytest.raises(UsageError, match="is not empty"), open_run(tmp_path, "x"):
        pass
    assert len(list(tmp_path.iterdir())) == 3
