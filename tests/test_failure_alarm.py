"""The first that fails is heard by all, and who hears nothing is ended."""

import signal
import threading

import pytest
from torch.distributed import TCPStore

from iin_cli import failure_alarm
from iin_cli.failure_alarm import Alarm, Failure


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
