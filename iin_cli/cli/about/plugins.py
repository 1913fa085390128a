"""`iin plugins`: which plugins are installed, and which of them are broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..options import DebugOpt, JsonOpt, QuietOpt
from ..output import print_result, reporter

if TYPE_CHECKING:
    from ...registry import PluginRow

__all__ = ["plugins"]


def plugins(json: JsonOpt = False, quiet: QuietOpt = False, debug: DebugOpt = False) -> None:
    """List plugins: backbones, datasets, concepts, commands.

    Each with its distribution and version, and a broken one with the cause.

    Examples:

      iin plugins

      iin plugins --json
    """
    from ...registry import list_plugins

    rows = list_plugins(reporter(quiet))
    unusable = [row.as_dict() for row in rows if row.status != "ok"]
    tables = [("plugins", _gathered(rows))] + ([("unusable", unusable)] if unusable else [])
    print_result([row.as_dict() for row in rows], json, tables)


def _gathered(rows: Sequence[PluginRow]) -> list[dict[str, Any]]:
    """Put what a distribution adds to a group on one line: one alone brings eighty backbones."""
    lines: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.status == "ok":
            lines.setdefault((row.group, f"{row.distribution} {row.version}"), []).append(row.name)
    return [
        {"group": group, "distribution": distribution, "names": ", ".join(names)}
        for (group, distribution), names in lines.items()
    ]
