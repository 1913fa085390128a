"""What one look at every image found, kept in the cache beside what is known of folders, so that none is read twice.

A table is of one shard or one split, under the name of its files, and is used while the system says the same of them:
size, times, inode and disk (`iin_cli.data.known_files`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from iin_cli.data.known_files import NO_EXTENT, is_settled, is_verified
from iin_cli.data.packed import DIGEST_BYTES
from iin_cli.data.scanning import facts_of
from iin_cli.errors import IinError
from iin_cli.io.atomic import write_atomically
from iin_cli.io.greys import Extent
from iin_cli.io.image_files import examine, in_threads, open_regular, why_unreadable
from iin_cli.io.paths import cache_dir

__all__ = ["Content", "Facts", "Seen", "Table", "look_at", "read_table", "write_table"]

FORMAT = 1
# Images that wait in memory to be looked at: so many, or fewer of so many bytes together.
TOGETHER, TOGETHER_BYTES = 256, 64 << 20
# The bytes of an image, or why there are none.
Content = bytes | str


@dataclass(frozen=True)
class Seen:
    """What is known of M images.

    Attributes:
        digests: the sha256 of each, uint8 (M, 32).
        extents: which of `distinct` its numbers are, int32 (M,); `NO_EXTENT` for 8 bits.
        problems: number of an image that cannot be read -> why.
    """

    digests: np.ndarray
    extents: np.ndarray
    distinct: list[Extent]
    problems: Mapping[int, str]


@dataclass(frozen=True)
class Facts:
    """What the system says of files: `rows` uint64 (F, 5) as `facts_of`, and the nanosecond in which it was asked."""

    rows: np.ndarray
    now_ns: int

    @classmethod
    def of(cls, files: Sequence[Path], now_ns: int) -> Facts:
        """Ask for the facts of `files`; raises OSError for one that is not there."""
        return cls(np.array([facts_of(os.stat(file)) for file in files], np.uint64).reshape(len(files), -1), now_ns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Facts) and np.array_equal(self.rows, other.rows)

    @property
    def are_settled(self) -> bool:
        """Whether a later write to any of the files would show."""
        return all(is_settled(row, self.now_ns) for row in self.rows.tolist())


@dataclass(frozen=True)
class Table:
    """JSON values in `head`, and arrays by name."""

    head: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @classmethod
    def of(cls, seen: Seen) -> Table:
        """Make a table of what was seen."""
        head = {"distinct": [asdict(extent) for extent in seen.distinct], "problems": [*seen.problems.items()]}
        return cls(head, {"digests": seen.digests, "extents": seen.extents})

    def seen(self) -> Seen:
        """Return what was seen."""
        distinct = [Extent(**extent) for extent in self.head["distinct"]]
        return Seen(self.arrays["digests"], self.arrays["extents"], distinct, dict(self.head["problems"]))


def look_at(contents: Iterable[Content], count: int, advance: Callable[[int], object]) -> Seen:
    """Decode `count` images as they come, in threads; `advance` is told of those that are done."""
    digests, extents = np.zeros((count, DIGEST_BYTES), np.uint8), np.full(count, NO_EXTENT, np.int32)
    number: dict[Extent, int] = {}
    problems: dict[int, str] = {}
    place = 0
    for pack in _packs(contents):
        for digest, extent, problem in in_threads(_look, pack):
            digests[place] = np.frombuffer(digest, np.uint8)
            if extent is not None:
                extents[place] = number.setdefault(extent, len(number))
            if problem is not None:
                problems[place] = problem
            place += 1
        advance(len(pack))
    return Seen(digests, extents, list(number), problems)


def _packs(contents: Iterable[Content]) -> Iterator[list[Content]]:
    pack: list[Content] = []
    size = 0
    for content in contents:
        pack.append(content)
        size += len(content)
        if len(pack) == TOGETHER or size >= TOGETHER_BYTES:
            yield pack
            pack, size = [], 0
    if pack:
        yield pack


def _look(content: Content) -> tuple[bytes, Extent | None, str | None]:
    if isinstance(content, str):
        return bytes(DIGEST_BYTES), None, content
    digest = hashlib.sha256(content).digest()
    try:
        return digest, examine(content), None
    except MemoryError:
        raise
    # Pillow's decoders raise whatever the damage led them to.
    except Exception as cause:
        return digest, None, why_unreadable(cause)


def read_table(name: str, facts: Facts) -> Table | None:
    """Return what is known of the files of this name; None where it is nothing, or they are others by now."""
    if is_verified():
        return None
    # A table is written again when anything is wrong with it.
    with contextlib.suppress(Exception), open_regular(_place(name)) as opened, np.load(opened) as stored:
        head = json.loads(stored["head"].tobytes())
        arrays = {key: stored[key] for key in stored.files if key not in ("head", "facts")}
        if head["made_by"] == _made_by(name) and Facts(stored["facts"], 0) == facts:
            return Table(head, arrays)
    return None


def write_table(name: str, facts: Facts, table: Table) -> None:
    """Keep what is known of files, unless a later write to them would not show."""
    if not facts.are_settled:
        return
    head = json.dumps({**table.head, "made_by": _made_by(name)}).encode()
    # Without a cache every image is read again.
    with (
        contextlib.suppress(OSError, IinError),
        write_atomically(_place(name)) as temporary,
        open(temporary, "wb") as opened,
    ):
        np.savez(opened, head=np.frombuffer(head, np.uint8), facts=facts.rows, **table.arrays)  # pyright: ignore[reportArgumentType]


def _place(name: str) -> Path:
    return cache_dir() / "images" / f"{hashlib.sha256(os.fsencode(name)).hexdigest()}.npz"


def _made_by(name: str) -> list[int | str]:
    return [FORMAT, PIL.__version__, hashlib.sha256(os.fsencode(name)).hexdigest()]
