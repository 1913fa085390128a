"""What one tar shard holds: where each image's bytes begin, and the values in the files beside it.

WebDataset's layout: files of one key, all before the first point of its name, make one item: `0001.jpg`, `0001.cls`,
`0001.json`. Nothing is unpacked: an image is read where it lies.
"""

from __future__ import annotations

import json
import os
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from iin_cli.data.packed import Paths
from iin_cli.data.scanning import facts_of, image_endings
from iin_cli.errors import DataError
from iin_cli.io.image_files import open_regular
from iin_cli.printable import printable

from .columns import Column, ColumnWriter, Value
from .seen import Content, Facts, Seen, Table, look_at, read_table, write_table

__all__ = ["Shard", "known_shard", "read_shard"]

BLOCK = 512
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
# Endings of files that hold one value, and of those that hold fields.
TEXTS, FIELDS = ("cls", "txt", "text", "label", "class", "id", "index"), "json"
# More of a file than this is no label.
MOST_TEXT, MOST_JSON = 4096, 1 << 20
# What archivers of macOS add.
FOREIGN = "__macosx"
# Fields that hold lists and the like, in the report.
NESTED = "lists or parts of their own"


@dataclass(frozen=True)
class Shard:
    """One shard that was looked at.

    Attributes:
        names: the member that holds each image.
        offsets, sizes: where its bytes begin in the file, and how many they are, int64 (M,).
        skipped: fields that are no labels -> why.
        others: ending of members that are not used -> how many there are.
        cut: why what follows cannot be read; empty where all can.
        is_closed: whether it has the mark of an end.
    """

    path: Path
    names: Paths
    offsets: np.ndarray
    sizes: np.ndarray
    seen: Seen
    columns: Mapping[str, Column]
    skipped: Mapping[str, str]
    others: Mapping[str, int]
    cut: str
    is_closed: bool
    split: str | None

    def require_there(self) -> None:
        """Do nothing: a shard is opened for every image."""

    def content(self, place: int) -> bytes:
        """Return the bytes of image number `place`; raises OSError, or ValueError where they are gone."""
        with open_regular(self.path) as opened:
            return _read(opened, int(self.offsets[place]), int(self.sizes[place]))

    def called(self, place: int) -> str:
        """Return the shard and the member that holds image number `place`."""
        return printable(f"{self.path}/{self.names[place]}")

    def _table(self) -> Table:
        table = Table.of(self.seen)
        arrays = {"text": np.frombuffer(self.names.text, np.uint8), "ends": self.names.ends}
        arrays |= {"offsets": self.offsets, "sizes": self.sizes}
        arrays |= {f"codes {number}": column.codes for number, column in enumerate(self.columns.values())}
        head = {
            "skipped": dict(self.skipped),
            "others": dict(self.others),
            "cut": self.cut,
            "is_closed": self.is_closed,
        }
        columns = [(name, column.distinct) for name, column in self.columns.items()]
        return Table({**table.head, **head, "columns": columns}, {**table.arrays, **arrays})


def known_shard(path: Path, split: str | None) -> Shard | None:
    """Return what is known of a shard that has not changed since; raises DataError for one that cannot be opened."""
    if (table := read_table(f"tar {path}", _facts(path))) is None:
        return None
    head, arrays = table.head, table.arrays
    columns = {name: Column(arrays[f"codes {n}"], values) for n, (name, values) in enumerate(head["columns"])}
    names = Paths(arrays["text"].tobytes(), arrays["ends"])
    rest = columns, head["skipped"], head["others"], head["cut"], head["is_closed"], split
    return Shard(path, names, arrays["offsets"], arrays["sizes"], table.seen(), *rest)


def read_shard(path: Path, split: str | None, advance: Callable[[float], object]) -> Shard:
    """Read a shard once, look at every image, and keep what was found in the cache.

    Args:
        advance: is told of the bytes that are done, `path`'s size in all.

    Raises DataError for a file that is no tar file, is compressed, or changes meanwhile.
    """
    now = time.time_ns()
    try:
        with open_regular(path) as opened:
            before = os.fstat(opened.fileno())
            found = _members(path, opened, before.st_size)
            shard = _looked_at(path, opened, found, split, before.st_size, advance)
            after = os.fstat(opened.fileno())
    except (OSError, ValueError) as cause:
        raise _unreadable(path, cause) from cause
    if facts_of(before) != facts_of(after):
        raise DataError(
            f"shard {printable(str(path))} changed while it was read: wait until nothing writes to it, and run the "
            "command again"
        )
    write_table(f"tar {path}", Facts(np.array([facts_of(before)], np.uint64), now), shard._table())
    return shard


