"""Writing many images: a folder of PNG files, or one file of arrays; encoding overlaps whatever makes the images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from ..io.atomic import as_write_error, write_atomically

__all__ = ["ArrayFile", "PngFolder"]

WRITERS = min(4, os.cpu_count() or 1)


class PngFolder:
    """Writes images as `000123.png` in background threads; a failure is raised by the next call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pool = ThreadPoolExecutor(WRITERS)
        self._pending: list[Future[None]] = []

    def add(self, numbers: Sequence[int], pixels: np.ndarray) -> None:
        """Write images uint8 (B, S, S, 3) under their numbers (B,); waits for the batch before."""
        pending, self._pending = self._pending, []
        for future in pending:
            future.result()
        self._pending = [
            self._pool.submit(_write_png, self.folder / f"{number:06d}.png", image)
            for number, image in zip(numbers, pixels, strict=True)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        # Files that were begun are finished; after a failure those not begun are left out.
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            for future in self._pending:
                future.result()


class ArrayFile:
    """Collects images and writes `images` uint8 (M, S, S, 3) and `seeds` int64 (M,) as `.npz` or `.safetensors`."""

    def __init__(self, path: Path, count: int, size: int) -> None:
        self.path = path
        self._images = np.empty((count, size, size, 3), np.uint8)
        self._seeds = np.empty(count, np.int64)
        self._done = 0

    def add(self, numbers: Sequence[int], pixels: np.ndarray) -> None:
        """Add images uint8 (B, S, S, 3) with their seeds (B,)."""
        where = slice(self._done, self._done + len(pixels))
        self._images[where], self._seeds[where] = pixels, numbers
        self._done += len(pixels)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        if kind is not None:
            return
        arrays = {"images": self._images[: self._done], "seeds": self._seeds[: self._done]}
        with write_atomically(self.path) as temporary:
            if self.path.suffix == ".npz":
                with open(temporary, "wb") as file:
                    np.savez(file, **arrays)
            else:
                save_file({name: torch.from_numpy(array) for name, array in arrays.items()}, temporary)


def _write_png(path: Path, image: np.ndarray) -> None:
    # Renamed when whole, but not synced as a checkpoint is: thousands of syncs would outlast the drawing.
    temporary = path.with_suffix(".part")
    try:
        Image.fromarray(image).save(temporary, format="PNG", compress_level=3)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise as_write_error(path, error) from error
