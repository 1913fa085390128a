"""`iin train-stylizer` from the shell: help without torch, JSON, exit codes; its documentation can be typed."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from iin_cli.cli import add_plugin_commands, app, main

PLUGIN = Path(__file__).parents[1]


@pytest.fixture
def command_line(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["iin", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code, *capsys.readouterr()

    return run


@pytest.mark.slow
def test_a_stylizer_from_the_shell(run_cli, pictures, tmp_path):
    words = ("train-stylizer", "--content", pictures, "--encoder-weights", "random", "--steps", 2, "--image-size", 32)
    code, out, err = run_cli(*words, "--seed", 3, "--device", "cpu", "--out", "s", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["checkpoint"], result["steps"], result["seed"]) == ("s/stylizer.safetensors", 2, 3)
    assert "run folder s" in err
    assert "warning: the stylizer's encoder has random weights" in err
    assert (tmp_path / "s" / "stylizer.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--content", "./nowhere"), 3, "nowhere does not exist"),
        (("--content", "digits", "--style", "no.png"), 3, "no such sketch: no.png"),
        (("--content", "digits", "--encoder-weights", "no.pth"), 2, "--encoder-weights no.pth: no such file"),
        (("--content", "digits", "--device", "gpu"), 2, "--device 'gpu'"),
        (("--content", "digits", "--resume"), 2, "name its folder"),
        ((), 2, "--content"),
    ],
)
def test_bad_input(command_line, tmp_path, arguments, code, message):
    left, out, err = command_line("train-stylizer", *arguments, "-q")
    assert (left, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not list((tmp_path / "runs").glob("*/*"))


def test_the_command_is_imported_without_torch():
    program = "import sys, iin_sketch.cli; print(*({'torch', 'numpy', 'torchvision', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "")


def documented():
    add_plugin_commands()
    lines = typer.main.get_command(app).commands["train-stylizer"].callback.__doc__.splitlines()
    blocks = re.findall(r"^```sh\n(.*?)^```", (PLUGIN / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    lines += [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line.strip() for line in lines if line.strip().startswith("iin ")]


def test_what_is_documented_can_be_typed():
    lines = documented()
    assert {line.split()[1] for line in lines} >= {"train-stylizer", "fit-translator"}
    for line in lines:
        words = shlex.split(line, comments=True)
        command = typer.main.get_command(app).commands[words[1]]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words[2:] if word.startswith("-")} <= known, line
