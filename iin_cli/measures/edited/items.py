"""The names of images in a recipe: a file, an item of the data `test:12`, or a draw from N(0, 1) `sample:7`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...distributed import noise
from ...errors import DataError, UsageError
from ...interpretation.data_choice import split_items
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.reading import ChosenData, Inputs
from ...plugin_api import Dataset
from .editor import Start

__all__ = ["SAMPLE", "item_number", "pixels_of", "start_of"]

SAMPLE = "sample"
NAMED = re.compile(r"(?P<split>\w+):(?P<index>\d{1,18})")


def start_of(opened: OpenTranslator, data: ChosenData | None, names: Sequence[str], height: int | None = None) -> Start:
    """Read and encode the images `names`, in one go, in pieces of `height` where that is not the usual one.

    Raises DataError for a file that is missing or no image and for an item beyond the end of its split, UsageError for
    an unknown split, and for a picture where the translator has no network.
    """
    rows: dict[str, Tensor] = {}
    pictures = [name for name in dict.fromkeys(names) if _seed_of(name) is None]
    if pictures:
        pixels = np.stack([pixels_of(opened, data, name) for name in pictures])
        rows = dict(zip(pictures, opened.require_network().encode_pixels(pixels, height), strict=True))
    drawn = {name: seed for name in dict.fromkeys(names) if (seed := _seed_of(name)) is not None}
    if drawn:
        z = opened.inverse_transform(noise(list(drawn.values()), opened.factors.dim))
        rows |= dict(zip(drawn, z, strict=True))
    return Start.of(opened, names, torch.stack([rows[name] for name in names]))


def pixels_of(opened: OpenTranslator, data: ChosenData | None, name: str) -> np.ndarray:
    """Return the image `name` at the network's size, uint8 (S, S, 3); errors as `start_of`."""
    network = opened.require_network()
    # A file that happens to be called like an item is meant where it is there.
    if (match := NAMED.fullmatch(name)) is None or Path(name).exists():
        path = Path(name)
        if path.expanduser().is_dir():
            raise UsageError(f"{name} is a folder: name one image")
        return Inputs.of_files(network, [path], opened.recorded_data, None if data is None else data.report).pixels[0]
    if data is None:
        raise DataError(f"{name} is an item of the data, and there are none")
    item = item_number(data.dataset, match["split"], int(match["index"]))
    return Inputs.of_items(network, data.dataset, np.array([item])).pixels[0]


def item_number(dataset: Dataset, split: str, index: int) -> int:
    """Return the number in the dataset of item `index` of a split; DataError where it has fewer."""
    items = split_items(dataset, split)
    if index >= len(items):
        raise DataError(f"{split}:{index}: {dataset.name} has {len(items)} images in {split}, counted from 0")
    return int(items[index])


def _seed_of(name: str) -> int | None:
    match = NAMED.fullmatch(name)
    return int(match["index"]) if match is not None and match["split"] == SAMPLE else None
