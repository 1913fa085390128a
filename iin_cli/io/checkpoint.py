"""Checkpoints: one `.safetensors` file with one metadata key `iin` that says what it is.

The JSON under `iin` holds `format_version`, `kind` (backbone, translator, latents, statistics, …) and what that kind
needs.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import CheckpointError
from .atomic import write_atomically

__all__ = ["FORMAT_VERSION", "Checkpoint", "describe", "digest", "load", "locate", "save"]

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read: `metadata` is the JSON under `iin`, `tensors` the named tensors on the CPU."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, Tensor]


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write `tensors` and `metadata` (must hold `kind`) to `path`, whole or not at all.

    Raises ResourceError (disk full) and UsageError (folder cannot be written).
    """
    full = {"format_version": FORMAT_VERSION, **metadata}
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with write_atomically(path) as temporary:
        # safetensors writes metadata keys in random order; a single JSON entry keeps files reproducible.
        try:
            save_file(flat, temporary, metadata={"iin": json.dumps(full, sort_keys=True)})
        except SafetensorError as error:
            # safetensors gives the system's error in its text only; the code there tells a full disk.
            code = re.search(r"(?:os error|code:) (\d+)", str(error))
            raise OSError(int(code[1]) if code else errno.EIO, str(error)) from error


def locate(path: Path, kind: str) -> Path:
    """Return the checkpoint file at `path`: the file itself, or `<kind>.safetensors` in a run folder."""
    file = path / f"{kind}.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(f"{path} has no {kind}.safetensors" if path.is_dir() else f"no such checkpoint: {path}")
    return file


def load(path: Path, kind: str | None = None) -> Checkpoint:
    """Read a checkpoint; with `kind`, `path` may be a run folder and another kind is refused.

    Raises CheckpointError for a missing, truncated or foreign file, or one of another kind or a newer format.
    """
    file = locate(path, kind) if kind is not None else path
    metadata = describe(file, kind)
    with _opened(file) as content:
        tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - not a mapping
    return Checkpoint(file, metadata, tensors)


def describe(path: Path, kind: str | None = None) -> dict[str, Any]:
    """Read only the metadata of a checkpoint; errors as `load`."""
    file = locate(path, kind) if kind is not None else path
    with _opened(file) as content:
        raw = (content.metadata() or {}).get("iin")
    if raw is None:
        raise CheckpointError(f"{file} is a safetensors file, but not one of iin's: its metadata has no key 'iin'")
    try:
        metadata = json.loads(raw)
        found, version = metadata["kind"], int(metadata["format_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file} has damaged metadata under 'iin': {error}") from error
    if version > FORMAT_VERSION:
        raise CheckpointError(f"{file} has format {version}, this program reads up to {FORMAT_VERSION}: update iin")
    if kind is not None and found != kind:
        raise CheckpointError(f"{file} is a {found}, expected a {kind}")
    return metadata


def digest(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _opened(file: Path) -> Any:
    if not file.is_file():
        raise CheckpointError(f"no such checkpoint: {file}")
    try:
        return safe_open(file, framework="pt", device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{file} is not a whole safetensors file: {error}") from error
