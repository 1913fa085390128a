"""Run cells of shell in one piece: IPython's own `%%sh` shows what a command prints in chunks, cut within lines.

Every kernel that the site starts runs this file first (`PYTHONSTARTUP`). It stands by itself: nothing imports it.
"""

import subprocess

from IPython import get_ipython


def sh(line: str, cell: str) -> None:
    """Run `cell` in a shell that ends at the first failure; show its stdout, and its stderr where it failed."""
    done = subprocess.run(["sh", "-e", "-c", cell], capture_output=True, text=True)
    print(done.stdout, end="")
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}: {done.stderr[-2000:]}")


if (shell := get_ipython()) is not None:
    shell.register_magic_function(sh, "cell")
