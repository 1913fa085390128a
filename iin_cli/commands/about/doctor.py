"""`iin doctor`: look at machine, packages and places → say what is missing, for what, and what to type."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import IinError, UsageError, reason
from ...guests.entry_points import DISABLE, are_disabled, read_points
from ...guests.loading import FIRST_PARTY
from ...io.paths import cache_dir, data_root
from ...results import Result, Table
from ...upkeep.amounts import shown_size
from ...upkeep.entries import read_cache
from ...upkeep.machine import Machine, Place, machine, place
from ...upkeep.packages import Package, installed, packages, plugin_packages

__all__ = ["DoctorResult", "Finding", "doctor"]

# Less room than this is said.
LITTLE_ROOM = 2 * 10**9
INCEPTION = "pt_inception-2015-12-05-6726825d.pth"


@dataclass(frozen=True)
class Finding:
    """Something that is missing or wrong: for what it is needed, and what to type or do.

    `is_fault` where something that worked before, or always should, does not; else it is a part that is optional.
    """

    what: str
    needed_for: str
    do: str
    is_fault: bool


@dataclass(frozen=True)
class DoctorResult(Result):
    """What there is, and what is missing.

    Attributes:
        device: what `--device auto` is likely to take; what was tried, where a device was asked for.
        plugins: other packages that add something -> group -> how many names.
        settings: variables of the environment that iin or the Hub's library reads; a token is never shown.
        well: whether nothing is a fault.
    """

    version: str
    well: bool
    device: str
    machine: Machine
    packages: tuple[Package, ...]
    plugins: dict[str, dict[str, int]]
    places: tuple[Place, ...]
    settings: dict[str, str]
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values, with each package's purpose."""
        values = super().as_dict()
        values["packages"] = [
            {**each, "for": package.purpose} for each, package in zip(values["packages"], self.packages, strict=True)
        ]
        return values

    def tables(self) -> list[Table]:
        """Return what is missing last, where a reader looks first."""
        places = [
            {
                "what": each.what,
                "where": each.path,
                "holds": "-" if each.size is None else shown_size(each.size),
                "free": "-" if each.free is None else shown_size(each.free),
                "decided by": each.why,
            }
            for each in self.places
        ]
        plugins = [
            {"package": name, "adds": ", ".join(f"{count} {group}" for group, count in groups.items())}
            for name, groups in self.plugins.items()
        ]
        missing = [
            {"what": each.what, "needed for": each.needed_for, "do": each.do, "": "fault" if each.is_fault else ""}
            for each in self.findings
        ]
        tables: list[Table] = [("places", places), ("plugins", plugins)]
        tables.append(("settings", [{"variable": name, "value": value} for name, value in self.settings.items()]))
        tables.append(("missing or wrong", missing))
        return [(title, rows) for title, rows in tables if rows]

    def facts(self) -> dict[str, Any]:
        """Return versions and the machine."""
        there, threads = self.machine, self.machine.threads
        needed = [f"{each.name} {each.installed}" for each in self.packages if each.extra is None and each.installed]
        limit = f", time of {there.quota:g}" if there.quota is not None else ""
        memory = f"{shown_size(there.memory)}, {shown_size(there.available or 0)} free" if there.memory else None
        facts = {
            "iin": self.version,
            "python": there.python,
            "system": there.system,
            "packages": ", ".join(needed),
            "device": self.device,
            "cores": f"{there.cores}{limit}; {f'{threads} threads by OMP_NUM_THREADS' if threads else 'a thread each'}",
            "memory": memory,
            "verdict": "all is well" if self.well else "something is wrong: see above",
        }
        return {name: value for name, value in facts.items() if value}


def doctor(device: str | None = None) -> DoctorResult:
    """Look at everything that a command may need; nothing heavy is imported, and no plugin is loaded.

    Args:
        device: try this one (auto, cpu, cuda, …), which imports torch: seconds.
    """
    there, found = machine(), packages()
    places, wrong = _places()
    tried, broken = (there.device, []) if device is None else _try(device)
    findings = (*broken, *wrong, *_lacking(found), *_first_party(), *_weights(), *_little_room(places))
    return DoctorResult(
        version=installed("iin-cli") or "unknown",
        well=not any(each.is_fault for each in findings),
        device=tried,
        machine=there,
        packages=tuple(found),
        plugins={} if are_disabled() else plugin_packages(read_points("iin.")),
        places=tuple(places),
        settings=_settings(),
        findings=tuple(findings),
    )


