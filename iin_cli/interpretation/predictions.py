"""What a classifier says of latents: class log-probabilities, and tables of them as JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..io.atomic import write_text
from ..progress import Reporter, Silent
from .opening import OpenTranslator
from .pieces import in_pieces

__all__ = ["by_class", "log_probabilities", "write_table"]


def log_probabilities(opened: OpenTranslator, z: Tensor, report: Reporter | None = None) -> Tensor:
    """Return the classifier's log-probabilities (B, classes) of latents z (B, N), on the CPU."""
    logits = []
    with (report or Silent()).task("predicting", len(z), "latents") as task:
        for piece in in_pieces(len(z), z.__getitem__, opened.backbone.decode, opened.device):
            logits.append(piece)
            task.advance(len(piece))
    return torch.cat(logits).float().log_softmax(1)


def by_class(values: Tensor, classes: Sequence[str]) -> dict[str, float]:
    """Name the values (classes,) of one row.

    >>> by_class(torch.tensor([0.25, 0.75]), ["cat", "dog"])
    {'cat': 0.25, 'dog': 0.75}
    """
    return dict(zip(classes, values.tolist(), strict=True))


def write_table(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as a `.json` list of objects, or as `.csv` with nested mappings spread over columns `outer.inner`."""
    if file.suffix == ".json":
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
