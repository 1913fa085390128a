"""Read the header of a safetensors file without its tensors, and take the sha256 of tensors in memory or in the file.

The format: 8 bytes with the length of the header, little-endian; the header in JSON; the tensors, at offsets from
there. Torch is imported with tensors only, so that a checkpoint is described at once.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

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
# The library's own limit.
MOST_HEADER_BYTES = 100_000_000


class _Entry(msgspec.Struct):
    dtype: str
    shape: list[Annotated[int, msgspec.Meta(ge=0)]]
    data_offsets: tuple[Annotated[int, msgspec.Meta(ge=0)], Annotated[int, msgspec.Meta(ge=0)]]


@dataclass(frozen=True)
class _Header:
    """The header of a file, and the place of its first tensor."""

    metadata: dict[str, str]
    entries: dict[str, _Entry]
    start: int


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

    Only the header is read.
    """
    header = _header(path)
    return {
        name: StoredTensor(
            path,
            name,
            entry.dtype,
            tuple(entry.shape),
            header.start + entry.data_offsets[0],
            entry.data_offsets[1] - entry.data_offsets[0],
        )
        for name, entry in header.entries.items()
    }


def kind_of(tensor: Tensor) -> str:
    """Return a tensor's number type by its name in safetensors, or by torch's where it has none there."""
    name = str(tensor.dtype).removeprefix("torch.")
    return NAMES.get(name, name)


def read_metadata(path: Path) -> dict[str, str]:
    """Return the text metadata of a safetensors file; CheckpointError for a file that is not a whole one."""
    return _header(path).metadata


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


def _header(path: Path) -> _Header:
    # The library's own reader imports NumPy, and maps the whole file.
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= min(size - 8, MOST_HEADER_BYTES):
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            header = msgspec.json.decode(file.read(length), type=dict[str, msgspec.Raw])
        metadata = msgspec.json.decode(header.pop("__metadata__", b"{}"), type=dict[str, str])
        entries = {name: msgspec.json.decode(raw, type=_Entry) for name, raw in header.items()}
        _require_whole(entries, size - 8 - length)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
    return _Header(metadata, entries, 8 + length)


def _require_whole(entries: Mapping[str, _Entry], size: int) -> None:
    """Raise ValueError unless the tensors lie one after the other and fill `size` bytes, each as many as it needs."""
    place = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        first, end = entry.data_offsets
        if first != place or end < first:
            raise ValueError(f"tensor {name} does not begin where the one before it ends")
        # `F8_E4M3`, `BF16`: the first number is the size in bits.
        bits = re.match(r"[A-Z]+(\d+)", "U8" if entry.dtype == "BOOL" else entry.dtype)
        needed = None if bits is None else math.prod(entry.shape) * int(bits[1]) // 8
        if needed is not None and needed != end - first:
            raise ValueError(f"tensor {name} of {entry.dtype} {entry.shape} has {end - first} bytes, not {needed}")
        place = end
    if place != size:
        raise ValueError(f"its tensors take {place} bytes, and it has {size}")
