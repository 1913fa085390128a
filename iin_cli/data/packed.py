"""Paths and digests of a million files, read like lists of text and kept as bytes in arrays.

A Python text of 20 letters takes 77 bytes, and one of a digest 121; here they take 28 and 32.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np

__all__ = ["Digests", "Paths", "order_of"]

DIGEST_BYTES = 32
# The first 8 of them, and the other 24 where these are equal.
WORDS = 4


class _Packed(Sequence[str]):
    """Texts that are made when they are asked for."""

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        # A range refuses what is outside, and counts from the end.
        place = range(len(self))[index]
        return self._at(place) if isinstance(place, int) else [self._at(each) for each in place]

    @abstractmethod
    def _at(self, place: int) -> str:
        """Return text number `place`."""


class Paths(_Packed):
    """Relative paths with forward slashes, one after the other in `text`; path i ends at `ends[i]`.

    >>> Paths.of(["a/1.png", "b.png"])[1]
    'b.png'
    """

    def __init__(self, text: bytes, ends: np.ndarray) -> None:
        self.text = text
        self.ends = ends

    @classmethod
    def of(cls, paths: Iterable[str]) -> Paths:
        """Pack paths, whose bytes that are no text are escaped as `os.fsdecode` does."""
        text, ends = bytearray(), array("q")
        for path in paths:
            text += path.encode("utf-8", "surrogateescape")
            ends.append(len(text))
        return cls(bytes(text), np.array(ends, np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def _at(self, place: int) -> str:
        start = int(self.ends[place - 1]) if place else 0
        return self.text[start : int(self.ends[place])].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (path.decode("utf-8", "surrogateescape") for path in self.raw())

    def raw(self) -> Iterator[bytes]:
        """Yield the bytes of every path."""
        start = 0
        for chunk in np.array_split(self.ends, len(self.ends) // 4096 + 1):
            for end in chunk.tolist():
                yield self.text[start:end]
                start = end

    def is_same(self, other: Paths) -> bool:
        """Say whether these are the same paths in the same order."""
        return self.text == other.text and np.array_equal(self.ends, other.ends)

    def take(self, chosen: np.ndarray) -> Paths:
        """Return the paths where `chosen` (M,) is true."""
        return (
            self if chosen.all() else Paths.of(path for path, keep in zip(self, chosen.tolist(), strict=True) if keep)
        )

    def places_in(self, other: Paths) -> np.ndarray:
        """Return the place of each path in `other`, int64 (M,), and -1 where it is not there; both must be sorted.

        >>> Paths.of(["a", "c"]).places_in(Paths.of(["a", "b", "c"])).tolist()
        [0, 2]
        """
        if self.is_same(other):
            return np.arange(len(self))
        places, theirs = np.full(len(self), -1), enumerate(other)
        number, candidate = next(theirs, (-1, ""))
        for place, path in enumerate(self):
            while number >= 0 and candidate < path:
                number, candidate = next(theirs, (-1, ""))
            if number >= 0 and candidate == path:
                places[place] = number
        return places

    def folders(self, depth: int) -> tuple[list[str], np.ndarray]:
        """Return the distinct folders at `depth`, and which of them each path has; -1 for a path that ends before.

        >>> names, which = Paths.of(["a/1.png", "b/c/2.png", "3.png"]).folders(0)
        >>> names, which.tolist()
        (['a', 'b'], [0, 1, -1])
        """
        number: dict[str, int] = {}
        which = np.empty(len(self), np.int64)
        # Neighbours in a sorted list have most of their folders in common.
        before, found = None, -1
        for place, path in enumerate(self):
            folder, _, _ = path.rpartition("/")
            if folder != before:
                parts, before = folder.split("/"), folder
                there = len(parts) > depth and bool(folder)
                found = number.setdefault(parts[depth], len(number)) if there else -1
            which[place] = found
        return list(number), which


class Digests(_Packed):
    """Digests as sha256 gives them: uint8 (M, 32) in `rows`, hexadecimal as text."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = np.ascontiguousarray(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def _at(self, place: int) -> str:
        return self.rows[place].tobytes().hex()

    def __iter__(self) -> Iterator[str]:
        # One conversion for many is three times as fast as one for each.
        for chunk in np.array_split(self.rows, len(self.rows) // 4096 + 1):
            text = chunk.tobytes().hex()
            yield from (text[start : start + 2 * DIGEST_BYTES] for start in range(0, len(text), 2 * DIGEST_BYTES))

    def order(self) -> np.ndarray:
        """Return the places of the digests from the smallest to the largest; equal ones in their own order."""
        words = self.rows.view(">u8").astype(np.uint64)
        order = np.argsort(words[:, 0], kind="stable")
        first = words[order, 0]
        return np.lexsort(words.T[::-1]) if (first[1:] == first[:-1]).any() else order

    def firsts(self) -> np.ndarray:
        """Return for each digest the place of the first that equals it, int64 (M,)."""
        order = self.order()
        sorted_rows = self.rows[order]
        starts = np.flatnonzero(np.append(True, (sorted_rows[1:] != sorted_rows[:-1]).any(axis=1)))
        found = np.empty(len(order), np.int64)
        found[order] = np.repeat(order[starts], np.diff(np.append(starts, len(order))))
        return found


def order_of(keys: Sequence[str]) -> np.ndarray:
    """Return the places of `keys` from the smallest to the largest, int64 (M,); equal ones in their own order."""
    if isinstance(keys, Digests):
        return keys.order()
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
