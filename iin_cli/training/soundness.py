"""What no saved training has: numbers that are not finite, an optimiser of other weights or with other settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

__all__ = ["require_finite", "require_same_optimizers"]

# Settings that a schedule changes, and those that follow the device.
CHANGING = ("lr", "initial_lr", "capturable", "fused")


def require_finite(state: Any) -> None:
    """Raise ValueError for a number that is not finite in nested dicts and lists of tensors."""
    if not all(tensor.isfinite().all() for tensor in _numbers(state)):
        raise ValueError("it holds numbers that are not finite")


def require_same_optimizers(saved: Mapping[str, Any], fresh: Mapping[str, Any]) -> None:
    """Raise ValueError where an optimiser in `saved` has other weights or settings than the one in `fresh`.

    torch would take moments of one weight for those of another. Settings that only one of them knows are of another
    version of torch, and say nothing.
    """
    for name, now in fresh.items():
        before = saved.get(name)
        if not isinstance(now, Mapping) or not isinstance(before, Mapping):
            continue
        if "param_groups" not in now:
            require_same_optimizers(before, now)
            continue
        if len(before["param_groups"]) != len(now["param_groups"]):
            raise ValueError(f"its {name} has another number of groups of weights")
        for group, own in zip(before["param_groups"], now["param_groups"], strict=True):
            for key in (group.keys() & own.keys()) - {*CHANGING}:
                if _as_list(group[key]) != _as_list(own[key]):
                    raise ValueError(f"its {name} has {key} {str(group[key])[:50]}, and this run has {own[key]}")


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _numbers(tree: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of floating-point numbers in nested dicts and lists."""
    if isinstance(tree, torch.Tensor):
        if tree.is_floating_point():
            yield tree
    elif isinstance(tree, (dict, list)):
        for entry in tree.values() if isinstance(tree, dict) else tree:
            yield from _numbers(entry)
