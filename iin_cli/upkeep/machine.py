"""What this machine has: processors, memory, graphics cards and room on its disks; read without torch."""

from __future__ import annotations

import os
import platform
import re
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

__all__ = ["Machine", "Place", "machine", "place"]

NVIDIA = Path("/proc/driver/nvidia")


@dataclass(frozen=True)
class Machine:
    """A machine as this process may use it.

    Attributes:
        cores: that this process may run on; `quota`: of how many it gets the time, where a container limits that.
        threads: what the environment says of them; None where torch takes one for each core.
        memory, available: bytes; None where the system does not say.
        cards: the graphics cards that NVIDIA's driver sees.
        torch_for: what torch is built for, as `CUDA 13.2`; None where it is for processors alone, or missing.
    """

    system: str
    python: str
    cores: int
    quota: float | None
    threads: int | None
    memory: int | None
    available: int | None
    cards: tuple[str, ...]
    torch_for: str | None

    @property
    def device(self) -> str:
        """What `--device auto` is likely to take, and why."""
        if self.torch_for is None:
            return f"cpu: torch is built without support for {', '.join(self.cards)}" if self.cards else "cpu"
        if not self.cards:
            return f"cpu: no NVIDIA driver is here, torch is built for {self.torch_for}"
        return f"{', '.join(self.cards)}; torch is built for {self.torch_for}"


@dataclass(frozen=True)
class Place:
    """A folder that commands write into, made when it is first needed.

    Attributes:
        free: bytes of its disk that this user may use.
        size: bytes in it; None where nobody counted.
        why: what decides where it is.
    """

    what: str
    path: str
    free: int | None
    writable: bool
    why: str
    size: int | None = None


def machine() -> Machine:
    """Look at the machine; takes milliseconds."""
    memory = _memory()
    return Machine(
        system=platform.platform(),
        python=platform.python_version(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        quota=_quota(),
        threads=_threads(),
        memory=memory.get("MemTotal"),
        available=memory.get("MemAvailable"),
        cards=_cards(),
        torch_for=_torch_for(),
    )


def place(what: str, path: Path, why: str, size: int | None = None) -> Place:
    """Look at a folder, or at the nearest one above it that is there."""
    there = path.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        free = shutil.disk_usage(there).free
    except OSError:
        free = None
    return Place(what, str(path), free, there.is_dir() and os.access(there, os.W_OK | os.X_OK), why, size)


def _threads() -> int | None:
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdecimal() else None


def _quota() -> float | None:
    """Return how many cores' time a container may use; None without a limit."""
    found = re.match(r"(\d+) (\d+)", _text(Path("/sys/fs/cgroup/cpu.max")))
    return int(found[1]) / int(found[2]) if found and int(found[2]) else None


def _memory() -> dict[str, int]:
    lines = re.findall(r"^(\w+):\s+(\d+) kB$", _text(Path("/proc/meminfo")), re.MULTILINE)
    return {name: 1024 * int(count) for name, count in lines}


def _cards() -> tuple[str, ...]:
    try:
        files = sorted((NVIDIA / "gpus").glob("*/information"))
    except OSError:
        return ()
    models = (re.search(r"^Model:\s*(.+?)\s*$", _text(file), re.MULTILINE) for file in files)
    return tuple(found[1] if found else "an NVIDIA card" for found in models)


def _torch_for() -> str | None:
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    # To import torch would take seconds; this file of it is a few lines.
    text = _text(Path(spec.origin).with_name("version.py"))
    for name, called in (("cuda", "CUDA"), ("hip", "ROCm"), ("xpu", "XPU")):
        if found := re.search(rf"""^{name}\s*(?::[^=]+)?=\s*['"]([^'"]+)""", text, re.MULTILINE):
            return f"{called} {found[1]}"
    return None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
