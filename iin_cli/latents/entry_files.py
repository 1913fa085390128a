"""Write an entry of the cache: `.npy` files row after row, with their digests; it appears whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from ..errors import ResourceError

__all__ = ["DIGESTS", "EntryFiles", "appearing", "require_space", "unwritable"]

DIGESTS = "digests.json"


@contextmanager
def appearing(folder: Path, beside: Path) -> Iterator[Path]:
    """Yield a temporary folder in `beside`; on success it becomes `folder`, on any failure it is removed."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=beside, prefix=".part-"))
    except OSError as error:
        raise unwritable(folder.parent, error) from error
    try:
        yield unfinished
        try:
            _settle(unfinished)
            os.replace(unfinished, folder)
            _settle(folder.parent)
        except OSError as error:
            # Another process encoded the same items meanwhile; its result is as good.
            if not folder.is_dir():
                raise unwritable(folder.parent, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def unwritable(place: Path, error: OSError) -> ResourceError:
    """Return the error of a cache that cannot be written."""
    return ResourceError(f"cannot write the cache {place}: {error.strerror}; set IIN_CACHE")


def require_space(place: Path, needed: int) -> None:
    """Raise ResourceError where the disk has no room for `needed` bytes: now rather than after an hour of encoding."""
    free = shutil.disk_usage(place).free
    if needed > free:
        raise ResourceError(
            f"no space for the latents in the cache {place}: {needed >> 20} MiB needed, "
            f"{free >> 20} MiB free; set IIN_CACHE to another disk"
        )


def _settle(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class EntryFiles:
    """Arrays of `count` rows in a folder, each created when its first rows arrive, and written row after row.

    Rows written through a memory map would count as this process's memory until the system had saved them.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.open = ExitStack()
        self.files: dict[str, BinaryIO] = {}
        self.digests: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.open.close()

    def write(self, name: str, rows: np.ndarray) -> None:
        """Append rows (B, …) to array `name`; raises ResourceError when the disk is full."""
        try:
            if name not in self.files:
                self._begin(name, (self.count, *rows.shape[1:]), rows.dtype)
            self._append(name, rows.tobytes())
        except OSError as error:
            raise unwritable(self.folder.parent, error) from error

    def finish(self) -> None:
        """Wait until every array is on the disk, and write their digests."""
        digests = {f"{name}.npy": total.hexdigest() for name, total in self.digests.items()}
        try:
            for file in self.files.values():
                file.flush()
                os.fsync(file.fileno())
            with (self.folder / DIGESTS).open("w", encoding="utf-8") as file:
                json.dump(digests, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(self.folder.parent, error) from error

    def _append(self, name: str, content: bytes) -> None:
        self.digests[name].update(content)
        self.files[name].write(content)

    def _begin(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.files[name] = self.open.enter_context((self.folder / f"{name}.npy").open("wb"))
        self.digests[name] = hashlib.sha256()
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        beginning = io.BytesIO()
        np.lib.format.write_array_header_1_0(beginning, header)
        self._append(name, beginning.getvalue())
