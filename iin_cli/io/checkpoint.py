"""Checkpoints: one `.safetensors` file with one metadata key `iin` that says what it is.

The JSON under `iin` holds `format_version`, `kind` (backbone, translator, latents, statistics, …), what that kind
needs (`schema`), and `digest`: the sha256 of the tensors and that of the metadata itself. Nothing is taken from a file
before both agree. Files of format 1 (iin 0.1) have no digest and are still read, which is said once.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct
from safetensors import SafetensorError, safe_open

from ..errors import CheckpointError
from ..progress import Reporter
from .atomic import write_atomically
from .schema import Described, Digests, checked, checked_plain, damaged, schema_of
from .tensor_file import digest_of_file, digest_of_tensors, read_metadata

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FORMAT_VERSION", "Checkpoint", "describe", "digest", "load", "locate", "save", "verify"]

FORMAT_VERSION = 2
# The last format whose files have no digest.
WITHOUT_DIGEST = 1


# Files without a digest are reported once by each process, however many are opened.
_said: set[str] = set()


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read: `metadata` is the JSON under `iin`, `tensors` the named tensors on the CPU."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, Tensor] = field(repr=False)


def save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write `tensors` and `metadata` (must hold `kind`) to `path`, whole or not at all.

    Figures that are not finite are written as null. Raises ResourceError (disk full) and UsageError (folder cannot be
    written).
    """
    # Imported where tensors are, since to describe a checkpoint needs no torch.
    from safetensors.torch import save_file

    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    full = _finite({"format_version": FORMAT_VERSION, **metadata})
    full["digest"] = {"tensors": digest_of_tensors(flat)}
    full["digest"]["metadata"] = _digest_of_metadata(full)
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


def load(
    path: Path, kind: str | None = None, report: Reporter | None = None, schema: type[Described] | None = None
) -> Checkpoint:
    """Read a checkpoint; with `kind`, `path` may be a run folder and another kind is refused.

    Args:
        report: is told, once, of a file of iin 0.1, which cannot be checked.
        schema: of the metadata; None takes that of the kind.

    Raises CheckpointError for a missing, truncated, damaged or foreign file, or one of another kind or a newer format.
    """
    metadata = describe(path, kind, schema)
    file = locate(path, kind) if kind is not None else path
    with _opened(file) as content:
        tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - not a mapping
    if _is_checked(file, metadata, report) and digest_of_tensors(tensors) != metadata["digest"]["tensors"]:
        raise _changed(file)
    return Checkpoint(file, metadata, tensors)


def verify(path: Path, report: Reporter | None = None) -> dict[str, Any]:
    """Compare a file's tensors with their digest, a few bytes at a time; returns the metadata; errors as `load`."""
    metadata = describe(path)
    if _is_checked(path, metadata, report) and digest_of_file(path) != metadata["digest"]["tensors"]:
        raise _changed(path)
    return metadata


def describe(path: Path, kind: str | None = None, schema: type[Described] | None = None) -> dict[str, Any]:
    """Read only the metadata of a checkpoint, and check them; errors as `load`, but for the tensors."""
    file = locate(path, kind) if kind is not None else path
    if not file.is_file():
        raise CheckpointError(f"no such checkpoint: {file}")
    raw = read_metadata(file).get("iin")
    if raw is None:
        raise CheckpointError(f"{file} is a safetensors file, but not one of iin's: its metadata has no key 'iin'")
    metadata = checked_plain(raw, file)
    basic = checked(metadata, _Basic, file)
    if basic.format_version > FORMAT_VERSION:
        raise CheckpointError(
            f"{file} has format {basic.format_version}, this program reads up to {FORMAT_VERSION}: update iin"
        )
    _require_own_digest(file, metadata)
    if kind is not None and basic.kind != kind:
        raise CheckpointError(f"{file} is a {basic.kind}, expected a {kind}")
    checked(metadata, schema or schema_of(basic.kind), file)
    return metadata


def digest(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Basic(Struct):
    """What tells which schema holds."""

    kind: Annotated[str, Meta(min_length=1, max_length=200)]
    format_version: Annotated[int, Meta(ge=1)]
    digest: Digests | None = None


def _require_own_digest(file: Path, metadata: dict[str, Any]) -> None:
    recorded = metadata.get("digest")
    if recorded is None:
        if metadata["format_version"] > WITHOUT_DIGEST:
            raise damaged(file, "there is no digest")
    elif recorded["metadata"] != _digest_of_metadata(metadata):
        raise damaged(file, "they are not those that were saved (another sha256)")


def _digest_of_metadata(metadata: Mapping[str, Any]) -> str:
    """Return the sha256 of the metadata in one spelling, without that sha256 itself."""
    rest = {**metadata, "digest": metadata["digest"]["tensors"]}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _is_checked(file: Path, metadata: Mapping[str, Any], report: Reporter | None) -> bool:
    if metadata.get("digest") is not None:
        return True
    if report is not None and "0.1" not in _said:
        _said.add("0.1")
        report.note(f"{file} was saved by iin 0.1, without a digest: damage to it would not be noticed")
    return False


def _changed(file: Path) -> CheckpointError:
    return CheckpointError(
        f"{file} is damaged: its tensors are not those that were saved (another sha256); "
        "use another copy of it, or make it again"
    )


def _finite(value: Any) -> Any:
    """Return JSON values with null for each number that is not finite, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _opened(file: Path) -> Any:
    try:
        return safe_open(file, framework="pt", device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{file} is not a whole safetensors file: {error}") from error
