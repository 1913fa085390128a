"""`iin log` from the shell: curves as text and as files, JSON, one-line errors."""

import json

import pytest


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    reports = [{"step": step, "seconds": step / 4, "train_nll": 9.0 - step, "kl": 1.0} for step in range(8)]
    (folder / "log.jsonl").write_text("".join(json.dumps(report) + "\n" for report in reports) + '{"step": 8, "tr')
    return folder


def test_text_json_and_files(run_cli, command_line, run, tmp_path):
    code, out, err = run_cli("log", run, env={"PYTHONIOENCODING": "utf-8"})
    assert (code, err) == (0, "")
    assert "█▇▆▅▄▃▂▁" in out
    code, out, _ = command_line("log", run, "--figure", "train_nll", "--by", "seconds")
    assert code == 0
    lines = out.splitlines()
    assert (lines[0], lines[1][:6]) == ("nll by seconds", "  9 |o")
    assert "o run: train_nll" in lines
    code, out, _ = command_line("log", tmp_path, "--json")
    (found,) = json.loads(out)["runs"]
    assert (code, found["run"], found["state"], found["step"]) == (0, "run", "stopped", 7)
    assert found["figures"]["train_nll"]["value"] == [9.0 - step for step in range(8)]
    code, out, _ = command_line("log", run, "-o", "curves.svg", "--json")
    assert (code, json.loads(out)["out"]) == (0, "curves.svg")
    assert "<svg" in (tmp_path / "curves.svg").read_text()
    code, out, _ = command_line("log", run, "--format", "pdf", "--dpi", 72)
    assert code == 0
    assert (tmp_path / "runs" / "00000-log" / "log.pdf").read_bytes().startswith(b"%PDF")


def test_following_a_run_that_has_ended_prints_what_there_is(command_line, run):
    code, out, _ = command_line("log", run, "--follow", "--json")
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["step"] for row in rows] == list(range(8))
    assert rows[0] == {"run": "run", "step": 0, "seconds": 0.0, "train_nll": 9.0, "kl": 1.0}
    code, out, _ = command_line("log", run, "--follow", "-f", "kl")
    assert out.splitlines()[3] == "run  step 3  seconds 0.75  kl 1"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nowhere",), 3, "no such run folder: nowhere"),
        ((".",), 0, ""),
        (("run", "--figure", "kll"), 2, "--figure 'kll': did you mean kl?"),
        (("run", "--by", "hours"), 2, "--by 'hours'"),
        (("run", "-o", "c.gif"), 2, "name a file that ends in .png or .pdf or .svg"),
        (("run", "-o", "c.pdf", "--format", "svg"), 2, "--format svg: --out c.pdf says what is written"),
        (("run", "--format", "tiff"), 2, "--format 'tiff': choose from: pdf, png, svg"),
        (("run", "--dpi", 300), 2, "--dpi is of a file"),
        (("run", "--follow", "-o", "c.png"), 2, "leave --out and --format out"),
        (("run/log.txt",), 3, "no such run folder"),
    ],
)
def test_errors_are_one_line(command_line, run, arguments, code, says):
    left, _, err = command_line("log", *arguments)
    assert left == code, err
    assert says in err
    assert len(err.splitlines()) == (code != 0)


@pytest.mark.parametrize("arguments", [(), ("--figure", "loss", "--by", "seconds"), ("-o", "log.png"), ("--json",)])
def test_logs_of_others_are_read_whatever_is_in_them(command_line, tmp_path, arguments):
    (tmp_path / "log.jsonl").write_text(
        f'{{"step": {"9" * 30}, "loss": 3e38, "kl": NaN}}\n{{"step": 2, "loss": -3e38, "kl": {"9" * 400}}}\n'
        f'{{"step": {"9" * 400}, "loss": 1}}\n'
    )
    code, out, err = command_line("log", tmp_path, *arguments)
    assert (code, err) == (0, "")
    assert ("loss" in out) == ("seconds" not in arguments)
    assert max(map(len, out.splitlines())) < 120 or "--json" in arguments


def test_a_run_that_is_named_twice_is_read_once(command_line, run):
    _, out, _ = command_line("log", "run", "./run", run, run / "log.jsonl", "--json")
    assert [found["folder"] for found in json.loads(out)["runs"]] == ["run"]


@pytest.mark.parametrize("arguments", [(), ("--follow",), ("--figure", "kl")])
def test_a_run_that_was_killed_before_its_first_report_has_stopped(command_line, run, arguments):
    (run / "log.jsonl").write_text("")
    code, out, err = command_line("log", run, *arguments)
    assert (code, err) == (0, "")
    assert ("stopped" in out) == ("--follow" not in arguments)
    code, _, err = command_line("log", run, "-o", "c.png")
    assert (code, "nothing was reported yet" in err) == (2, True)
