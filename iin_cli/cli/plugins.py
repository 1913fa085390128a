"""`iin plugins`: what is installed, and what of it is broken."""

from __future__ import annotations

from .options import DebugOpt, JsonOpt
from .output import print_result

__all__ = ["plugins"]


def plugins(json: JsonOpt = False, debug: DebugOpt = False) -> None:
    """List backbones, datasets and concepts: name, distribution, version, and for a broken one the cause.

    Examples:

      iin plugins

      iin plugins --json
    """
    from ..registry import list_plugins

    rows = [row.as_dict() for row in list_plugins()]
    print_result(rows, json, [("plugins", rows)])
