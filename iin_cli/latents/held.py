"""What other entries of the cache hold of some items: their rows are taken from there, and only the rest is encoded.

Entries are of one family where all that decides an item's latents is the same: network, precision, data, rendering.
Each keeps the numbers of its items, and in the file beside it the family. A row that is taken is the row that would be
encoded, so that an entry has the same bytes whatever was encoded before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

__all__ = ["FAMILY", "ITEMS", "Held", "holders"]

# The array of an entry that numbers its items.
ITEMS = "items"
# The key of the file beside an entry that names its family.
FAMILY = "family"
NO_ENTRY = -1


class Rows(Protocol):
    """An array (L, N) of which rows are taken."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


class Held:
    """Which of `items` (M,) the entries that were added hold, and where."""

    def __init__(self, items: np.ndarray) -> None:
        self._items, self._entries = items, list[Mapping[str, Rows]]()
        self._entry, self._rows = np.full(len(items), NO_ENTRY), np.zeros(len(items), np.int64)

    @property
    def missing(self) -> np.ndarray:
        """Which items no entry holds, bool (M,)."""
        return self._entry == NO_ENTRY

    def lacks(self, numbers: np.ndarray) -> bool:
        """Say whether an entry of items `numbers` (L,) holds some that are missing."""
        return bool((self.missing & (_rows_of(self._items, numbers) >= 0)).any())

    def add(self, arrays: Mapping[str, Rows], numbers: np.ndarray) -> None:
        """Take what is missing from an entry of `arrays` (L, N), whose rows are those of items `numbers` (L,)."""
        rows = _rows_of(self._items, numbers)
        taken = self.missing & (rows >= 0)
        self._entry[taken], self._rows[taken] = len(self._entries), rows[taken]
        self._entries.append(arrays)

    def in_one(self, most: int) -> dict[str, np.ndarray] | None:
        """Return the arrays (M, N) of all items, in memory, where one entry holds them in at most `most` numbers."""
        if len(self._entries) != 1 or self.missing.any():
            return None
        (arrays,) = self._entries
        if any(len(self._rows) * array.shape[1] > most for array in arrays.values()):
            return None
        return {name: array[self._rows] for name, array in arrays.items()}

    def joined(self, positions: np.ndarray, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the arrays (B, N) of the items at `positions` (B,), where `encoded` has those that are missing."""
        entry, rows = self._entry[positions], self._rows[positions]
        if (entry == NO_ENTRY).all():
            return dict(encoded)
        found = {}
        for name, first in self._entries[0].items():
            whole = np.empty((len(positions), first.shape[1]), np.float32)
            for number, arrays in enumerate(self._entries):
                whole[entry == number] = arrays[name][rows[entry == number]]
            if name in encoded:
                whole[entry == NO_ENTRY] = encoded[name].numpy()
            found[name] = torch.from_numpy(whole)
        return found


def holders(place: Path, family: str, items: np.ndarray) -> list[tuple[Path, np.ndarray]]:
    """Return the entries below `place` of a family that hold some of `items` (M,), and the numbers of theirs.

    Those that hold the most come first.
    """
    found = [(folder, numbers, int((_rows_of(items, numbers) >= 0).sum())) for folder, numbers in _of(place, family)]
    found.sort(key=lambda each: (-each[2], each[0]))
    return [(folder, numbers) for folder, numbers, count in found if count]


def _of(place: Path, family: str) -> Iterator[tuple[Path, np.ndarray]]:
    for beside in place.glob("??/*.json"):
        folder = beside.with_suffix("")
        # An entry that is damaged, or that another command has just removed, holds nothing.
        try:
            if json.loads(beside.read_text(encoding="utf-8")).get(FAMILY) == family:
                # Mapped, since a damaged one may name any length.
                numbers = np.load(folder / f"{ITEMS}.npy", mmap_mode="r")
                if numbers.ndim == 1 and numbers.dtype == np.int64 and len(numbers):
                    yield folder, np.array(numbers)
        # Numpy reads the first lines of a file as Python, and any of Python's errors may come of damaged ones.
        except Exception:
            continue


def _rows_of(items: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the places (M,) of `items` (M,) in `numbers` (L,), −1 where they are not there."""
    order = np.argsort(numbers, kind="stable")
    at = order[np.minimum(np.searchsorted(numbers, items, sorter=order), len(order) - 1)]
    return np.where(numbers[at] == items, at, NO_ENTRY)
