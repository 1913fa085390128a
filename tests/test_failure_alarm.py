"""The first that fails is heard by all, who hears nothing is ended, and who is done ends well.

Started by torchrun, this file is the program that hears nothing, or the one that is done.
"""

import hashlib
import os
import signal
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from torch.distributed import TCPStore

from iin_cli import cli, distributed, failure_alarm
from iin_cli.data import open_dataset
from iin_cli.data.known_files import KnownFiles, Looks
from iin_cli.data.scanning import scan
from iin_cli.distributed import gather, is_main_rank
from iin_cli.failure_alarm import Alarm, Failure
from iin_cli.fitting.backbone_training import BackboneTraining


@pytest.fixture
def alarms(monkeypatch):
    """Make alarms of ranks on machines, that meet at a store in this process; they are stopped afterwards."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(store.port))
    monkeypatch.setattr(failure_alarm, "WATCH_SECONDS", 0.01)
    made = []

    def make(rank, machine="0"):
        monkeypatch.setenv("GROUP_RANK", machine)
        made.append(Alarm(rank))
        return made[-1]

    yield make
    for alarm in made:
        alarm.stop()


def test_the_first_failure_is_told_to_all_and_no_later_one(alarms):
    first, beside, elsewhere = alarms(0), alarms(1), alarms(2, "1")
    assert first.heard() is elsewhere.heard() is None
    assert first.sound("no memory") is None
    assert beside.heard() == Failure("no memory", here=True)
    assert elsewhere.heard() == Failure("no memory", here=False)
    assert beside.sound("lost the first") == Failure("no memory", here=True)
    assert elsewhere.heard() == Failure("no memory", here=False)


def test_runs_started_again_do_not_hear_what_went_before(alarms, monkeypatch):
    alarms(0).sound("no memory")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert alarms(0).heard() is None


def test_who_goes_on_is_asked_to_end_and_then_ended(alarms, monkeypatch):
    sent, ended = [], threading.Event()

    def kill(process, number):
        sent.append((process, number))
        if number == signal.SIGKILL:
            ended.set()

    monkeypatch.setattr(failure_alarm, "GRACE_SECONDS", 0.01)
    monkeypatch.setattr(failure_alarm.os, "kill", kill)
    monkeypatch.setattr(failure_alarm.os, "getpid", lambda: 17)
    alarms(1).sound("no memory")
    assert ended.wait(60)
    assert sent == [(17, signal.SIGTERM), (17, signal.SIGKILL)]


def test_who_has_stopped_in_time_is_left_alone(alarms, monkeypatch):
    sent = []
    monkeypatch.setattr(failure_alarm.os, "kill", lambda *what: sent.append(what))
    alarm = alarms(0)
    alarm.sound("no memory")
    alarm.stop()
    assert not alarm._watcher.is_alive()
    assert sent == []


def deaf():
    """Process 1 fails; process 0 hears no signal, as one that waits for a GPU does not."""
    failure_alarm.WATCH_SECONDS, failure_alarm.GRACE_SECONDS = 0.1, 0.5
    gather(0)
    if is_main_rank():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(100)
    sys.stderr.write("iin: no more\n")
    distributed.report_failure("no more")
    os._exit(3)


def busy():
    """The command is done, and a thread still asks the store, as one does on a machine that stood still."""
    gather(0)
    store = distributed._alarm()._store

    def ask():
        while True:
            store.check(["never"])

    threading.Thread(target=ask, daemon=True).start()
    sys.argv = ["iin", "--version"]
    cli.main()


def test_a_process_that_fails_ends_the_job_with_its_own_line(torchrun, pictures, tmp_path, cache, monkeypatch):
    broken = tmp_path / "pictures"
    broken.mkdir()
    for file in pictures.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    dataset = open_dataset(str(broken))
    recipe = type("Recipe", (), {"batch_size": 64})()
    backbone = type("Backbone", (), {"classes": ("a", "b", "c"), "image_size": 32, "interpolation": "bicubic"})()
    work = BackboneTraining(backbone, recipe, dataset, 1, torch.device("cpu"))
    # The last row of the first batch is the second process's alone.
    file = Path(dataset.path(int(work._batch(0)[-1])))
    file.write_bytes(file.read_bytes()[:60])
    # Believed to be good, it passes the look at every file at the start.
    monkeypatch.setenv("IIN_CACHE", str(cache))
    listing = scan(broken)
    looks = Looks.none_at(listing.facts)
    for place, facts in enumerate(listing.facts.tolist()):
        digest = hashlib.sha256((broken / listing.files[place]).read_bytes()).hexdigest()
        looks.add(place, digest, None, facts, time.time_ns() + 10**10)
    KnownFiles(broken).remember(listing.files, looks)
    command = ["train-backbone", "-b", "classifier", "-d", broken, "--steps", 50, "--seed", 1, "--device", "cpu"]
    code, out, err, seconds = torchrun("-m", "iin_cli", *command, "--out", tmp_path / "run", folder=tmp_path)
    assert (code, out) == (1, "")
    assert 0 < seconds < 30
    lines = [line for line in err.splitlines() if line.startswith("iin: ")]
    assert len(lines) == 1, err
    assert f"iin: image {file} cannot be read" in lines[0]
    assert lines[0].endswith("(process 1 of 2)")
    # Torchrun's own report ends with it.
    assert lines[0] in err.splitlines()[-2]
    assert "exitcode  : 3" in err
    assert not (tmp_path / "run").exists()


def test_a_failing_main_process_ends_those_that_wait_for_it(torchrun, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "something").write_text("")
    command = ["train-backbone", "-b", "classifier", "-d", "digits", "--device", "cpu", "--out", tmp_path / "run"]
    code, _, err, seconds = torchrun("-m", "iin_cli", *command, folder=tmp_path)
    assert code == 1
    assert 0 < seconds < 30
    lines = [line for line in err.splitlines() if line.startswith("iin: ")]
    assert lines == [f"iin: --out {tmp_path / 'run'} is not empty: name a new folder, or --resume a run in it"]
    assert "exitcode  : 2" in err


def test_a_process_that_hears_nothing_is_ended_too(torchrun, tmp_path):
    code, _, err, seconds = torchrun(__file__, "deaf", folder=tmp_path)
    assert code == 1
    assert 0 < seconds < 30
    assert "exitcode  : 3" in err
    assert "SIGKILL" in err
    assert "forcefully" not in err


def test_a_thread_at_work_aborts_no_process_that_is_done(torchrun, tmp_path):
    code, out, err, _ = torchrun(__file__, "busy", folder=tmp_path)
    assert code == 0, err
    assert out.count(f"iin {version('iin-cli')}\n") == 2


if __name__ == "__main__":
    {"deaf": deaf, "busy": busy}[sys.argv[1]]()
