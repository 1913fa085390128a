"""Names that a large library declares in its source, read without importing it."""

from __future__ import annotations

import re
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

from ..errors import UsageError, nearest

__all__ = ["require_torchvision_name", "torchvision_names"]

# A function that torchvision registers under its own name, below further decorators of any length.
REGISTERED = re.compile(r"^@register_model\(\)\n(?:[@ )].*\n)*def (\w+)\(", re.MULTILINE)


def require_torchvision_name(name: str, known: Collection[str]) -> None:
    """Raise UsageError, with the nearest names, for one that is not in `known`."""
    if name not in known:
        raise UsageError(f"torchvision has no classification model {name!r}: {nearest(name, sorted(known))}")


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classification models; none where its source is not found.

    Importing it for them takes as long as importing torch, which a misspelt name need not wait for.
    """
    found = find_spec("torchvision")
    folders = found.submodule_search_locations if found is not None else None
    try:
        files = [file for folder in folders or () for file in sorted(Path(folder, "models").glob("*.py"))]
        return [name for file in files for name in REGISTERED.findall(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError):
        return []