@dataclass
class _Sample:
    """The members of one key: ending -> where the content begins, and its size."""

    members: dict[str, tuple[int, int]] = field(default_factory=dict)
    problem: str | None = None


@dataclass
class _Found:
    samples: dict[str, _Sample]
    others: Counter[str]
    cut: str = ""
    is_closed: bool = True


def _facts(path: Path) -> Facts:
    try:
        return Facts.of([path], 0)
    except OSError as cause:
        raise _unreadable(path, cause) from cause


def _unreadable(path: Path, cause: Exception) -> DataError:
    why = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return DataError(f"shard {printable(str(path))} cannot be read ({printable(why)})")


def _read(opened: BinaryIO, offset: int, size: int) -> bytes:
    content = os.pread(opened.fileno(), size, offset)
    if len(content) != size:
        raise ValueError(f"the shard ends after {len(content):,} of its {size:,} bytes")
    return content


def _members(path: Path, opened: BinaryIO, size: int) -> _Found:
    """Find the members of every key from their headers alone."""
    called = printable(str(path))
    start = opened.read(BLOCK)
    if not start:
        raise DataError(f"shard {called} is empty, 0 bytes: fetch it again")
    if (kind := next((kind for magic, kind in COMPRESSED.items() if start.startswith(magic)), None)) is not None:
        raise DataError(f"shard {called} is compressed ({kind}), and is read from many places at once: uncompress it")
    opened.seek(0)
    found, last, tar = _Found({}, Counter()), "its beginning", None
    try:
        tar = tarfile.open(fileobj=opened, mode="r:")  # noqa: SIM115 it owns nothing
        while (member := tar.next()) is not None:
            # It remembers every member, and is asked for none again.
            tar.members = []  # pyright: ignore[reportAttributeAccessIssue]
            last = printable(member.name)
            _enter(found, member, size)
    except (tarfile.TarError, EOFError, ValueError, OverflowError, UnicodeError) as cause:
        if tar is None:
            raise DataError(f"shard {called} is no tar file ({printable(str(cause))}): fetch it again") from cause
        found.cut = f"it ends within or after {last}: fetch it again"
    found.is_closed = tar.offset < size
    found.cut = found.cut or _wrong_end(opened, tar.offset, size, last)
    return found


def _wrong_end(opened: BinaryIO, offset: int, size: int, last: str) -> str:
    """Say what is wrong with what follows the last member; the reader of headers ends at whatever is no header."""
    rest = os.pread(opened.fileno(), BLOCK, offset)
    if offset > size or 0 < len(rest) < BLOCK:
        return f"it ends within or after {last}: fetch it again"
    if any(rest):
        return f"it is damaged after {last}: fetch it again"
    # An end is some zeros; other shards may follow it, of which no reader would see anything.
    place = offset + BLOCK
    while chunk := os.pread(opened.fileno(), 1 << 20, place):
        if any(chunk):
            return f"more follows its end, after {last}: give joined tar files one by one"
        place += len(chunk)
    return ""


def _enter(found: _Found, member: tarfile.TarInfo, size: int) -> None:
    folder, _, file = member.name.rpartition("/")
    if member.isdir():
        return
    if file.startswith(".") or FOREIGN in folder.lower().split("/"):
        found.others["hidden"] += 1
        return
    stem, _, ending = file.partition(".")
    key, ending = f"{folder}/{stem}" if folder else stem, ending.lower()
    place = (member.offset_data, member.size)
    if member.islnk():
        place = _linked(found, member.linkname)
    elif not member.isreg() or member.issparse():
        place = None
    if place is None:
        found.others["links and special files"] += 1
        return
    sample = found.samples.setdefault(key, _Sample())
    if ending in sample.members:
        sample.problem = f"two members are called {printable(member.name)}"
    elif sum(place) > size:
        sample.problem = f"the shard ends after {max(0, size - place[0]):,} of the {place[1]:,} bytes of .{ending}"
    sample.members[ending] = place


