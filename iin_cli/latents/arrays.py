"""Latents given in memory, as tensors or arrays of any kind: checked once, then float32 on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from .files import check_finite

__all__ = ["as_latents"]


def as_latents(values: Any, name: str, dim: int | None = None) -> Tensor:
    """Return latents `values` (M, N), a tensor, an array or nested lists, as float32 on the CPU, without gradients.

    Args:
        name: what messages call them.
        dim: N, where it is known; else any of at least 2.

    Raises DataError for another shape, no rows, complex numbers, and for the first row that is not finite.

    >>> as_latents(np.ones((3, 2)), "z").dtype
    torch.float32
    >>> as_latents([[1.0, 2.0], [3.0, float("nan")]], "z")
    Traceback (most recent call last):
        ...
    iin_cli.errors.DataError: z is not finite in row 1
    """
    if not isinstance(values, Tensor):
        values = _from_array(values, name)
    if values.is_complex():
        kind = str(values.dtype).removeprefix("torch.")
        raise DataError(f"{name} holds {kind}, latents are real numbers: write {name}.real")
    if values.layout != torch.strided:
        raise DataError(f"{name} is a sparse tensor, latents are dense: write {name}.to_dense()")
    shape = tuple(values.shape)
    if len(shape) != 2:
        hint = f": write {name}[None] for a single latent" if len(shape) == 1 else ": flatten each item's features"
        raise DataError(f"{name} has shape {shape}, latents are (M, N), one row per item{hint}")
    if not shape[0]:
        raise DataError(f"{name} is empty, its shape is {shape}: give at least one row")
    if dim is not None and shape[1] != dim:
        raise DataError(
            f"{name} has {shape[1]} numbers per row, needs {dim}: give latents of the same network and layer"
        )
    if shape[1] < 2:
        raise DataError(f"{name} has {shape[1]} numbers per row, a translator needs at least 2")
    # A value that float32 cannot hold becomes infinite here, and is reported.
    return check_finite(values.detach().to("cpu", torch.float32).contiguous(), name)


def _from_array(values: Any, name: str) -> Tensor:
    try:
        array = np.asarray(values)
        # Some arrays cannot be written to, or run backwards; torch takes neither.
        return torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ("C", "W")))
    except (TypeError, ValueError, RuntimeError):
        raise DataError(
            f"{name} is {type(values).__name__}, latents are a tensor or an array (M, N) of real numbers"
        ) from None
