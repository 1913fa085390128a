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
