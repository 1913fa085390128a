"""The cache of latents: every item is encoded once, memory-mapped, and found again by content.

A cache entry is a folder of `.npy` files named by the sha256 of everything that decides its values: images, order,
rendering, encoder, size. Rows that other entries hold are taken from there. It appears whole or not at all, with the
sha256 of each file in `digests.json`; an entry that does not agree with them is encoded again. `MappedRows` reads rows
of any such file and keeps no other part of it in memory.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..distributed import rank, world_size
from ..errors import DataError, IinError, reason
from ..io.atomic import write_text
from ..io.checkpoint import digest
from ..io.paths import cache_dir
from ..progress import Reporter, Silent, Task
from .entry_files import DIGESTS, unwritable
from .held import FAMILY, Held, holders
from .reading_ahead import each_core, read_ahead
from .sharing import ARRAYS, Batch, Parts, SharedWork, remove_parts

__all__ = ["Latents", "MappedRows", "as_images", "cached", "index_digest", "is_cached"]

FORMAT = 1
# 32 MiB of float32 at a time, whatever the size of a row.
BLOCK_NUMBERS = 2**23
# Rows that are left in memory where one entry holds all, 256 MiB of them; more are copied into an entry of their own.
KEPT_NUMBERS = 2**26
# Reading one page maps up to 64 KiB around it; release them every few rows.
READ_ROWS = 256
# Seconds between looks at how far other processes are, for the progress.
TELL_SECONDS = 0.5
# Entries that this process has checked, by path, inode, size and time of their files: each is read through once.
_known: set[tuple[str, ...]] = set()
Encode = Callable[[Tensor], tuple[Tensor, Tensor | None]]


class MappedRows:
    """A memory-mapped array (M, N) in a file; requested rows are copied as float32, and mapped pages are released.

    A plain memory map counts every page ever read as this process's memory, and random rows soon add up to the whole
    file. Here the pages are released after each read; the system still caches the file where it has room.

    Args:
        file: the file.
        offset: first byte of the array in the file.
        shape: M, N.
        dtype: type of the stored numbers, in row-major order; any that torch has.
    """

    def __init__(self, file: Path, offset: int, shape: tuple[int, int], dtype: torch.dtype = torch.float32) -> None:
        self.shape, self.dtype, self._offset = shape, dtype, offset
        with open(file, "rb") as opened:
            # The map keeps the lock as long as it is there: `iin cache` removes nothing that is in use.
            with suppress(OSError):
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            self._map = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        stored = np.frombuffer(self._map, np.uint8, shape[0] * shape[1] * dtype.itemsize, offset)
        self._bytes = stored.reshape(shape[0], shape[1] * dtype.itemsize)

    @classmethod
    def of_npy(cls, file: Path) -> MappedRows:
        """Map a float32 `.npy` file of two dimensions; raises OSError or ValueError for another or truncated file."""
        array = np.load(file, mmap_mode="r")
        if array.ndim != 2 or array.dtype != np.float32 or not array.flags.c_contiguous:
            raise ValueError(f"it holds {array.dtype} {array.shape}")
        return cls(file, array.offset, array.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Return a copy of `rows`, numbers (B,), a mask (M,) or a slice, as float32 (B, N)."""
        numbers = np.arange(len(self))[rows]
        taken = torch.empty((len(numbers), self.shape[1]), dtype=self.dtype)
        copied = taken.view(torch.uint8).numpy()
        for start in range(0, len(numbers), READ_ROWS):
            part = slice(start, start + READ_ROWS)
            copied[part] = self._bytes[numbers[part]]
            if hasattr(mmap, "MADV_DONTNEED"):
                self._map.madvise(mmap.MADV_DONTNEED)
        return taken.float().numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all rows, the whole array in memory."""
        return np.asarray(self[:], dtype)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, in copies (B, N) of 32 MiB."""
        step = max(1, BLOCK_NUMBERS // self.shape[1])
        for start in range(0, len(self), step):
            yield self[start : start + step]


@dataclass(frozen=True)
class Latents:
    """Encoded items: `mean` (M, N) float32 and, for a stochastic encoder, `log_variance` (M, N); both memory-mapped."""

    mean: np.ndarray | MappedRows
    log_variance: np.ndarray | MappedRows | None

    def rows(self, chosen: np.ndarray) -> Latents:
        """Return the items in rows `chosen` (B,), in memory."""
        return Latents(self.mean[chosen], None if self.log_variance is None else self.log_variance[chosen])

    def moments(self) -> tuple[Tensor, Tensor | None]:
        """Return the means and, of a stochastic encoder, the standard deviations in memory, both (M, N)."""
        mean = torch.from_numpy(np.array(self.mean))
        if self.log_variance is None:
            return mean, None
        return mean, torch.from_numpy(np.exp(0.5 * np.array(self.log_variance)))


def as_images(pixels: np.ndarray) -> Tensor:
    """Turn uint8 (B, S, S, 3) into float (B, 3, S, S) in [-1, 1]."""
    return torch.from_numpy(np.require(pixels, requirements=("C", "W"))).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def index_digest(indices: np.ndarray) -> str:
    """Return the sha256 of an index array: two lists of items with the same digest are the same list."""
    return hashlib.sha256(np.ascontiguousarray(indices, dtype=np.int64).tobytes()).hexdigest()


def is_cached(identity: Mapping[str, Any], items: np.ndarray) -> bool:
    """Say whether `items` (M,) are already encoded: together, or each in another entry."""
    if _folder(identity, items).is_dir():
        return True
    known = [numbers for _, numbers in holders(_place(), _key(identity), items)]
    return bool(known) and bool(np.isin(items, np.concatenate(known)).all())


def cached(
    identity: Mapping[str, Any],
    items: np.ndarray,
    read: Callable[[np.ndarray], np.ndarray],
    encode: Encode,
    *,
    batch: int = 500,
    at_once: int | None = None,
    is_concurrent: bool = False,
    device: torch.device | str = "cpu",
    report: Reporter | None = None,
    description: str = "encoding",
    called: Callable[[int], str] = "item {}".format,
    about: Mapping[str, str] | None = None,
) -> Latents:
    """Encode `items`, or open what an earlier run encoded, or take from it those that it did.

    Args:
        identity: JSON values that, with an item's number, decide its latents; the cache key is of them and the items.
        items: numbers of the items, whole numbers (M,).
        read: numbers (B,) -> images uint8 (B, S, S, 3).
        encode: images (B, 3, S, S) on `device` -> mean and log-variance (B, N), the latter None if deterministic; an
            image's should not depend on those beside it, of which some may be taken from another entry.
        batch: processes share the items by whole batches of so many.
        at_once: how many images `encode` gets at most; None: a batch.
        is_concurrent: whether `encode` may be called from several threads, so that each core encodes images of its own.
        called: number -> name of that item in a message.
        about: what `iin cache` says of the entry: `data`, and the `network`.

    Processes that encode the same at once, ranks of a run or others that share the cache, share the work. An entry that
    is damaged, or was made before entries had digests, is encoded again, which is reported.

    Raises DataError when a latent is not finite or reading fails, ResourceError when the disk is full.
    """
    report, items = report or Silent(), np.asarray(items, np.int64)
    folder = _folder(identity, items)
    # `iin cache` removes nothing that was marked just now.
    _mark_used(folder, None)
    if folder.is_dir() and (problem := _problem(folder)):
        report.warn(f"the cached latents in {folder} {problem}: they are encoded again")
        _remove(folder)
    parts = Parts(len(items), batch)
    unfinished = _unfinished(identity, items, parts, device)
    if folder.is_dir():
        remove_parts(unfinished)
    elif not len(items):
        raise DataError("there are no items to encode")
    else:
        held = _held(identity, items)
        if (rows := held.in_one(KEPT_NUMBERS)) is not None:
            return Latents(rows["mean"], rows.get("log_variance"))
        source = _Source(
            items, _named(read, called), held, called, at_once or batch, each_core if is_concurrent else map
        )
        with SharedWork.open(unfinished, folder, parts, items) as work:
            _encode_all(work, source, lambda images: encode(images.to(device)), report, description)
    _mark_used(folder, {**(about or {}), FAMILY: _key(identity)})
    try:
        found = _open(folder)
        return Latents(found["mean"], found.get("log_variance"))
    except (OSError, ValueError) as error:
        raise DataError(f"the cached latents in {folder} are damaged ({error}): remove that folder") from error


def _open(folder: Path) -> dict[str, MappedRows]:
    """Map the arrays of an entry; raises OSError or ValueError for one that is damaged."""
    there = [name for name in ARRAYS if name == ARRAYS[0] or (folder / f"{name}.npy").exists()]
    return {name: MappedRows.of_npy(folder / f"{name}.npy") for name in there}


def _held(identity: Mapping[str, Any], items: np.ndarray) -> Held:
    """Find what other entries hold of `items` (M,); one that is damaged holds nothing."""
    held = Held(items)
    for folder, numbers in holders(_place(), _key(identity), items):
        if held.lacks(numbers):
            _mark_used(folder, None)
            with suppress(OSError, ValueError):
                if _problem(folder) is None:
                    held.add(_open(folder), numbers)
    return held


@dataclass(frozen=True)
class _Source:
    """Items of numbers `items` (M,) to encode, how they are `read` as images and `called`, and which are `held`.

    They are encoded `at_once` at most, by `for_each` as `map` does it.
    """

    items: np.ndarray
    read: Callable[[np.ndarray], Tensor]
    held: Held
    called: Callable[[int], str]
    at_once: int
    for_each: Callable[..., Iterator[Any]]


class _Progress:
    """Tells how many items all processes have encoded."""

    def __init__(self, work: SharedWork, task: Task) -> None:
        self._work, self._task, self._told, self._looked = work, task, 0, 0.0
        self.tell(0)

    def tell(self, begun: int) -> None:
        """Say what is done, besides `begun` items of a part that is not."""
        if begun or time.monotonic() - self._looked > TELL_SECONDS:
            self._looked = time.monotonic()
            self._advance(min(self._work.items_done() + begun, self._work.parts.count))

    def tell_all(self) -> None:
        """Say that all is done."""
        self._advance(self._work.parts.count)

    def _advance(self, done: int) -> None:
        if done > self._told:
            self._task.advance(done - self._told)
            self._told = done


def _encode_all(work: SharedWork, source: _Source, encode: Encode, report: Reporter, description: str) -> None:
    """Encode what no process and no other entry has, until the entry is there; say what there was before."""
    count, rest = len(source.items), int(source.held.missing.sum())
    if 0 < rest < count:
        report.note(f"{description}: {count - rest:,} of {count:,} images were encoded before")
    if work.found:
        report.note(f"{description}: {work.found:,} of {count:,} images were done before the last run ended")
    # Copying takes no time worth showing.
    with (report if rest else Silent()).task(description, count, "images") as task:
        progress = _Progress(work, task)
        while not work.join():
            _encode_free(work, source, encode, progress)
        progress.tell_all()


def _encode_free(work: SharedWork, source: _Source, encode: Encode, progress: _Progress) -> None:
    """Encode the parts that this process can claim, its own share first; wait a little where others have them all."""
    missing = source.held.missing

    def of_batch(batch: Batch) -> tuple[Batch, np.ndarray, Tensor | None]:
        numbers = source.items[batch.positions[missing[batch.positions]]]
        return batch, numbers, source.read(numbers) if len(numbers) else None

    def encoded(read: tuple[Batch, np.ndarray, Tensor | None]) -> tuple[Batch, dict[str, Tensor]]:
        batch, numbers, images = read
        return batch, {} if images is None else _encoded(encode, images, numbers, source.called)

    share = len(work.parts) * rank() // world_size()
    collected: list[dict[str, Tensor]] = []
    was_free = False
    for batch, found in source.for_each(encoded, read_ahead(of_batch, work.claimed(share, source.at_once))):
        collected.append(source.held.joined(batch.positions, found))
        begun = sum(len(rows["mean"]) for rows in collected)
        if batch.is_last:
            work.finish(batch.part, {name: torch.cat([rows[name] for rows in collected]) for name in collected[0]})
            collected, begun = [], 0
        progress.tell(begun)
        was_free = True
    if not was_free:
        work.wait()
        progress.tell(0)


def _encoded(encode: Encode, images: Tensor, numbers: np.ndarray, called: Callable[[int], str]) -> dict[str, Tensor]:
    """Return the latents (B, N) of items `numbers` (B,) on the CPU; raises DataError if one is not finite."""
    with torch.inference_mode():
        mean, log_variance = encode(images)
    found = {}
    for name, rows in (("mean", mean), ("log_variance", log_variance)):
        if rows is not None:
            finite = torch.isfinite(rows).all(1)
            if not finite.all():
                first = int(numbers[int((~finite).nonzero()[0])])
                raise DataError(f"the backbone gives a {name} that is not finite for {called(first)}")
            found[name] = rows.float().cpu()
    return found


def _named(read: Callable[[np.ndarray], np.ndarray], called: Callable[[int], str]) -> Callable[[np.ndarray], Tensor]:
    """Return what reads items as images; a failure that says nothing of itself names the items."""

    def named(numbers: np.ndarray) -> Tensor:
        try:
            return as_images(read(numbers))
        except (IinError, MemoryError):
            raise
        # Of a dataset or a concept of anybody's.
        except Exception as error:
            first, last = called(int(numbers[0])), called(int(numbers[-1]))
            raise DataError(f"reading {len(numbers)} images, {first} to {last}, failed: {reason(error)}") from error

    return named


def _problem(folder: Path) -> str | None:
    """Say what is wrong with an entry of the cache; None where every file holds the bytes that were written."""
    try:
        recorded = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        found = {file.name: file.stat() for file in folder.iterdir() if file.name != DIGESTS}
        key = str(folder), *(f"{name} {at.st_ino} {at.st_size} {at.st_mtime_ns}" for name, at in sorted(found.items()))
        if key not in _known:
            if "mean.npy" not in found or recorded != {name: digest(folder / name) for name in found}:
                return "are damaged"
            _known.add(key)
    except FileNotFoundError:
        return "have no digests, as a damaged entry or one of iin 0.1"
    except (OSError, ValueError, RecursionError):
        return "are damaged"
    return None


def _mark_used(folder: Path, about: Mapping[str, str] | None) -> None:
    """Note that an entry is used now and, beside it, what it belongs to; others' caches may not be written."""
    with suppress(OSError, IinError):
        os.utime(folder)
        beside = folder.with_suffix(".json")
        if about is not None and not beside.is_file():
            write_text(beside, json.dumps(about))


def _remove(folder: Path) -> None:
    """Remove an entry; it disappears at once, so that nobody reads a part of it."""
    try:
        gone = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
        os.replace(folder, gone)
    except FileNotFoundError:
        # Another process has removed it.
        return
    except OSError as error:
        raise unwritable(folder.parent, error) from error
    shutil.rmtree(gone, ignore_errors=True)


def _place() -> Path:
    return cache_dir() / "latents"


def _key(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps({"format": FORMAT, **facts}, sort_keys=True).encode()).hexdigest()


def _folder(identity: Mapping[str, Any], items: np.ndarray) -> Path:
    key = _key({**identity, "items": index_digest(items)})
    return _place() / key[:2] / key


def _unfinished(identity: Mapping[str, Any], items: np.ndarray, parts: Parts, device: torch.device | str) -> Path:
    """Return where processes meet that give the same bits: with the same parts, on one kind of device."""
    facts = {"parts": [parts.count, parts.batch], "device": torch.device(device).type, "torch": str(torch.__version__)}
    return _place() / "unfinished" / _key({**identity, "items": index_digest(items), "work": facts})
