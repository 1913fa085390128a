"""Stdout holds a command's result alone, however a plugin writes to it."""

import json
import os

import pytest

from iin_cli.cli.output import print_result
from iin_cli.cli.stdout import only_results


def noisy():
    """Print by every means, then the result."""
    print("noise of Python")
    os.write(1, b"noise of C\n")
    os.system("echo noise of a program")
    print_result({"answer": 42}, True)


def test_only_the_result_is_on_stdout(capfd):
    only_results(noisy)()
    captured = capfd.readouterr()
    assert json.loads(captured.out.splitlines()[-1]) == {"answer": 42}
    assert "noise of Python" not in captured.out


def test_stdout_is_what_it_was_afterwards(capsys):
    def failing():
        print("noise")
        raise KeyError

    with pytest.raises(KeyError):
        only_results(failing)()
    print("after")
    captured = capsys.readouterr()
    assert captured.out == "after\n"
    assert captured.err == "noise\n"


@pytest.mark.slow
def test_a_noisy_plugin_leaves_the_result_whole(tmp_path, run_cli):
    facts = tmp_path / "loud-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[iin.concepts]\nloud = loud:thing\n[iin.commands]\nquit = loud_command:run\n"
    )
    (tmp_path / "loud_command.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    (tmp_path / "loud.py").write_text(
        "import os\nfrom iin_cli.concepts.labelled import class_concept\nprint('noise')\n"
        "os.write(1, b'noise\\n')\nos.system('echo noise')\n"
        "def thing(argument=None):\n    os.write(1, b'noise\\n')\n    return class_concept()\n"
    )
    code, out, err = run_cli(
        *("preview-concept", "--concept", "loud", "--data", "digits", "--n", "2", "--json"),
        *("--out", tmp_path / "out.png"),
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert code == 0, err
    json.loads(out)
    assert "noise" in err
