"""What a training reports as it goes: every line at once, none twice after a resume, none lost to a kill."""

import json
import os
import signal
import sys

import pytest
import torch

from iin_cli.errors import DataError, UsageError
from iin_cli.io.holding import hold
from iin_cli.training import log_files, logs
from iin_cli.training.log_files import RunHistory, logged_runs, read_reports, read_run, require_log
from iin_cli.training.logs import RunLog
from iin_cli.training.loop import Schedule, optimise


class Falling:
    """Reports a loss that falls with the step; saved and restored by its step."""

    def __init__(self, at=None):
        self.at, self.now = at or {}, 0

    def step(self, step, fraction):
        if step in self.at:
            self.at[step]()
        self.now = step + 1
        return {"train_loss": 100.0 - step, "accuracy": 0.25}

    def validate(self):
        return {"score": 50.0 - self.now, "heldout_loss": 101.0 - self.now, "accuracy": 0.5}

    def weights(self):
        return {"w": torch.tensor([float(self.now)])}

    def load_weights(self, weights):
        self.now = int(weights["w"])

    def state_dict(self):
        return {"now": self.now}

    def load_state_dict(self, state):
        self.now = state["now"]


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def without_time(reports):
    return [{name: value for name, value in report.items() if name != "seconds"} for report in reports]


SCHEDULE = Schedule(60, validate_every=20, from_start=True)


def test_validations_are_in_the_log_as_in_the_history_and_some_steps_between(tmp_path):
    result = optimise(Falling(), SCHEDULE, log=RunLog(tmp_path))
    reports = lines(tmp_path)
    assert [report["step"] for report in reports] == list(range(0, 61, 2))
    assert [report for report in reports if "heldout_loss" in report] == result.history
    assert [report["train_loss"] for report in reports if report["step"]] == [101.0 - at for at in range(2, 61, 2)]
    assert all(report["seconds"] >= 0 for report in reports)
    # What was measured on training data is never taken for what was held out.
    assert {report["train_accuracy"] for report in reports if report["step"]} == {0.25}
    assert [report["step"] for report in reports if report.get("accuracy") == 0.5] == [0, 20, 40, 60]


def test_each_report_is_there_before_the_next_step(tmp_path):
    seen = []
    optimise(Falling({13: lambda: seen.extend(lines(tmp_path))}), SCHEDULE, log=RunLog(tmp_path))
    assert [report["step"] for report in seen] == list(range(0, 13, 2))


@pytest.mark.parametrize("left", ["as it is", "a line cut off", "lines of steps taken again", "nothing"])
def test_a_resumed_run_has_the_log_of_one_that_was_never_interrupted(tmp_path, left):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    optimise(Falling(), SCHEDULE, log=RunLog(whole))
    interrupted = Falling({33: lambda: os.kill(os.getpid(), signal.SIGINT)})
    with pytest.raises(KeyboardInterrupt):
        optimise(interrupted, SCHEDULE, state_path=cut / "state.safetensors", log=RunLog(cut))
    assert [report["step"] for report in lines(cut)] == list(range(0, 35, 2))
    log = cut / "log.jsonl"
    if left == "a line cut off":
        log.write_text(log.read_text() + '{"step": 36, "train_lo')
    elif left == "lines of steps taken again":
        log.write_text(log.read_text() + '{"step": 36, "train_loss": -1.0}\n{"step": 38, "train_loss": -1.0}\n')
    elif left == "nothing":
        log.unlink()
    optimise(Falling(), SCHEDULE, state_path=cut / "state.safetensors", resume=True, log=RunLog(cut))
    expected = without_time(lines(whole))
    if left == "nothing":
        # The state remembers the validations.
        expected = [report for report in expected if "score" in report or report["step"] > 34]
    assert without_time(lines(cut)) == expected


def test_a_log_that_cannot_be_written_ends_no_training(tmp_path, heard):
    def fill():
        log._lines.close()
        log._lines = open("/dev/full", "ab", buffering=0)  # noqa: SIM115 - closed by the log

    if not os.path.exists("/dev/full"):
        pytest.skip("there is no device that is always full")
    log = RunLog(tmp_path, report=heard)
    result = optimise(Falling({30: fill}), SCHEDULE, log=log)
    assert (result.steps, len(heard.warnings)) == (60, 1)
    assert "log.jsonl cannot be written, and the training goes on without: " in heard.warnings[0]
    (tmp_path / "no").write_text("a file, no folder")
    assert optimise(Falling(), SCHEDULE, log=RunLog(tmp_path / "no", report=heard)).steps == 60
    assert len(heard.warnings) == 2


