"""The state of an interrupted training run as a checkpoint: nested dicts and lists of tensors and JSON values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError
from . import checkpoint

__all__ = ["read_state", "write_state"]


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write nested dicts, lists and tuples of tensors, numbers, strings and None, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    tree = _flatten(state, tensors)
    checkpoint.save(path, tensors, {"kind": "training", "tree": tree})


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote; tuples come back as lists. Raises CheckpointError for any other file."""
    file = checkpoint.load(path, "training")
    try:
        state = _restore(file.metadata["tree"], file.tensors)
        if isinstance(state, dict):
            return state
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} does not hold the state its metadata describes: {error}") from error
    raise CheckpointError(f"{path} does not hold the state of a training")


def _flatten(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        key = str(len(tensors))
        # Cloned, since safetensors refuses two names for the same memory.
        tensors[key] = value.detach().clone()
        return {"t": key}
    if isinstance(value, dict):
        # Lists of pairs, not JSON objects: an optimiser's keys are integers and stay so.
        return {"d": [[key, _flatten(entry, tensors)] for key, entry in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"l": [_flatten(entry, tensors) for entry in value]}
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no such numbers.
        return {"f": str(value)}
    return {"v": value}


def _restore(node: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    ((kind, content),) = node.items()
    if kind == "t":
        return tensors[content]
    if kind == "d":
        return {key: _restore(entry, tensors) for key, entry in content}
    if kind == "l":
        return [_restore(entry, tensors) for entry in content]
    if kind == "f":
        return float(content)
    if kind != "v":
        raise ValueError(f"unknown part {str(kind)[:20]!r}")
    return content
