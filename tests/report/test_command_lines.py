"""The command lines of a report can be typed."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
import typer

from iin_cli.cli import app
from iin_cli.data import open_dataset
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import ChosenData
from iin_cli.progress import Silent
from iin_cli.report.command_lines import CommandLines


@pytest.fixture
def lines(files, tmp_path, monkeypatch):
    folder = tmp_path / "with space"
    folder.mkdir()
    translator = Path(shutil.copy(files.of_images, folder / "translator.safetensors"))
    monkeypatch.chdir(folder)
    opened = open_translator(Path(translator.name))
    data = ChosenData(opened, DataChoice(None, Path("/somewhere else"), "all", 7, 3), Silent())
    # Nothing is there.
    data.dataset = open_dataset("digits")
    return CommandLines.of(data, device="cpu")


def typed(line):
    """The parsed parameters of a command line; an unknown option raises.

    Before 0.27 typer leaves paths as text, and lists as tuples.
    """
    program, name, *words = shlex.split(line)
    assert program == "iin"
    command = typer.main.get_command(app).commands[name]
    return command.make_context(name, words, resilient_parsing=False).params


def test_a_command_line_says_all_that_was_given(lines):
    given = typed(lines.command("swap", "--factor", "digit; rm -r x", "--n", 7, out="swap.png"))
    assert Path(given["translator"]) == lines.translator
    assert list(given["factor"]) == ["digit; rm -r x"]
    assert (given["n"], given["seed"], given["split"], given["device"]) == (7, 3, "all", "cpu")
    data_root, out = (Path(given[name]) for name in ("data_root", "out"))
    assert (given["data"], data_root, out) == (None, Path("/somewhere else"), Path("swap.png"))
    assert Path(typed(lines.command("report", "--n", 7, out="r.html"))["translator"]) == lines.translator


def test_the_fit_is_told_from_the_checkpoint_and_the_plan_beside_it(lines):
    given = typed(lines.fit())
    assert given["backbone"] == lines.opened.network.source == typed(lines.dims())["backbone"]
    assert list(typed(lines.dims())["concept"]) == ["digit", "color"]
    assert given["dims"] == "digit=3,color=2"
    assert list(given["concept"]) == ["digit", "color"]
    assert (given["steps"], given["data"]) == (None, "digits")
    plan = {"factors": lines.opened.factors.dims, "plan": {"steps": 20, "max_seconds": 1.5, "feature_noise": 0.0}}
    (lines.translator.parent / "plan.json").write_text(json.dumps(plan))
    given = typed(lines.fit())
    assert (given["steps"], given["max_seconds"], given["feature_noise"]) == (20, 1.5, 0)


@pytest.mark.parametrize("text", ["{", "[]", '{"factors": {}, "plan": {"steps": 9}}'])
def test_a_plan_that_is_broken_or_anothers_is_not_used(lines, text):
    (lines.translator.parent / "plan.json").write_text(text)
    assert "--steps" not in lines.fit()
