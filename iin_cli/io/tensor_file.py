"""Read the header of a safetensors file without its tensors, and take the sha256 of tensors in memory or in the file.

The format: 8 bytes with the length of the header, little-endian; the header in JSON; the tensors, at offsets from
there. Torch is imported with tensors only, so that a checkpoint is described at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from safetensors import SafetensorError, safe_open

from ..errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "DTYPES",
    "StoredTensor",
    "digest_of_file",
    "digest_of_tensors",
    "kind_of",
    "read_metadata",
    "stored_tensors",
]

# Names of torch's number types by their names in safetensors.
DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
BLOCK_BYTES = 2**24


class _Entry(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


@dataclass(frozen=True)
class StoredTensor:
    """A tensor's place in a safetensors file: its number type as named there, its shape, its first byte, its bytes."""

    file: Path
    name: str
    kind: str
    shape: tuple[int, ...]
    offset: int
    size: int


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """Return the place of each tensor of a safetensors file; CheckpointError for a file that is not a whole one.

    The library maps the whole file, and what was read counts as this process's memory; here only the header is read.
    """
    header, start = _header(path)
    try:
        entries = msgspec.convert(header, dict[str, _Entry])
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
    return {
        name: StoredTensor(
            path,
            name,
            entry.dtype,
            tuple(entry.shape),
            start + entry.data_offsets[0],
            entry.data_offsets[1] - entry.data_offsets[0],
        )
        for name, entry in entries.items()
    }


def kind_of(tensor: Tensor) -> str:
    """Return a tensor's number type by its name in safetensors, or by torch's where it has none there."""
    name = str(tensor.dtype).removeprefix("torch.")
    return NAMES.get(name, name)


def read_metadata(path: Path) -> dict[str, str]:
    """Return the text metadata of a safetensors file; CheckpointError for a file that is not a whole one."""
    try:
        with safe_open(path, framework="np") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error


def digest_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of named tensors on the CPU: of their names, number types, shapes and bytes, in order of name.

    >>> import torch
    >>> digest_of_tensors({"a": torch.ones(2)}) == digest_of_tensors({"a": torch.ones(1, 2)})
    False
    """
    import torch

    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(_described(name, kind_of(tensor), tensor.shape))
        total.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def digest_of_file(path: Path) -> str:
    """Return what `digest_of_tensors` gives for the tensors of a file, a few of its bytes at a time."""
    total = hashlib.sha256()
    found = stored_tensors(path)
    with open(path, "rb") as file:
        for name, stored in sorted(found.items()):
            total.update(_described(name, stored.kind, stored.shape))
            file.seek(stored.offset)
            for start in range(0, stored.size, BLOCK_BYTES):
                total.update(file.read(min(BLOCK_BYTES, stored.size - start)))
    return total.hexdigest()


def _described(name: str, kind: str, shape: Iterable[int]) -> bytes:
    return f"{json.dumps([name, kind, list(shape)])}\n".encode()


def _header(path: Path) -> tuple[dict[str, Any], int]:
    # The library checks lengths, types and offsets; what it opens has a header of valid JSON.
    read_metadata(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
    header.pop("__metadata__", None)
    return header, 8 + length