def _places() -> tuple[list[Place], list[Finding]]:
    found, wrong = [place("here, for runs/", Path("runs"), "--out")], []
    try:
        cache = cache_dir()
        size = read_cache().bytes if cache.is_dir() else 0
        found.append(place("cache", cache, "IIN_CACHE" if os.environ.get("IIN_CACHE") else "the user's cache", size))
        data = data_root()
        found.append(place("datasets", data, "IIN_DATA_ROOT" if os.environ.get("IIN_DATA_ROOT") else "the cache"))
    except UsageError as error:
        wrong.append(Finding("a cache", "every command", str(error), True))
    home = os.environ.get("HF_HUB_CACHE") or os.environ.get("HF_HOME")
    try:
        hub = Path(home) if home else Path("~/.cache/huggingface").expanduser()
        found.append(place("the Hub's cache", hub, "HF_HOME" if home else "the Hub's library"))
    except RuntimeError:
        pass
    for each in found:
        if not each.writable:
            wrong.append(Finding(f"permission to write into {each.path}", each.what, "choose another folder", True))
    return found, wrong


def _lacking(found: list[Package]) -> Iterator[Finding]:
    for each in found:
        if each.remedy is not None:
            there = f"{each.name} {each.installed}, not {each.wanted}" if each.installed else each.name
            yield Finding(there, each.purpose, each.remedy, each.extra is None or each.installed is not None)


def _first_party() -> Iterator[Finding]:
    for package in sorted({package for group in FIRST_PARTY.values() for package in group.values()}):
        if installed(package) is None:
            adds = sorted(name for group in FIRST_PARTY.values() for name, owner in group.items() if owner == package)
            yield Finding(package, ", ".join(adds), f"pip install {package}", False)
    if are_disabled():
        yield Finding("plugins", "what other packages add", f"unset {DISABLE}", False)


def _weights() -> Iterator[Finding]:
    """Say that the weights for the FID are not here, found where torch keeps them without asking torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    torch = Path(os.environ.get("TORCH_HOME") or f"{cache}/torch")
    try:
        file = torch.expanduser() / "hub" / "checkpoints" / INCEPTION
    except RuntimeError:
        return
    if not file.is_file():
        do = f"nothing: they are fetched (91 MiB); or put {INCEPTION} into {file.parent}"
        yield Finding("Inception's official weights", "iin fid without --features", do, False)


def _little_room(places: list[Place]) -> Iterator[Finding]:
    for each in places:
        if each.free is not None and each.free < LITTLE_ROOM:
            do = "iin cache prune --max-size 1GB, or choose another disk with IIN_CACHE"
            yield Finding(f"room: {shown_size(each.free)} free at {each.path}", each.what, do, True)


def _settings() -> dict[str, str]:
    """Return the variables that are set, without what is secret."""
    known = {name: value for name, value in os.environ.items() if name.startswith(("IIN_", "HF_", "TORCH_HOME"))}
    known |= {name: os.environ[name] for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES") if name in os.environ}
    # An address may hold a password.
    shown = {name: re.sub(r"//[^/@]*@", "//…@", value) for name, value in sorted(known.items())}
    return {name: "(set)" if "TOKEN" in name else value for name, value in shown.items()}


def _try(device: str) -> tuple[str, list[Finding]]:
    """Multiply matrices on the device; return what it is, and what is wrong with it."""
    began = time.monotonic()
    try:
        import torch

        from ...distributed import choose_device

        where = choose_device(device)
        ones = torch.ones(256, 256, device=where)
        same = bool(((ones @ ones).cpu() == 256).all())
        name = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
    # A driver may fail in any way.
    except Exception as error:
        why = str(error) if isinstance(error, IinError) else reason(error)
        return f"{device}: cannot be used", [Finding(f"device {device}", "--device", why, True)]
    if not same:
        wrong = Finding(f"right products on {where}", "--device", "try --device cpu", True)
        return f"{where}: computes wrongly", [wrong]
    return f"{where} ({name}), tried in {time.monotonic() - began:.1f} s", []
