"""`iin doctor`: what this machine has and lacks."""

from __future__ import annotations

from typing import Annotated

import typer

from ..early import known_device
from ..options import DebugOpt, JsonOpt
from ..output import print_result

__all__ = ["doctor"]


def _known(device: str | None) -> str | None:
    return None if device is None else known_device(device)


TriedOpt = Annotated[
    str | None,
    typer.Option(
        "--device", help="Try this device, which takes seconds: auto, cpu, cuda, …", metavar="DEVICE", callback=_known
    ),
]


def doctor(device: TriedOpt = None, json: JsonOpt = False, debug: DebugOpt = False) -> None:
    """Say what this machine has and lacks, and what to type.

    Versions, processors, graphics cards, memory, disks, cache, plugins and settings; then what is missing, for which
    command, and how to get it. Nothing is imported or tried unless --device asks for it. Exit status 1 where something
    is wrong, 0 where only optional parts are missing.

    Examples:

      iin doctor

      iin doctor --device cuda --json
    """
    from ...commands.about.doctor import doctor as run

    result = run(device)
    print_result(result, json)
    if not result.well:
        raise typer.Exit(1)
