"""Items encoded by several processes at once: each claims parts of them, and the first to see them all joins them.

All processes that encode the same meet in one folder of the cache. It holds each part that is done, whole or not at
all, and a file of which a process locks byte k while it encodes part k. The lock goes with the process, however it
ends, on this machine or another that shares the disk, and the part is free again. So ranks of one run, runs on several
machines and commands started by hand share the work alike, and a run goes on where one before it was killed. Where the
file system has no locks, every process encodes what it does not find done.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ..io.holding import CLAIMS, PRESENT
from .entry_files import EntryFiles, appearing, require_space, unwritable
from .held import ITEMS

__all__ = ["ARRAYS", "Batch", "Parts", "SharedWork", "remove_parts"]

# More parts than this would be a burden to the file system; fewer, and the last ones are waited for.
MOST_PARTS = 1024
ARRAYS = ("mean", "log_variance")
DONE = ".done"
# Bytes of the file of claims lie behind those of all parts: the one of every process at work, and that of the joiner.
JOINING = PRESENT + 1
# Seconds between looks at what others do.
LOOK_SECONDS = 0.1
# What nobody went on with is removed.
OLD_SECONDS = 14 * 86400
DIGEST_BYTES = 32


@dataclass(frozen=True)
class Batch:
    """Items at `positions` (B,) that are encoded at once, of part `part`; whether they are its last."""

    part: int
    positions: np.ndarray
    is_last: bool


@dataclass(frozen=True)
class Parts:
    """`count` items cut into parts of whole batches of `batch`, by their numbers alone: alike for every process."""

    count: int
    batch: int

    @property
    def rows(self) -> int:
        """Items of a part; the last may have fewer."""
        return self.batch * -(-self.count // (self.batch * MOST_PARTS))

    def __len__(self) -> int:
        return -(-self.count // self.rows)

    def size(self, part: int) -> int:
        """Return how many items a part has."""
        return min(self.rows, self.count - part * self.rows)

    def batches(self, part: int, at_once: int) -> Iterator[Batch]:
        """Yield the batches of a part in order, `at_once` items in each; the last may have fewer."""
        end = part * self.rows + self.size(part)
        for start in range(part * self.rows, end, at_once):
            stop = min(start + at_once, end)
            yield Batch(part, np.arange(start, stop), stop == end)


class SharedWork:
    """The folder in which processes share the encoding of one entry of the cache.

    Attributes:
        folder: of the parts.
        entry: the entry that they become, with the numbers of its `items` (M,).
        found: items that were done before, where no other process is at work.
    """

    def __init__(self, folder: Path, entry: Path, parts: Parts, items: np.ndarray, handle: int) -> None:
        self.folder, self.entry, self.parts, self.items, self._handle = folder, entry, parts, items, handle
        self._has_room = False
        self.found = self.items_done() if self._lock(PRESENT) else 0
        self._lock(PRESENT, fcntl.LOCK_SH)

    @classmethod
    @contextmanager
    def open(cls, folder: Path, entry: Path, parts: Parts, items: np.ndarray) -> Iterator[SharedWork]:
        """Join the work in `folder`, or begin it.

        What is done stays for the next run if this one is stopped or killed, and goes if it fails: the same would
        fail again. Raises ResourceError for a cache that cannot be written.
        """
        try:
            if not folder.exists():
                _remove_old(folder.parent)
            handle = _opened(folder)
        except OSError as error:
            raise unwritable(folder.parent, error) from error
        work = cls(folder, entry, parts, items, handle)
        try:
            yield work
        except BaseException as error:
            if (isinstance(error, Exception) or not work.done()) and work._lock(PRESENT):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            os.close(handle)

    def done(self) -> set[int]:
        """Return the parts that are done."""
        try:
            return {int(name[: -len(DONE)]) for name in os.listdir(self.folder) if name.endswith(DONE)}
        except FileNotFoundError:
            return set()

    def items_done(self) -> int:
        """Return how many items the parts have that are done."""
        return sum(map(self.parts.size, self.done()))

    def claimed(self, first: int, at_once: int) -> Iterator[Batch]:
        """Yield the batches of every part that this process may claim, those from part `first` on before the others."""
        for part in np.roll(np.arange(len(self.parts)), -first).tolist():
            if self.entry.is_dir():
                return
            # What was done while the lock was waited for is seen after it.
            if self._path(part).exists() or not self._lock(part):
                continue
            if self._path(part).exists():
                self._unlock(part)
            else:
                yield from self.parts.batches(part, at_once)

    def finish(self, part: int, arrays: dict[str, Tensor]) -> None:
        """Write the arrays, (B, N) each, of a part that this process has claimed; raises ResourceError."""
        content = save(arrays)
        try:
            if not self._has_room:
                total = sum(4 * self.parts.count * rows.shape[1] for rows in arrays.values())
                # The parts, and then the entry beside them.
                rest = total * (self.parts.count - self.items_done()) // self.parts.count
                require_space(self.folder.parent, total + rest)
                self._has_room = True
            # Another process may have joined all parts meanwhile, and removed the folder.
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished = self.folder / f".{part}.{secrets.token_hex(4)}.part"
            unfinished.write_bytes(hashlib.sha256(content).digest() + content)
            os.replace(unfinished, self._path(part))
        except OSError as error:
            if not self.entry.is_dir():
                raise unwritable(self.folder.parent, error) from error
        self._unlock(part)

    def wait(self) -> None:
        """Wait a little for what others do."""
        time.sleep(LOOK_SECONDS)

    def join(self) -> bool:
        """Make the entry of the parts where all are done and nobody else does; return whether it is there.

        A part that is damaged is removed, to be encoded again. Raises ResourceError when the disk is full.
        """
        if self.entry.is_dir():
            # Its maker may have been killed before it removed the parts.
            shutil.rmtree(self.folder, ignore_errors=True)
            return True
        if len(self.done()) < len(self.parts) or not self._lock(JOINING):
            return False
        with suppress(_Damaged):
            if not self.entry.is_dir():
                self._write_entry()
            shutil.rmtree(self.folder, ignore_errors=True)
        self._unlock(JOINING)
        return self.entry.is_dir()

    def _write_entry(self) -> None:
        with appearing(self.entry, self.folder) as unfinished, EntryFiles(unfinished, self.parts.count) as files:
            for part in range(len(self.parts)):
                found = self._read(part)
                # Always in this order, in which their digests are written, too.
                for name in sorted(found, key=ARRAYS.index):
                    files.write(name, found[name].numpy())
            files.write(ITEMS, self.items)
            files.finish()

    def _read(self, part: int) -> dict[str, Tensor]:
        try:
            content = self._path(part).read_bytes()
            if hashlib.sha256(content[DIGEST_BYTES:]).digest() != content[:DIGEST_BYTES]:
                raise ValueError("other bytes than were written")
            return load(content[DIGEST_BYTES:])
        except (OSError, ValueError, SafetensorError) as error:
            self._path(part).unlink(missing_ok=True)
            raise _Damaged from error

    def _path(self, part: int) -> Path:
        return self.folder / f"{part:05d}{DONE}"

    def _lock(self, byte: int, kind: int = fcntl.LOCK_EX) -> bool:
        return _lock(self._handle, byte, kind)

    def _unlock(self, byte: int) -> None:
        with suppress(OSError):
            fcntl.lockf(self._handle, fcntl.LOCK_UN, 1, byte)


def remove_parts(folder: Path) -> None:
    """Remove the parts of an entry that is there, which its maker, if it was killed just then, has left."""
    if folder.is_dir():
        with suppress(OSError):
            _remove_left(folder)


class _Damaged(Exception):
    """A part does not hold what was written."""


def _lock(handle: int, byte: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Lock a byte of an opened file; return whether no other process holds it, which no one does without locks."""
    try:
        fcntl.lockf(handle, kind | fcntl.LOCK_NB, 1, byte)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True


def _opened(folder: Path) -> int:
    """Open the file of claims in `folder`, and make both where they are not there."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(folder / CLAIMS, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            continue
        with suppress(FileNotFoundError):
            # Else another process is just removing it.
            if _lock(handle, PRESENT, fcntl.LOCK_SH) and os.path.samestat(os.fstat(handle), (folder / CLAIMS).stat()):
                return handle
        os.close(handle)
        time.sleep(LOOK_SECONDS)


def _remove_old(place: Path) -> None:
    """Remove work that was left long ago, and that nobody is at."""
    with suppress(OSError):
        for folder in place.iterdir():
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime > OLD_SECONDS:
                    _remove_left(folder)


def _remove_left(folder: Path) -> None:
    """Remove work that nobody is at."""
    handle = os.open(folder / CLAIMS, os.O_RDWR | os.O_CREAT)
    try:
        if _lock(handle, PRESENT):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)
