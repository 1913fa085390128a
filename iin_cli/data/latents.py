"""Latents: every item encoded once, memory-mapped, and found again by content.

A cache entry is a folder of `.npy` files named by the sha256 of everything that decides its values: images, order,
rendering, encoder, size. It appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, ResourceError
from ..io.paths import cache_dir
from ..progress import Reporter, Silent

__all__ = ["Latents", "as_images", "cached", "index_digest"]

FORMAT = 1
Encode = Callable[[Tensor], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class Latents:
    """Encoded items: `mean` (M, N) float32 and, of a stochastic encoder, `log_variance` (M, N); both memory-mapped."""

    mean: np.ndarray
    log_variance: np.ndarray | None


def as_images(pixels: np.ndarray) -> Tensor:
    """Turn uint8 (B, S, S, 3) into float (B, 3, S, S) in [-1, 1]."""
    return torch.from_numpy(np.require(pixels, requirements=("C", "W"))).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def index_digest(indices: np.ndarray) -> str:
    """Return the sha256 of an index array: two lists of items with one digest are the same list."""
    return hashlib.sha256(np.ascontiguousarray(indices, dtype=np.int64).tobytes()).hexdigest()


def cached(
    identity: Mapping[str, Any],
    count: int,
    read: Callable[[np.ndarray], np.ndarray],
    encode: Encode,
    *,
    batch: int = 500,
    device: torch.device | str = "cpu",
    report: Reporter | None = None,
    description: str = "encoding",
    called: Callable[[int], str] = "item {}".format,
) -> Latents:
    """Encode items 0 … `count` − 1 once, or find what an earlier run encoded.

    Args:
        identity: JSON values that decide the result; the cache key.
        count: M.
        read: positions (B,) -> images uint8 (B, S, S, 3).
        encode: images (B, 3, S, S) on `device` -> mean and log-variance (B, N), the latter None if deterministic.
        called: position -> what to call that item in a message.

    Raises DataError when a latent is not finite or the cache is damaged, ResourceError when the disk is full.
    """
    key = hashlib.sha256(json.dumps({"format": FORMAT, **identity}, sort_keys=True).encode()).hexdigest()
    folder = cache_dir() / "latents" / key[:2] / key
    if not folder.is_dir():
        if count < 1:
            raise DataError("there are no items to encode")
        with _appearing(folder) as unfinished, (report or Silent()).task(description, count, "images") as task:
            files = _Files(unfinished, count, called)
            for start in range(0, count, batch):
                positions = np.arange(start, min(start + batch, count))
                with torch.inference_mode():
                    mean, log_variance = encode(as_images(read(positions)).to(device))
                files.write("mean", positions, mean)
                if log_variance is not None:
                    files.write("log_variance", positions, log_variance)
                task.advance(len(positions))
            files.flush()
    log_variance_file = folder / "log_variance.npy"
    try:
        return Latents(
            np.load(folder / "mean.npy", mmap_mode="r"),
            np.load(log_variance_file, mmap_mode="r") if log_variance_file.exists() else None,
        )
    except (OSError, ValueError) as error:
        raise DataError(f"the cached latents in {folder} are damaged ({error}): remove that folder") from error


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; on success it becomes `folder`, on any failure it is removed."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
    except OSError as error:
        raise ResourceError(f"cannot write the cache {folder.parent}: {error.strerror}; set IIN_CACHE") from error
    try:
        yield unfinished
        try:
            os.replace(unfinished, folder)
        except OSError:
            # Another process encoded the same meanwhile; its result is as good.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


class _Files:
    """Memory-mapped arrays of `count` rows in a folder, each made when its first rows arrive."""

    def __init__(self, folder: Path, count: int, called: Callable[[int], str]) -> None:
        self.folder, self.count, self.called = folder, count, called
        self.arrays: dict[str, np.memmap] = {}

    def write(self, name: str, positions: np.ndarray, rows: Tensor) -> None:
        """Write rows (B, N) at `positions` (B,) of array `name`. DataError for one that is not finite."""
        finite = torch.isfinite(rows).all(1)
        if not finite.all():
            first = int(positions[int((~finite).nonzero()[0])])
            raise DataError(f"the backbone gives a {name} that is not finite for {self.called(first)}")
        if name not in self.arrays:
            self.arrays[name] = self._new(name, (self.count, rows.shape[1]))
        self.arrays[name][positions] = rows.float().cpu().numpy()

    def flush(self) -> None:
        """Write what is still in memory."""
        for array in self.arrays.values():
            array.flush()

    def _new(self, name: str, shape: tuple[int, int]) -> np.memmap:
        # A memory map that outgrows the disk kills the process: ask for the space beforehand.
        needed, free = 4 * shape[0] * shape[1], shutil.disk_usage(self.folder).free
        if needed > free:
            raise ResourceError(
                f"no space for the latents in the cache {self.folder.parent}: {needed >> 20} MiB needed, "
                f"{free >> 20} MiB free; set IIN_CACHE to another disk"
            )
        return np.lib.format.open_memmap(self.folder / f"{name}.npy", "w+", np.float32, shape)