def _linked(found: _Found, target: str) -> tuple[int, int] | None:
    """Return where the content of a link's target lies, which stands before it."""
    folder, _, file = target.rpartition("/")
    stem, _, ending = file.partition(".")
    sample = found.samples.get(f"{folder}/{stem}" if folder else stem)
    return None if sample is None else sample.members.get(ending.lower())


def _looked_at(
    path: Path, opened: BinaryIO, found: _Found, split: str | None, size: int, advance: Callable[[float], object]
) -> Shard:
    """Read images and values of all samples that have an image, in the order of the file."""
    images: dict[str, str] = {}
    for key, sample in found.samples.items():
        if (ending := _image_of(sample)) is not None:
            images[key] = ending
        else:
            found.others["keys without an image"] += 1
        if sample.problem is None:
            found.others.update(f".{other}" for other in sample.members if other != ending and not _is_value(other))
    keys = sorted(images, key=lambda key: found.samples[key].members[images[key]][0])
    values = _Values(opened)
    samples = ((found.samples[key], images[key]) for key in keys)
    share = size / len(keys) if keys else 0.0
    seen = look_at(_contents(opened, samples, values), len(keys), lambda done: advance(done * share))
    if not keys:
        advance(size)
    places = np.array([found.samples[key].members[images[key]] for key in keys], np.int64).reshape(-1, 2)
    names = Paths.of(f"{key}.{images[key]}" for key in keys)
    columns = {name: writer.column(len(keys)) for name, writer in values.writers.items()}
    skipped = {name: NESTED for name in values.nested if name not in columns}
    columns = {name: column for name, column in columns.items() if name not in skipped}
    return Shard(
        path,
        names,
        places[:, 0].copy(),
        places[:, 1].copy(),
        seen,
        columns,
        skipped,
        found.others,
        found.cut,
        found.is_closed,
        split,
    )


def _contents(opened: BinaryIO, samples: Iterator[tuple[_Sample, str]], values: _Values) -> Iterator[Content]:
    """Yield each image's bytes, or what is wrong with its sample, and enter the values beside it."""
    for place, (sample, ending) in enumerate(samples):
        problem = sample.problem or values.enter(place, sample)
        yield problem or _read(opened, *sample.members[ending])


def _image_of(sample: _Sample) -> str | None:
    """Return the ending of the image of a sample; one without a point (`jpg`) before those with one (`seg.png`)."""
    known = image_endings()
    images = [ending for ending in sample.members if f".{ending.rpartition('.')[2]}" in known]
    plain = [ending for ending in images if "." not in ending]
    chosen = plain or images
    if len(chosen) > 1:
        sample.problem = f"its key has {len(chosen)} images: .{' and .'.join(sorted(chosen))}; rename all but one"
    return min(chosen, default=None)


def _is_value(ending: str) -> bool:
    return ending in TEXTS or ending.rpartition(".")[2] == FIELDS


class _Values:
    """The columns of a shard while its samples are read."""

    def __init__(self, opened: BinaryIO) -> None:
        self.opened = opened
        self.writers: dict[str, ColumnWriter] = {}
        self.nested: set[str] = set()

    def enter(self, place: int, sample: _Sample) -> str | None:
        """Enter the values of sample number `place`; return what is wrong with them, or None."""
        for ending, (offset, size) in sample.members.items():
            if not _is_value(ending):
                continue
            most = MOST_TEXT if ending in TEXTS else MOST_JSON
            if size > most:
                return f"its .{ending} has {size:,} bytes, and a label at most {most:,}"
            try:
                text = _read(self.opened, offset, size).decode("utf-8").strip()
                self._enter(place, ending, text)
            except (ValueError, RecursionError) as cause:
                kind = "UTF-8" if isinstance(cause, UnicodeDecodeError) else "JSON"
                return f"its .{ending} is no {kind}"
        return None

    def _enter(self, place: int, ending: str, text: str) -> None:
        if ending in TEXTS:
            if text:
                self._put(place, ending, _number_or_text(text))
            return
        parsed: Any = json.loads(text)
        for name, value in parsed.items() if isinstance(parsed, dict) else ((ending, parsed),):
            if isinstance(value, (list, dict)):
                self.nested.add(name)
            elif value is not None:
                self._put(place, name, value)

    def _put(self, place: int, name: str, value: Value) -> None:
        self.writers.setdefault(name, ColumnWriter()).put(place, value)


def _number_or_text(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
