"""The sha256 of tensors in memory, and the number types of torch by their names in safetensors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from .tensor_file import described

__all__ = ["DTYPES", "NAMES", "digest_of_tensors"]

# Number types of torch by their names in safetensors.
DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def digest_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of named tensors on the CPU: of their names, number types, shapes and bytes, in order of name.

    >>> digest_of_tensors({"a": torch.ones(2)}) == digest_of_tensors({"a": torch.ones(1, 2)})
    False
    """
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(described(name, NAMES.get(tensor.dtype, str(tensor.dtype)), tensor.shape))
        total.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
