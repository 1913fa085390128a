"""Run folders: new, empty or numbered; an empty one of a failed run goes away."""

import json
import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from iin_cli.errors import UsageError
from iin_cli.io import rundir
from iin_cli.io.rundir import new_file, open_run, write_json


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fail_in(run):
    with run as folder:
        raise ValueError(folder)


def test_numbers_count_on(tmp_path):
    for number in range(3):
        with open_run(None, "fit-translator") as folder:
            assert folder.name == f"{number:05d}-fit-translator"
            assert folder.is_dir()
    (tmp_path / "runs" / "00041-other").mkdir()
    (tmp_path / "runs" / "notes").mkdir()
    with open_run(None, "swap") as folder:
        assert folder.name == "00042-swap"


def test_a_label_becomes_a_plain_name():
    with open_run(None, "fit-../my net:label:x y/") as folder:
        assert folder.parent.name == "runs"
        assert folder.name == "00000-fit-..-my-net-label-x-y"
    with open_run(None, "x" * 500) as folder:
        assert len(folder.name) < 100


def test_out_is_made_or_taken_when_empty(tmp_path):
    with open_run(tmp_path / "a" / "b", "x") as folder:
        assert folder == tmp_path / "a" / "b"
        assert folder.is_dir()
    with open_run(tmp_path / "a" / "b", "x") as folder:
        assert folder.is_dir()


def test_out_that_is_taken_is_refused(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(UsageError, match="full is not empty"), open_run(tmp_path / "full", "x"):
        pass
    with pytest.raises(UsageError, match="x is a file"), open_run(tmp_path / "full" / "x", "x"):
        pass
    with open_run(tmp_path / "full", "x", resume=True) as folder:
        assert (folder / "x").read_text() == "mine"


def test_out_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot write"), open_run(tmp_path / "file" / "below", "x"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_out_without_permission_is_refused(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(UsageError, match="cannot write"), open_run(tmp_path / "closed" / "x", "x"):
        pass


def test_an_empty_folder_of_a_failed_run_goes_away(tmp_path):
    for out in (None, tmp_path / "new"):
        with pytest.raises(ValueError, match=r"x|new"):
            fail_in(open_run(out, "x"))
    assert os.listdir(tmp_path / "runs") == []
    assert not (tmp_path / "new").exists()


def test_what_a_failed_run_left_or_the_user_made_stays(tmp_path):
    def fail():
        with open_run(tmp_path / "new", "x") as folder:
            (folder / "state").write_text("half way")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (tmp_path / "new" / "state").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="mine"):
        fail_in(open_run(tmp_path / "mine", "x"))
    assert (tmp_path / "mine").is_dir()


def test_a_result_file_is_new(tmp_path):
    with new_file(tmp_path / "a" / "grid.png", "swap", "x.png") as file:
        assert file == tmp_path / "a" / "grid.png"
        assert file.parent.is_dir()
        file.write_text("mine")
    assert [entry.name for entry in file.parent.iterdir()] == ["grid.png"]
    with pytest.raises(UsageError, match="exists already"), new_file(file, "swap", "x.png"):
        pass
    with new_file(None, "swap", "grid.png") as file:
        assert file.as_posix() == "runs/00000-swap/grid.png"
    with pytest.raises(ValueError, match="mine"), new_file(None, "swap", "grid.png"):
        raise ValueError("mine")
    assert [entry.name for entry in Path("runs").iterdir()] == ["00000-swap"]


def test_a_result_file_is_written_by_one_run(tmp_path, monkeypatch):
    file = tmp_path / "grid.png"
    with new_file(file, "", ""):
        with pytest.raises(UsageError, match=r"another run is writing .*grid\.png"), new_file(file, "", ""):
            pass
        # The other processes of one run under torchrun write nothing.
        with monkeypatch.context() as processes:
            processes.setenv("RANK", "1")
            with new_file(file, "", "") as same:
                assert same == file
    with pytest.raises(ValueError, match="mine"), new_file(file, "", ""):
        raise ValueError("mine")
    # A killed run leaves its claim, unlocked.
    (tmp_path / ".grid.png.00000000.part").touch()
    with new_file(file, "", ""):
        file.touch()
    assert [entry.name for entry in tmp_path.iterdir() if "grid" in entry.name] == ["grid.png"]


def test_a_file_that_another_run_finished_meanwhile_stays(tmp_path, monkeypatch):
    file = tmp_path / "grid.png"

    @contextmanager
    def late(path):
        path.write_text("theirs")
        yield

    monkeypatch.setattr(rundir, "hold_file", late)
    with pytest.raises(UsageError, match="exists already"), new_file(file, "", ""):
        pytest.fail("it would be written over")
    assert file.read_text() == "theirs"


def test_json_is_whole_and_sorted(tmp_path):
    write_json(tmp_path / "plan.json", {"b": 1, "a": [0.5]})
    text = (tmp_path / "plan.json").read_text()
    assert json.loads(text) == {"a": [0.5], "b": 1}
    assert text.index('"a"') < text.index('"b"')
