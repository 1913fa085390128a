"""Write rows of a result as JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .atomic import write_text

__all__ = ["write_table"]


def write_table(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as a `.json` list of objects, or as `.csv` with nested mappings spread over columns `outer.inner`."""
    if file.suffix.lower() == ".json":
        write_text(file, json.dumps(list(rows), indent=2) + "\n")
        return
    flat = [_flat(row) for row in rows]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    write_text(file, text.getvalue())


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{inner}": entry for inner, entry in value.items()})
        else:
            flat[key] = value
    return flat
