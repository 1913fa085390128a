"""Read and check files of latents: safetensors of this program or of any other."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError, DataError
from ..io import checkpoint
from ..io.tensor_file import DTYPES, StoredTensor, stored_tensors
from ..progress import Reporter
from .cache import MappedRows

__all__ = [
    "StoredTensor",
    "check_finite",
    "map_rows",
    "open_tensors",
    "read_iin_metadata",
    "read_rest",
    "read_rows",
    "stored_tensors",
    "verified",
]

# Real numbers of every kind that torch computes with.
REAL = {
    kind: getattr(torch, DTYPES[kind])
    for kind in ("BOOL", "U8", "I8", "I16", "I32", "I64", "F16", "BF16", "F32", "F64")
}


def map_rows(tensor: StoredTensor) -> MappedRows:
    """Map a tensor (M, N) without reading it; raises DataError if it is empty, of another shape, or not real."""
    shape, dtype = tensor.shape, REAL.get(tensor.kind)
    if len(shape) != 2 or shape[1] < 2 or not shape[0]:
        raise DataError(f"{tensor.file}: {tensor.name} has shape {shape}, needs (rows, N) with N of at least 2")
    if dtype is None:
        kind = "complex" if tensor.kind.startswith("C") else tensor.kind
        raise DataError(f"{tensor.file}: {tensor.name} is {kind}, needs real numbers")
    return MappedRows(tensor.file, tensor.offset, (shape[0], shape[1]), dtype)


def verified(path: Path, report: Reporter | None = None) -> Path:
    """Return `path` once its tensors agree with the digest that it was saved with; a foreign file has none.

    Raises CheckpointError for a file of this program that is damaged; errors as `open_tensors`.
    """
    with open_tensors(path) as content:
        own = "iin" in (content.metadata() or {})
    if own:
        checkpoint.verify(path, report)
    return path


def read_rows(path: Path, tensor: str) -> Tensor:
    """Return the tensor named `tensor` (M, N) of a safetensors file as finite float32, on the CPU.

    Whole numbers are taken, too, as `map_rows` takes them. Raises DataError for a file or tensor that is
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
        own = "iin" in (content.metadata() or {})
    return checkpoint.describe(path) if own else {}


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
