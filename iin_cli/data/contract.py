"""The contract of a dataset, checked when a plugin's is opened: what it says of its items, and its first image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..plugin_api import Dataset, Labels

__all__ = ["breach_of"]

# An image of this side costs next to nothing.
SIDE = 8


def breach_of(dataset: Any) -> str | None:
    """Say how `dataset` breaks the contract of `plugin_api.Dataset`; None where it keeps it.

    Reads its first and its last image. Raises what it raises over them.
    """
    if not isinstance(dataset, Dataset):
        return f"it made a {type(dataset).__name__} instead of a Dataset"
    for name in ("name", "labels", "splits", "sources", "fingerprint", "native_size"):
        if not hasattr(dataset, name):
            return f"it has no {name}"
    return _wrong_facts(dataset) or _wrong_items(dataset) or _wrong_images(dataset)


def _wrong_facts(dataset: Dataset) -> str | None:
    for name in ("name", "fingerprint"):
        if not isinstance(value := getattr(dataset, name), str) or not value:
            return f"its {name} is {value!r:.60}, and must be a text"
    if not isinstance(dataset.native_size, (int, np.integer)) or dataset.native_size < 1:
        return f"its native_size is {dataset.native_size!r:.60}, and must be a whole number of at least 1"
    if (wrong := _unlike_whole_numbers(dataset.sources)) is not None:
        return f"its sources must be whole numbers (M,), and are {wrong}"
    return None if len(dataset.sources) else "it has no items: its sources are empty"


def _wrong_items(dataset: Dataset) -> str | None:
    count = len(dataset.sources)
    if not isinstance(dataset.labels, Mapping):
        return f"its labels are a {type(dataset.labels).__name__}, not a mapping from column to Labels"
    for column, labels in dataset.labels.items():
        if (wrong := _wrong_labels(labels, count)) is not None:
            return f"label {column!r:.60}: {wrong}"
    colors = dataset.colors
    if colors is not None and (np.shape(colors) != (count, 3) or not np.all((colors >= 0) & (colors <= 1))):
        return f"its colors must be numbers from 0 to 1 of shape ({count}, 3), and are {_shape(colors)}"
    return _wrong_splits(dataset, count)


def _wrong_labels(labels: Any, count: int) -> str | None:
    if not isinstance(labels, Labels):
        return f"it is a {type(labels).__name__}, not Labels"
    values = labels.values
    if not isinstance(values, np.ndarray) or values.shape != (count,):
        return f"its values must be an array ({count},), one per item, and are {_shape(values)}"
    if labels.continuous:
        return None if np.isfinite(values).all() else "its values are not finite"
    if (wrong := _unlike_whole_numbers(values)) is not None:
        return f"its values must be whole numbers or floating-point ones, and are {wrong}"
    if values.min() < 0:
        return f"its values must not be negative, and one is {values.min()}"
    if labels.names is not None and values.max() >= len(labels.names):
        return f"it has {len(labels.names)} names, and a value is {values.max()}"
    return None


def _wrong_splits(dataset: Dataset, count: int) -> str | None:
    if not isinstance(dataset.splits, Mapping) or not {"train", "test"} <= dataset.splits.keys():
        return "its splits must map train and test to items"
    for split, items in dataset.splits.items():
        # An empty array has whatever type NumPy gives it.
        if np.shape(items) != (0,) and (wrong := _unlike_whole_numbers(items)) is not None:
            return f"split {split!r:.60} must be whole numbers, and is {wrong}"
        if len(items) and (items.min() < 0 or items.max() >= count):
            return f"split {split!r:.60} names item {items.max()}, and there are {count}"
        if len(np.unique(items)) != len(items):
            return f"split {split!r:.60} names an item twice"
    train, test = (np.asarray(dataset.splits[split], np.int64) for split in ("train", "test"))
    if shared := np.intersect1d(dataset.sources[train], dataset.sources[test]).tolist():
        return f"train and test are not apart: both have images of source {shared[0]}"
    return None


def _wrong_images(dataset: Dataset) -> str | None:
    items = np.unique([0, len(dataset.sources) - 1])
    images, wanted = dataset.images(items, SIDE), (len(items), SIDE, SIDE, 3)
    if not isinstance(images, np.ndarray) or images.shape != wanted or images.dtype != np.uint8:
        return f"images must give uint8 (B, S, S, 3), here {wanted}, and gives {_shape(images)}"
    return None


def _unlike_whole_numbers(values: Any) -> str | None:
    """Return what `values` are where they are no array (M,) of whole numbers."""
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "iu":
        return None
    return _shape(values)


def _shape(values: Any) -> str:
    return f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
