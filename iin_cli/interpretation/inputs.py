"""Images that a command edits: files and folders the user names, else test images of the recorded data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.folder import open_folder, read_image
from ..errors import DataError, UsageError
from ..plugin_api import Backbone, Dataset
from .opening import OpenTranslator, open_data

__all__ = ["Inputs", "choose_items", "recorded_data", "split_items", "starts", "targets_and_sources"]


@dataclass(frozen=True)
class Inputs:
    """Images uint8 (B, S, S, 3) at the backbone's size, and what to call each."""

    pixels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


def targets_and_sources(
    opened: OpenTranslator,
    target: Sequence[Path],
    source: Sequence[Path],
    *,
    data: str | None,
    data_root: Path | None,
    split: str,
    n: int,
    seed: int,
) -> tuple[Inputs, Inputs]:
    """Return the images to edit and those to take factors from.

    Whichever is not named is drawn from the data by `seed`, never the same image twice. Raises DataError for a missing
    or corrupt image and for a split with too few.
    """
    backbone = opened.backbone
    given = [_from_paths(paths, backbone) if paths else None for paths in (target, source)]
    if None not in given:
        return given[0], given[1]
    # Where one side is named, as many images as it has are drawn for the other.
    n = next((len(inputs) for inputs in given if inputs is not None), n)
    dataset = open_data(data, recorded_data(opened), data_root)
    items = choose_items(dataset, split, n * given.count(None), seed)
    drawn = [_from_items(dataset, part, backbone) for part in np.split(items, given.count(None))]
    first, second = (inputs if inputs is not None else drawn.pop(0) for inputs in given)
    return first, second


def starts(
    opened: OpenTranslator,
    target: Sequence[Path],
    *,
    data: str | None,
    data_root: Path | None,
    split: str,
    n: int,
    seed: int,
) -> Inputs:
    """Return the images named, else `n` drawn from the data by `seed`; errors as `targets_and_sources`."""
    if target:
        return _from_paths(target, opened.backbone)
    dataset = open_data(data, recorded_data(opened), data_root)
    return _from_items(dataset, choose_items(dataset, split, n, seed), opened.backbone)


def recorded_data(opened: OpenTranslator) -> dict[str, object]:
    """Return the data a translator was fitted to, of one fitted to latents alone its backbone's; empty if unknown."""
    if opened.metadata.get("backbone") is None:
        return (opened.open_backbone.data if opened.open_backbone is not None else None) or {}
    return opened.metadata.get("data") or {}


def choose_items(dataset: Dataset, split: str, count: int, seed: int) -> np.ndarray:
    """Draw `count` different items of a split (train, test or all) by `seed`, int64 (count,).

    The first items of a longer draw are those of a shorter. Raises UsageError for an unknown split, DataError when it
    has fewer items.
    """
    items = split_items(dataset, split)
    if len(items) < count:
        raise DataError(f"{dataset.name} has {len(items)} images in {split}, fewer than the {count} needed: lower --n")
    return np.random.default_rng(seed).permutation(items)[:count]


def split_items(dataset: Dataset, split: str) -> np.ndarray:
    """Return the items of a split, or of all with `all`. UsageError for an unknown one."""
    if split == "all":
        return np.arange(len(dataset.sources))
    if split not in dataset.splits:
        raise UsageError(f"--split {split!r}: {dataset.name} has {', '.join(dataset.splits)}, and all")
    return np.asarray(dataset.splits[split])


def _from_items(dataset: Dataset, items: np.ndarray, backbone: Backbone) -> Inputs:
    pixels = dataset.images(items, backbone.image_size, backbone.interpolation)
    return Inputs(pixels, tuple(dataset.path(int(item)) for item in items))


def _from_paths(paths: Sequence[Path], backbone: Backbone) -> Inputs:
    files = [file for path in paths for file in _files(path.expanduser())]
    pixels = np.stack([read_image(file, backbone.image_size, backbone.interpolation) for file in files])
    return Inputs(pixels, tuple(str(file) for file in files))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        folder = open_folder(path)
        return [Path(folder.path(item)) for item in range(len(folder.sources))]
    if not path.is_file():
        raise DataError(f"no such image: {path}")
    return [path]
