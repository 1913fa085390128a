"""What is remembered of the files of a folder, so that one that has not changed is not read again.

A file is the same while the system says the same of it: path, size, times, inode and disk (`scanning.facts_of`). Every
write gives it a new time, but within one tick of the disk's clock a second write gives it the same one: a file whose
time is as new as the clock's resolution is not trusted. The table is one file in the cache, whole or not there; of two
commands that write it at once the last one stays. Nothing is lost with it but time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import PIL

from ..errors import IinError
from ..io.atomic import write_atomically
from ..io.greys import Extent
from ..io.image_files import open_regular
from ..io.paths import cache_dir
from .packed import DIGEST_BYTES, Paths
from .scanning import FACTS, Listing

__all__ = ["CLOCK_NS", "NO_EXTENT", "VERIFY", "Content", "KnownFiles", "Looks", "is_settled", "is_verified"]

FORMAT = 2
# Set to read every file again, whatever is remembered.
VERIFY = "IIN_VERIFY"
# The coarsest clock of a disk in use, that of FAT.
CLOCK_NS = 2_000_000_000
NO_EXTENT = -1


def is_verified() -> bool:
    """Say whether this process shall read every file, whatever is remembered of it."""
    return bool(os.environ.get(VERIFY))


@dataclass
class Looks:
    """What is known of every file of a folder: row i of each array is file i.

    Attributes:
        facts: uint64 (M, 5) as `facts_of`.
        digests: the sha256, uint8 (M, 32).
        extents: which of `distinct` the numbers in the image are, int32 (M,); `NO_EXTENT` for 8 bits.
        read: whether the file has been read and is an image, bool (M,).
        settled: whether a later write will show in its facts, bool (M,).
    """

    facts: np.ndarray
    digests: np.ndarray
    extents: np.ndarray
    distinct: list[Extent]
    read: np.ndarray
    settled: np.ndarray

    @classmethod
    def none_at(cls, facts: np.ndarray) -> Looks:
        """Return the looks at files of these facts before any is read."""
        count = len(facts)
        digests = np.zeros((count, DIGEST_BYTES), np.uint8)
        extents = np.full(count, NO_EXTENT, np.int32)
        return cls(facts, digests, extents, [], np.zeros(count, bool), np.zeros(count, bool))

    def add(self, place: int, digest: str, extent: Extent | None, facts: Sequence[int], now_ns: int) -> None:
        """Enter what reading file `place`, begun at `now_ns`, found."""
        self.digests[place] = np.frombuffer(bytes.fromhex(digest), np.uint8)
        self.extents[place] = NO_EXTENT if extent is None else len(self.distinct)
        if extent is not None:
            self.distinct.append(extent)
        self.facts[place] = facts
        self.read[place] = True
        self.settled[place] = is_settled(facts, now_ns)

    def take(self, chosen: np.ndarray) -> Looks:
        """Return the looks at the files where `chosen` (M,) is true, and no extent but theirs."""
        if chosen.all() and not self.distinct:
            return self
        extents = self.extents[chosen]
        used, numbers = np.unique(extents[extents != NO_EXTENT], return_inverse=True)
        extents[extents != NO_EXTENT] = numbers
        distinct = [self.distinct[number] for number in used.tolist()]
        return Looks(
            self.facts[chosen],
            self.digests[chosen],
            extents,
            distinct,
            self.read[chosen],
            self.settled[chosen],
        )


class Content:
    """Contents that are known to be images, found by digest, so that a moved or copied file is not decoded again."""

    def __init__(self, looks: Looks) -> None:
        self._looks = looks
        # Of a million numbers of 64 bits two are equal once in 30 million folders, which costs one decoding.
        first = looks.digests[:, :8].copy().view(np.uint64).ravel()
        self._order = np.argsort(first)
        self._sorted = first[self._order]

    def find(self, digest: bytes) -> tuple[bool, Extent | None]:
        """Say whether an image of this digest is known, and give its numbers."""
        row = np.frombuffer(digest, np.uint8)
        start = int(np.searchsorted(self._sorted, row[:8].view(np.uint64)[0]))
        if start == len(self._order) or not np.array_equal(self._looks.digests[place := self._order[start]], row):
            return False, None
        number = int(self._looks.extents[place])
        return True, None if number == NO_EXTENT else self._looks.distinct[number]


class KnownFiles:
    """The table of one folder."""

    def __init__(self, folder: Path) -> None:
        self._file: Path | None = None
        self._files, self._looks = Paths.of(()), Looks.none_at(np.zeros((0, FACTS), np.uint64))
        # Without a cache every image is read again.
        with contextlib.suppress(OSError, ValueError, RuntimeError, IinError):
            place = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()
            self._file = cache_dir() / "images" / f"{place}.npz"
            self._files, self._looks = _read(self._file)

    def recall(self, listing: Listing) -> Looks:
        """Return what is remembered of the files of a listing that are as they were."""
        places, known = listing.files.places_in(self._files), self._looks
        looks = Looks.none_at(listing.facts)
        if not len(self._files):
            return looks
        # Rows without facts are of files that were too new.
        rows = slice(None) if listing.files.is_same(self._files) else places
        looks.read = (places >= 0) & known.settled[rows] & (known.facts[rows] == listing.facts).all(axis=1)
        looks.settled = looks.read.copy()
        # Shared where nothing will be entered.
        looks.digests = known.digests[rows] if looks.read.all() else known.digests[places]
        looks.extents = np.where(looks.read, known.extents[rows], np.int32(NO_EXTENT))
        looks.distinct = list(known.distinct)
        return looks

    def content(self) -> Content:
        """Return the contents of the folder that are known to be images; none where all shall be read again."""
        return Content(Looks.none_at(np.zeros((0, FACTS), np.uint64)) if is_verified() else self._looks)

    def remember(self, files: Paths, looks: Looks) -> None:
        """Keep what is known of `files` for the next command, and nothing else."""
        if self._file is None or self._holds(files, looks):
            return
        with contextlib.suppress(OSError, IinError):
            # Facts that would not show a later write are not kept.
            facts = np.where(looks.settled[:, None], looks.facts, np.uint64(0))
            _write(self._file, files, replace(looks, facts=facts))
            # What versions before this one kept.
            self._file.with_suffix(".json").unlink(missing_ok=True)

    def _holds(self, files: Paths, looks: Looks) -> bool:
        before = self._looks
        if not self._files.is_same(files) or not np.array_equal(before.settled, looks.settled):
            return False
        same_facts = (before.facts == looks.facts).all(axis=1) | ~before.settled
        return bool(same_facts.all()) and np.array_equal(before.digests, looks.digests)


def is_settled(facts: Sequence[int], now_ns: int) -> bool:
    """Say whether a later write to a file that was read at `now_ns` shows in its facts, as `facts_of` gives them."""
    _, changed, touched, *_ = facts
    # Times ahead come from archives, and say nothing of a later write, which sets the second one.
    return now_ns - touched >= CLOCK_NS and abs(now_ns - changed) >= CLOCK_NS


def _made_by() -> list[int | str]:
    return [FORMAT, PIL.__version__]


def _write(path: Path, files: Paths, looks: Looks) -> None:
    head = {"made_by": _made_by(), "distinct": [asdict(extent) for extent in looks.distinct]}
    with write_atomically(path) as temporary, open(temporary, "wb") as opened:
        np.savez(
            opened,
            head=np.frombuffer(json.dumps(head).encode(), np.uint8),
            text=np.frombuffer(files.text, np.uint8),
            ends=files.ends,
            facts=looks.facts,
            digests=looks.digests,
            extents=looks.extents,
        )


def _read(path: Path) -> tuple[Paths, Looks]:
    """Read a table; ValueError for one that is damaged or that another version made."""
    try:
        # NumPy leaves a damaged archive open.
        with open_regular(path) as opened, np.load(opened, allow_pickle=False) as table:
            head = json.loads(table["head"].tobytes())
            if head["made_by"] != _made_by():
                raise ValueError("another version made it")
            files = Paths(table["text"].tobytes(), table["ends"])
            distinct = [Extent(**known) for known in head["distinct"]]
            facts, is_read = table["facts"], np.ones(len(files), bool)
            found = Looks(facts, table["digests"], table["extents"], distinct, is_read, facts.any(axis=1))
    except OSError:
        raise
    # The reader raises whatever the damage led it to; the archive has a sum of every part.
    except Exception as cause:
        raise ValueError(f"{path} is damaged") from cause
    _require_whole(files, found)
    return files, found


def _require_whole(files: Paths, looks: Looks) -> None:
    count = len(files)
    wanted = ((files.ends, (count,), np.int64), (looks.facts, (count, FACTS), np.uint64))
    wanted += ((looks.digests, (count, DIGEST_BYTES), np.uint8), (looks.extents, (count,), np.int32))
    whole = all(values.shape == shape and values.dtype == kind for values, shape, kind in wanted)
    if not whole or (count and int(files.ends[-1]) != len(files.text)):
        raise ValueError("its parts do not agree")
    if count and int(looks.extents.max()) >= len(looks.distinct):
        raise ValueError("it names an extent that it has not")