def test_other_ranks_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "is_main_rank", lambda: False)
    optimise(Falling(), SCHEDULE, log=RunLog(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_reading_is_patient_with_what_a_kill_leaves(tmp_path):
    file = tmp_path / "log.jsonl"
    assert read_reports(file) == ()
    good = {"step": 2, "seconds": 0.5, "loss": 1.0}
    file.write_bytes(
        json.dumps(good).encode()
        + b'\n{"step": 4, "loss": 3.0}\n{"step": 4, "loss": 2.0}\n[1]\n{"loss": 5}\n\xff\xfe\n'
        + b'{"step": 6, "loss": "x"}\n{"step": 1, "loss"'
    )
    assert read_reports(file) == (good, {"step": 4, "loss": 2.0}, {"step": 6})
    file.unlink()
    file.mkdir()
    with pytest.raises(DataError, match="cannot read"):
        read_reports(file)


def test_numbers_that_nothing_can_draw_are_left_out_of_reports(tmp_path):
    file, long = tmp_path / "log.jsonl", "9" * 400
    file.write_text(
        f'{{"step": 1, "a": NaN, "b": -Infinity, "c": {long}, "d": true, "e": 1e300, "f": 2}}\n'
        f'{{"step": {long}, "f": 3}}\n{{"step": true, "f": 4}}\n'
    )
    assert read_reports(file) == ({"step": 1, "f": 2},)


def test_numbers_that_are_not_finite_have_no_place_in_json(tmp_path):
    log = RunLog(tmp_path)
    log.begin()
    log.add({"step": 1, "seconds": 0.1, "loss": float("nan"), "other": float("inf"), "kl": 2.0})
    log.close()
    assert lines(tmp_path) == [{"step": 1, "seconds": 0.1, "kl": 2.0}]


def test_the_state_of_a_run(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1, "seconds": 1.0, "loss": 2.0}\n')
    assert read_run(tmp_path).state == "stopped"
    with hold(tmp_path):
        assert read_run(tmp_path).state == "running"
    (tmp_path / "result.json").write_text("{}")
    run = read_run(tmp_path)
    assert (run.state, run.figures) == ("finished", ("loss",))
    assert run.curve("loss", "seconds") == ([1.0], [2.0])


def test_a_run_from_before_there_were_logs_has_the_history_of_its_result(tmp_path):
    history = [{"step": 5, "seconds": 1.0, "loss": 2.0}]
    (tmp_path / "result.json").write_text(json.dumps({"history": history}))
    assert read_run(tmp_path).reports == tuple(history)
    for other in ("{}", "[]", "torn", '{"history": 3}'):
        (tmp_path / "result.json").write_text(other)
        with pytest.raises(DataError, match=r"holds no log\.jsonl of a training: name the run folder of one"):
            read_run(tmp_path)


def test_runs_are_found_by_folder_by_log_and_one_folder_up(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.jsonl").write_text("")
    assert logged_runs(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert logged_runs(tmp_path / "a") == logged_runs(tmp_path / "a" / "log.jsonl") == [tmp_path / "a"]
    with pytest.raises(DataError, match="no such run folder"):
        logged_runs(tmp_path / "c")


def test_a_figure_that_comes_later_is_named_last():
    reports = ({"step": 0, "b": 1.0}, {"step": 1, "a": 1.0, "b": 2.0})
    assert RunHistory("run", None, "stopped", reports).figures == ("b", "a")


def test_what_may_be_asked_for(monkeypatch):
    assert require_log(None) is None
    with pytest.raises(UsageError, match="--log 'wandb'"):
        require_log("wandb")
    monkeypatch.setattr(log_files, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'iin-cli\[tensorboard\]'"):
        require_log("tensorboard")


def scalars(folder):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return {name: [(event.step, event.value) for event in found.Scalars(name)] for name in found.Tags()["scalars"]}


def test_tensorboard_reads_what_the_log_says_also_after_a_resume(tmp_path, heard):
    pytest.importorskip("tensorboard")
    state = tmp_path / "state.safetensors"
    interrupted = Falling({33: lambda: os.kill(os.getpid(), signal.SIGINT)})
    with pytest.raises(KeyboardInterrupt):
        optimise(interrupted, SCHEDULE, state_path=state, log=RunLog(tmp_path, "tensorboard", heard))
    # As if the process had gone on for two steps that no state knows.
    log = RunLog(tmp_path, "tensorboard", heard)
    log.begin(steps=34)
    log.add({"step": 36, "seconds": 1.0, "train_loss": -1.0})
    log.close()
    optimise(Falling(), SCHEDULE, state_path=state, resume=True, log=RunLog(tmp_path, "tensorboard", heard))
    found = scalars(tmp_path)
    for name in ("train_loss", "heldout_loss", "score"):
        assert found[name] == [(report["step"], report[name]) for report in lines(tmp_path) if name in report]
    assert heard.warnings == []
    assert "tensorflow" not in sys.modules
