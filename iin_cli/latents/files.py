"""Read and check files of latents: safetensors of this program or of any other."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError, DataError
from .cache import MappedRows

__all__ = [
    "StoredTensor",
    "check_finite",
    "open_tensors",
    "read_iin_metadata",
    "read_rest",
    "read_rows",
    "stored_tensors",
]

# Real number types of torch by their names in safetensors.
REAL = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor's place in a safetensors file: its number type as named there, its shape, its first byte."""

    file: Path
    name: str
    kind: str
    shape: tuple[int, ...]
    offset: int

    def rows(self) -> MappedRows:
        """Map a tensor (M, N) without reading it; raises DataError if it is empty, of another shape, or not real."""
        if len(self.shape) != 2 or self.shape[1] < 2 or not self.shape[0]:
            raise DataError(f"{self.file}: {self.name} has shape {self.shape}, needs (rows, N) with N of at least 2")
        if self.kind not in REAL:
            kind = "complex" if self.kind.startswith("C") else self.kind
            raise DataError(f"{self.file}: {self.name} is {kind}, needs real numbers")
        return MappedRows(self.file, self.offset, (self.shape[0], self.shape[1]), REAL[self.kind])


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """Return the place of each tensor of a safetensors file; errors as `open_tensors`.

    The library maps the whole file, and what was read counts as this process's memory. The format is read here instead:
    8 bytes with the length of the header, little-endian; the header in JSON; the tensors, at offsets from there.
    """
    with open_tensors(path) as content:
        names = list(content.keys())
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return {
        name: StoredTensor(
            path,
            name,
            header[name]["dtype"],
            tuple(header[name]["shape"]),
            8 + length + header[name]["data_offsets"][0],
        )
        for name in names
    }


def read_rows(path: Path, tensor: str) -> Tensor:
    """Return the tensor named `tensor` (M, N) of a safetensors file as finite float32, on the CPU.

    Whole numbers are taken, too, as `StoredTensor.rows` takes them. Raises DataError for a file or tensor that is
    missing, a tensor that is not (M, N) of real numbers or is empty, and a value that is not finite in float32;
    CheckpointError for a file that is truncated or no safetensors file.
    """
    with open_tensors(path) as content:
        names = list(content.keys())
        if tensor not in names:
            raise DataError(f"{path} has no tensor {tensor!r}; it has: {', '.join(names) or 'none'}")
        values = content.get_tensor(tensor)
    if values.ndim != 2 or values.dtype not in REAL.values():
        kind = str(values.dtype).removeprefix("torch.")
        raise DataError(f"{path}: {tensor} is {kind} {tuple(values.shape)}, expected real numbers (M, N)")
    if 0 in values.shape:
        raise DataError(f"{path}: {tensor} is empty, its shape is {tuple(values.shape)}")
    return check_finite(values.float(), f"{path}: {tensor}")


def read_rest(path: Path, without: Collection[str]) -> dict[str, Tensor]:
    """Return every tensor of the file except those named in `without`; errors as `open_tensors`."""
    with open_tensors(path) as content:
        return {name: content.get_tensor(name) for name in content.keys() if name not in without}  # noqa: SIM118


def read_iin_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a file of this program; empty for a foreign file."""
    with open_tensors(path) as content:
        raw = (content.metadata() or {}).get("iin", "{}")
    try:
        found = json.loads(raw)
    except ValueError as error:
        raise CheckpointError(f"{path} has damaged metadata under 'iin': {error}") from error
    return found if isinstance(found, dict) else {}


def open_tensors(path: Path) -> Any:
    """Open a safetensors file, foreign or not; a context manager with `keys()`, `get_tensor(name)` and `metadata()`."""
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"no such file of latents: {path} {found}; give a .safetensors file")
    try:
        return safe_open(path, framework="pt", device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error


def check_finite(values: Tensor, name: str, start: int = 0) -> Tensor:
    """Return `values` (M, N), the rows of `name` from `start` on; raises DataError naming the first not finite one."""
    bad = ~torch.isfinite(values).all(1)
    if bad.any():
        raise DataError(f"{name} is not finite in row {start + int(bad.nonzero()[0])}")
    return values
