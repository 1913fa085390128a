"""`iin plugins` from the shell, with a broken guest installed."""

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_a_broken_guest_is_listed_and_breaks_nothing(tmp_path):
    facts = tmp_path / "evil-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[iin.concepts]\nbad = evil:thing\n")
    (tmp_path / "evil.py").write_text("print('noise')\nimport sys\nsys.exit(9)\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}

    def iin(*arguments):
        command = [sys.executable, "-m", "iin_cli", "plugins", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    listed = iin("--json")
    assert listed.returncode == 0
    unchecked = {(row["group"], row["name"]): row for row in json.loads(listed.stdout)}
    assert {row["status"] for row in unchecked.values()} == {"unchecked"}
    assert unchecked["concepts", "bad"]["distribution"] == "evil"
    # Nothing of it was run.
    assert "noise" not in listed.stderr
    assert "unusable" not in iin().stdout
    done = iin("--check", "--json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert all(set(row) == {"group", "name", "distribution", "version", "status", "error"} for row in rows)
    (bad,) = [row for row in rows if row["name"] == "bad"]
    assert (bad["group"], bad["distribution"], bad["version"], bad["status"]) == ("concepts", "evil", "1.0", "broken")
    assert "SystemExit: 9" in bad["error"]
    (digit,) = [row for row in rows if row["name"] == "digit"]
    assert (digit["distribution"], digit["status"], digit["error"]) == ("iin-cli", "ok", None)
    table = iin("--check", "--quiet")
    assert table.returncode == 0
    assert "SystemExit: 9" in table.stdout
    # Eighty backbones of one distribution are a paragraph, not eighty lines; none is left out.
    assert table.stdout.count("\n") < 40
    assert "unusable" in table.stdout
    assert "resnet50" in table.stdout
    assert "loading" not in table.stderr


GREETING = '''
def greet(name: str = "you") -> None:
    """Greet.

    Examples:

        iin greet
    """
    print(f"hello {name}")
'''


WITHOUT = """
import importlib.metadata as metadata

every = metadata.distributions
metadata.distributions = lambda: [package for package in every() if package.name == "iin-cli"]
"""


def test_a_missing_plugins_command_says_what_brings_it(tmp_path, run_cli):
    # Python runs this file before any other: iin alone is installed then.
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    env = {"PYTHONPATH": str(tmp_path)}
    said = (
        "iin: unknown command 'train-stylizer': it comes with the package iin-sketch, which is not installed: "
        "pip install iin-sketch\n"
    )
    assert run_cli("train-stylizer", "--content", "digits", env=env) == (2, "", said)
    assert run_cli("train-stylizer", "--help", env=env) == (2, "", said)
    code, listed, _ = run_cli("--help", env=env)
    assert code == 0
    assert "train-stylizer" not in listed


def test_a_plugin_brings_commands(tmp_path, run_cli):
    (tmp_path / "greeting.py").write_text(GREETING)
    (tmp_path / "sad.py").write_text("raise RuntimeError('no luck')\n")
    info = tmp_path / "greeting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[iin.commands]\ngreet = greeting:greet\nsad = sad:run\ninfo = greeting:greet\n"
    )
    env = {"PYTHONPATH": str(tmp_path)}
    assert run_cli("greet", "--name", "me", env=env) == (0, "hello me\n", "")
    code, listed, _ = run_cli("--help", env=env)
    assert code == 0
    assert "Greet." in listed
    code, _, said = run_cli("sad", "--any", "thing", env=env)
    assert code == 2
    assert "'sad'" in said
    assert "no luck" in said
    assert said.count("\n") == 1
    # A guest does not take the place of a command that is there.
    assert "checkpoint" in run_cli("info", "--help", env=env)[1]
