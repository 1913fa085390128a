"""Files of latents: safetensors of this program or of any other, read and checked."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError, DataError

__all__ = ["check_finite", "open_tensors", "read_iin_metadata", "read_rest", "read_rows"]


def read_rows(path: Path, tensor: str) -> Tensor:
    """Return the tensor named `tensor` (M, N) of a safetensors file as finite float32, on the CPU.

    Raises DataError when file or tensor is missing, is not (M, N) of floating-point numbers, is empty or holds a value
    that is not finite in float32; CheckpointError when the file is truncated or no safetensors file.
    """
    with open_tensors(path) as content:
        names = list(content.keys())
        if tensor not in names:
            raise DataError(f"{path} has no tensor {tensor!r}; it has: {', '.join(names) or 'none'}")
        values = content.get_tensor(tensor)
    if values.ndim != 2 or not values.is_floating_point():
        kind = str(values.dtype).removeprefix("torch.")
        raise DataError(f"{path}: {tensor} is {kind} {tuple(values.shape)}, expected floating-point numbers (M, N)")
    if 0 in values.shape:
        raise DataError(f"{path}: {tensor} is empty, its shape is {tuple(values.shape)}")
    return check_finite(values.float(), f"{path}: {tensor}")


def read_rest(path: Path, without: Collection[str]) -> dict[str, Tensor]:
    """Return every tensor of the file but those named in `without`; errors as `read_rows`."""
    with open_tensors(path) as content:
        return {name: content.get_tensor(name) for name in content.keys() if name not in without}  # noqa: SIM118


def read_iin_metadata(path: Path) -> dict[str, Any]:
    """Return what a file of this program says of itself; empty for a foreign one."""
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


def check_finite(values: Tensor, name: str) -> Tensor:
    """Return `values` (M, N), or raise DataError naming the first row that is not finite."""
    bad = ~torch.isfinite(values).all(1)
    if bad.any():
        raise DataError(f"{name} is not finite in {int(bad.sum())} rows, the first is row {int(bad.nonzero()[0])}")
    return values
