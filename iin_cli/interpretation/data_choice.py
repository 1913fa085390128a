"""Which data a command reads: the user's choice, else what a checkpoint remembers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import open_dataset
from ..data.animal_faces import find_animalfaces
from ..data.folder import FolderDataset
from ..errors import DataError, UsageError
from ..io.paths import data_root as default_root
from ..plugin_api import Dataset
from ..progress import Reporter, Silent
from ..registry import names

__all__ = ["DataChoice", "choose_items", "describe_data", "split_items"]


@dataclass(frozen=True)
class DataChoice:
    """Which images are read.

    Attributes:
        data: a dataset's name or a folder of images; None takes what a checkpoint remembers.
        root: where datasets lie; None takes the recorded folder if it is there, else the default.
        split: train, test or all.
        n: how many images, drawn by `seed`; None takes all, or what a command usually takes.
        seed: of the draw, and of everything else that is random.
        skip_bad: whether files that cannot be read are left out; so they are, too, where a checkpoint's were.
    """

    data: str | None = None
    root: Path | None = None
    split: str = "test"
    n: int | None = None
    seed: int = 0
    skip_bad: bool = False

    def open(self, recorded: Mapping[str, Any] | None, report: Reporter | None = None) -> Dataset:
        """Open the data that the user names, else those `recorded` by a checkpoint (`{name, root}`).

        With no checkpoint to remember any (`recorded` None) it is `animalfaces` if the data root has it, else the
        embedded `shapes`, and `report` is told which and why. Raises DataError when a checkpoint records none.
        """
        report = report or Silent()
        if self.data is None and recorded is None:
            return open_dataset(self._fallback(report), self.root, report, self.skip_bad)
        name = self.data if self.data is not None else (recorded or {}).get("name")
        if name is None:
            raise DataError("which data? none is recorded: name it with --data NAME|DIR")
        skip_bad = self.skip_bad or (self.data is None and bool((recorded or {}).get("left_out")))
        return open_dataset(name, self.root_of(recorded), report, skip_bad)

    def root_of(self, recorded: Mapping[str, Any] | None) -> Path | None:
        """Return the root asked for, else where the recorded data lay if that is still there, else None."""
        lay = (recorded or {}).get("root")
        if self.root is not None or lay is None or not os.path.isdir(lay):
            return self.root
        # Other data than the recorded is more likely where the user says data lies.
        return None if self.data is not None and "IIN_DATA_ROOT" in os.environ else Path(lay)

    def _fallback(self, report: Reporter) -> str:
        found = find_animalfaces(self.root)
        if found is not None:
            report.note(f"data: animalfaces, since --data names none and the data root has {found}")
            return "animalfaces"
        root = default_root(self.root)
        report.note(f"data: shapes, drawn by iin, since --data names none and {root} has no animalfaces folder")
        return "shapes"


def describe_data(dataset: Dataset, root: Path | None) -> dict[str, Any]:
    """Return what a checkpoint remembers of its data; paths are absolute, so that later runs find them anywhere.

    A dataset may have it remember more (`remembered`): which items were left out, and why, and how greys are read.
    """
    name = dataset.name
    if isinstance(dataset, FolderDataset):
        # Made absolute here, since it may be called like a registered set.
        name = str(dataset.folder.resolve())
    if name not in names("datasets") and Path(name).expanduser().exists():
        name = str(Path(name).expanduser().resolve())
    known = {"name": name, "root": str(default_root(root).resolve()), "fingerprint": dataset.fingerprint}
    return {**known, **dataset.remembered, **known}


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
