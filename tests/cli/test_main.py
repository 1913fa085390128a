"""What the command line sets up before a command runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_idle_threads_leave_the_cores_unless_the_user_says_otherwise(given, spins):
    kept = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    program = (
        "import atexit, os, sys; sys.argv = ['iin', '--version']; "
        "atexit.register(lambda: print(os.environ.get('GOMP_SPINCOUNT'))); from iin_cli.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], env=kept | given, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(spins)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["info", "-q"], "iin info"),
        (["edit"], "iin edit"),
        (["plugins", "--bogus"], "iin plugins"),
    ],
)
def test_what_cannot_be_read_points_to_the_commands_own_help(command_line, words, command):
    code, _, err = command_line(*words)
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"(see `{command} --help`)" in err
