"""Results on stdout, everything else on stderr."""

import json

import pytest

from iin_cli.cli import output
from iin_cli.cli.output import print_result, reporter
from iin_cli.progress import Silent


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)


def test_json_is_one_line_and_has_no_nan(capsys, tmp_path):
    print_result({"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": (None, True)}, "out": tmp_path}, True)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert len(captured.out.splitlines()) == 1
    assert json.loads(captured.out) == {"a": None, "b": [1.5, None], "c": {"d": [None, True]}, "out": str(tmp_path)}


def test_a_list_is_a_list(capsys):
    print_result([{"name": "a", "error": None}], True)
    assert json.loads(capsys.readouterr().out) == [{"name": "a", "error": None}]
    print_result([], True)
    assert json.loads(capsys.readouterr().out) == []
    print_result([{"name": "a"}], False, [("things", [{"name": "a", "error": None}])])
    shown = capsys.readouterr().out
    assert "things" in shown
    assert "error" in shown


def test_a_table_shows_scalars_and_rows(capsys):
    print_result(
        {"value": 1.23456789, "many_steps": 7, "nested": {"x": 1}}, False, [("factors", [{"name": "digit", "dim": 13}])]
    )
    lines = capsys.readouterr().out.splitlines()
    assert any("factors" in line for line in lines)
    assert any("digit" in line and "13" in line for line in lines)
    assert any(line.split() == ["value", "1.235"] for line in lines)
    assert any(line.split() == ["many", "steps", "7"] for line in lines)
    assert "nested" not in "".join(lines)


def test_what_is_not_there_has_no_row(capsys):
    print_result({"dominance": None, "stopped": "", "steps": 0}, False)
    assert capsys.readouterr().out.split() == ["steps", "0"]


def test_names_are_data_not_markup(capsys):
    name = "[red]:smile:[/nothing]"
    print_result({"out": name}, False, [(name, [{"name": name}])])
    assert capsys.readouterr().out.count(name) == 3


def test_a_pipe_cuts_nothing(capsys):
    print_result({"out": "/a" * 150}, False, [("t", [{"path": "x" * 60, "cause": "y" * 100}])])
    shown = capsys.readouterr().out
    assert "/a" * 150 in shown
    assert "y" * 100 in shown


def test_other_ranks_say_nothing(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    print_result({"a": 1}, True)
    assert isinstance(reporter(), Silent)
    assert capsys.readouterr().out == ""


def test_quiet_is_silent():
    assert isinstance(reporter(quiet=True), Silent)


def test_off_a_terminal_progress_is_plain_lines_on_stderr(capsys, monkeypatch):
    now = iter(range(0, 1000, 6))
    monkeypatch.setattr(output.time, "monotonic", lambda: float(next(now)))
    report = reporter()
    report.note("inferred: 12 blocks")
    report.warn("few images")
    with report.task("fit", 4, "steps") as task:
        for _ in range(4):
            task.advance(loss=1.25)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[:2] == ["inferred: 12 blocks", "warning: few images"]
    assert len(lines) >= 4
    assert lines[-1].startswith("fit: 4/4 steps")
    assert "loss 1.25" in lines[-1]


def test_on_a_terminal_bars_take_any_description(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    report = reporter()
    with report.task("features of [/photos]", 2, "images") as task:
        task.advance(2, note="[/x]")
    report.warn("[/y] left out")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "features of [/photos]" in captured.err
    assert "[/y] left out" in captured.err


def test_a_last_line_is_not_said_twice(capsys, monkeypatch):
    clock = iter([0.0, 3.0, 3.0, 3.0])
    monkeypatch.setattr(output.time, "monotonic", lambda: next(clock, 3.0))
    with reporter().task("encoding", 10, "images") as task:
        task.advance(10)
    assert capsys.readouterr().err.count("encoding: 10/10 images") == 1


def test_names_never_reach_a_terminal_as_commands(capsys):
    nasty = "a\x1b]0;title\x07\nkind  backbone\u202e"
    print_result({nasty: nasty}, False, [(nasty, [{nasty: nasty}])])
    reporter().note(nasty)
    out, err = capsys.readouterr()
    assert not {"\x1b", "\x07", "\u202e"} & set(out + err)
    assert not any(line.startswith("kind") for line in (out + err).splitlines())
    assert r"a\x1b]0;title\x07\nkind  backbone\u202e" in out
