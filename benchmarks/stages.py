"""Stages of a benchmark: commands of `iin` whose results are kept, and the machine as Markdown tables name it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

__all__ = ["computed", "interval", "machine", "run"]


def run(work: Path, name: str, arguments: list[str]) -> dict[str, Any]:
    """Run `iin ARGUMENTS --json` unless its result is there; return the result with its wall time under `wall`."""

    def command() -> dict[str, Any]:
        print(f"$ iin {' '.join(arguments)}", file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "iin_cli", *arguments, "--json"], stdout=subprocess.PIPE, text=True, check=True
        )
        return json.loads(done.stdout)

    return computed(work, name, command)


def computed(work: Path, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what `compute` returns with its wall time under `wall`; computed once, then kept as `work`/`name`.json."""
    record = work / f"{name}.json"
    if not record.exists():
        started = time.monotonic()
        result = compute()
        record.write_text(json.dumps({**result, "wall": time.monotonic() - started}, indent=2))
    return json.loads(record.read_text())


def interval(figure: dict[str, float]) -> str:
    """Write a figure of a result with its interval."""
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def machine(seconds: float) -> str:
    """Say where and when, and how long it took."""
    processor = platform.processor() or platform.machine()
    return (
        f"{os.cpu_count()} cores ({processor}), torch {torch.__version__}, {time.strftime('%Y-%m-%d')}, "
        f"whole run {seconds / 60:.0f} minutes"
    )
