"""`iin plugins`: which plugins are installed, and, when asked, which of them are broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..options import DebugOpt, JsonOpt, QuietOpt
from ..output import print_result, reporter

if TYPE_CHECKING:
    from ...registry import PluginRow

__all__ = ["plugins"]


CheckOpt = Annotated[
    bool,
    typer.Option("--check", help="Load each one: which are broken, and every network of a family that has a name."),
]


def plugins(check: CheckOpt = False, json: JsonOpt = False, quiet: QuietOpt = False, debug: DebugOpt = False) -> None:
    """List plugins: backbones, datasets, concepts, commands.

    Each with its distribution and version, as installed packages register it. With --check each is loaded, in another
    process, and a broken one is listed with the cause.

    Examples:

      iin plugins

      iin plugins --check

      iin plugins --json
    """
    from ...registry import list_plugins

    rows = list_plugins(reporter(quiet), check)
    unusable = [row.as_dict() for row in rows if row.status in ("broken", "conflict")]
    tables = [("plugins", _gathered(rows))] + ([("unusable", unusable)] if unusable else [])
    print_result([row.as_dict() for row in rows], json, tables)


def _gathered(rows: Sequence[PluginRow]) -> list[dict[str, Any]]:
    """Put what a distribution adds to a group on one line: one alone brings eighty backbones."""
    lines: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.status in ("ok", "unchecked"):
            lines.setdefault((row.group, f"{row.distribution} {row.version}"), []).append(row.name)
    return [
        {"group": group, "distribution": distribution, "names": ", ".join(names)}
        for (group, distribution), names in lines.items()
    ]
