"""Describe a checkpoint by its metadata and the shapes of its tensors; no weights are loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..results import Result, Table
from . import checkpoint
from .tensor_file import stored_tensors

__all__ = ["CheckpointInfo", "InfoResult", "describe"]


@dataclass(frozen=True)
class CheckpointInfo(Result):
    """One checkpoint: the metadata it was saved with, and what is measured of its file.

    Attributes:
        file: its path.
        kind: `backbone`, `translator`, `latents`, `statistics`, …
        name: the backbone's name; None where the kind has none.
        format_version: version of the metadata's format.
        size_bytes: size of the file.
        sha256: digest of the file.
        digest: those of its tensors and metadata that were saved in it, and agree; None for a file of iin 0.1.
        parameters: numbers in all its floating-point tensors.
        tensors: how many tensors.
        config, factors, backbone, data, training, versions: as saved; None or empty where the kind has none.
        more: every other key of the metadata.
    """

    file: str
    kind: str
    name: str | None
    format_version: int
    size_bytes: int
    sha256: str
    digest: dict[str, str] | None
    parameters: int
    tensors: int
    config: dict[str, Any] | None
    factors: list[dict[str, Any]]
    backbone: dict[str, Any] | None
    data: dict[str, Any] | None
    training: dict[str, Any] | None
    versions: dict[str, str] | None
    more: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values, the keys of `more` beside the others."""
        values = super().as_dict()
        return {**values.pop("more"), **values}

    def tables(self) -> list[Table]:
        """Return the factors as one table, in the order of z̃; nothing for a kind without factors."""
        columns = ("name", "dim", "sigma", "relation")
        rows = [{column: factor.get(column) for column in columns} for factor in self.factors]
        return [("factors", rows)] if rows else []

    def summary(self) -> dict[str, Any]:
        """Return what a person reads first, one plain value per line."""
        backbone, data = self.backbone or {}, self.data or {}
        lines = {
            "file": self.file,
            "kind": self.kind,
            "name": self.name,
            "config": _joined(self.config),
            "backbone": backbone.get("name"),
            "backbone source": backbone.get("source"),
            "backbone sha256": str(backbone.get("sha256", ""))[:12],
            "data": data.get("name"),
            **{f"training {key}": value for key, value in _plain(self.training).items()},
            "versions": _joined(self.versions),
            **{
                key: _joined(value) if isinstance(value, Mapping) else value
                for key, value in self.more.items()
                if not isinstance(value, list)
            },
            "sha256": self.sha256[:12],
            "checked": "whole, as it was saved" if self.digest else "no digest to check it by, as of iin 0.1",
            "size": f"{self.size_bytes:,} bytes",
            "parameters": f"{self.parameters:,} in {self.tensors} tensors",
        }
        return {key: value for key, value in lines.items() if value not in (None, "")}


@dataclass(frozen=True)
class InfoResult(Result):
    """What is at a path.

    Attributes:
        path: a file or a folder.
        checkpoints: the file's, or all that a folder holds and that can be read.
        refused: file -> why it could not be described.
    """

    path: Path
    checkpoints: tuple[CheckpointInfo, ...]
    refused: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values: a file's own; a folder's `checkpoints`, plus the keys of a checkpoint that is alone."""
        alone = self.checkpoints[0].as_dict() if len(self.checkpoints) == 1 else {}
        if not self.path.is_dir():
            return alone
        together = {"checkpoints": [entry.as_dict() for entry in self.checkpoints], "refused": self.refused}
        return {**alone, "folder": str(self.path), **together}


def describe(path: Path) -> InfoResult:
    """Describe a checkpoint, or every checkpoint of a run folder.

    Raises CheckpointError for a missing, truncated or foreign file, and for a folder without any checkpoint.
    """
    if not path.is_dir():
        return InfoResult(path, (_describe_file(path),), {})
    found: list[CheckpointInfo] = []
    refused: dict[str, str] = {}
    for file in sorted(path.glob("*.safetensors")):
        try:
            found.append(_describe_file(file))
        except CheckpointError as error:
            refused[str(file)] = str(error)
    if not found:
        why = next(iter(refused.values()), "it holds no .safetensors file")
        raise CheckpointError(f"{path} has no checkpoint: {why}")
    return InfoResult(path, tuple(found), refused)


def _describe_file(path: Path) -> CheckpointInfo:
    metadata = dict(checkpoint.verify(path))
    sizes = dict(_parameters(path))
    known = {
        key: metadata.pop(key, None) for key in ("kind", "name", "config", "backbone", "data", "training", "versions")
    }
    return CheckpointInfo(
        file=str(path),
        format_version=metadata.pop("format_version"),
        digest=metadata.pop("digest", None),
        size_bytes=path.stat().st_size,
        sha256=checkpoint.digest(path),
        parameters=sum(sizes.values()),
        tensors=len(sizes),
        factors=metadata.pop("factors", None) or [],
        more=metadata,
        **known,
    )


def _parameters(path: Path) -> Iterator[tuple[str, int]]:
    for name, stored in stored_tensors(path).items():
        # Permutations and flags are not parameters.
        yield name, math.prod(stored.shape) if stored.kind.startswith(("F", "BF")) else 0


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (values or {}).items() if not isinstance(value, (dict, list))}


def _joined(values: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{key} {value}" for key, value in (values or {}).items())
