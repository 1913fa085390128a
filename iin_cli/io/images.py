"""Write many images: threads encode and write in the background, and a bounded queue keeps memory flat."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
import safetensors.numpy
from PIL import Image

from .atomic import as_write_error

__all__ = [
    "WRITERS",
    "PngFolder",
    "WritingPool",
    "encode_npz",
    "encode_png",
    "encode_pngs",
    "encode_safetensors",
    "encode_webp",
    "encode_webps",
    "write_image",
]

# The processes of a machine divide its cores. Pillow's compression and hashing release Python's lock.
WRITERS = max(1, min(8, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))
# Bytes of the smallest piece of a disk that a file takes, and of a PNG besides its pixels, generously.
DISK_BLOCK, PNG_FRAME = 4096, 512


class WritingPool:
    """Threads that write; `submit` waits while too much work is unfinished.

    Work starts in the order it was submitted, so that work may wait for earlier work. A failure is raised by a later
    `submit` or at the end.

    Args:
        threads: number of threads.
        waiting: pieces of work that may be unfinished.
    """

    def __init__(self, threads: int, waiting: int) -> None:
        self.waiting = waiting
        self._pool = ThreadPoolExecutor(threads)
        self._pending: deque[Future[Any]] = deque()

    def submit(self, work: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Queue `work`; waits while too much is unfinished."""
        while self._pending and (len(self._pending) >= self.waiting or self._pending[0].done()):
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(work, *arguments))
        return self._pending[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        # Files already begun are finished; after a failure the others are skipped.
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            for future in self._pending:
                future.result()


class PngFolder:
    """Write images as `000123.png` in background threads; a failure is raised by a later call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pool = WritingPool(WRITERS, 64 * WRITERS)

    def add(self, numbers: Sequence[int], pixels: np.ndarray) -> None:
        """Write images uint8 (B, S, S, 3) under their numbers (B,)."""
        for number, image in zip(numbers, pixels, strict=True):
            self._pool.submit(self._write, self.folder / f"{number:06d}.png", image)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._pool.__exit__(kind, *rest)

    @staticmethod
    def _write(path: Path, image: np.ndarray) -> None:
        write_image(path, encode_png(image))


def encode_png(image: np.ndarray) -> bytes:
    """Return an image uint8 (S, S, 3) as PNG; one that fills no block of a disk (32²) is not compressed."""
    (encoded,) = encode_pngs(image[None])
    return encoded


def encode_pngs(images: np.ndarray) -> Iterator[bytes]:
    """Yield images uint8 (B, S, S, 3) as `encode_png` would; small ones share what is the same in all of them."""
    # A file takes whole blocks, so compressing it would save nothing.
    if images[0].nbytes + PNG_FRAME <= DISK_BLOCK:
        yield from _uncompressed_pngs(images)
        return
    for image in images:
        encoded = io.BytesIO()
        # Level 1 takes two thirds of the time of level 3, and a tenth more bytes.
        Image.fromarray(image).save(encoded, format="PNG", compress_level=1)
        yield encoded.getvalue()


def _uncompressed_pngs(images: np.ndarray) -> Iterator[bytes]:
    """Write the parts of PNGs (ISO/IEC 15948) by hand: Pillow takes longer, and hands over Python's lock."""
    count, height, width, channels = images.shape
    # Before each row stands its filter: none.
    rows = np.zeros((count, height, 1 + width * channels), np.uint8)
    rows[:, :, 1:] = images.reshape(count, height, -1)
    # 8 bits of red, green and blue; the only ways to compress, filter and interlace, and no interlacing.
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    # A stream of zlib's (RFC 1950) with one stored block (RFC 1951), the last: its size, and that inverted.
    size = rows[0].size
    before = b"\x78\x01" + struct.pack("<BHH", 1, size, size ^ 0xFFFF)
    start, end = b"\x89PNG\r\n\x1a\n" + _png_part(b"IHDR", header), _png_part(b"IEND", b"")
    for image in rows:
        content = image.tobytes()
        yield start + _png_part(b"IDAT", before + content + struct.pack(">I", zlib.adler32(content))) + end


def _png_part(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def encode_webps(images: np.ndarray) -> Iterator[bytes]:
    """Yield images uint8 (B, S, S, 3) as `encode_webp` does."""
    return map(encode_webp, images)


def encode_webp(image: np.ndarray) -> bytes:
    """Return an image uint8 (S, S, 3) as lossless WebP: smaller than PNG, and large images in a third of its time."""
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, format="WEBP", lossless=True, quality=0, method=0)
    return encoded.getvalue()


def encode_npz(images: np.ndarray, seeds: np.ndarray) -> bytes:
    """Return images uint8 (M, S, S, 3) and their seeds int64 (M,) as `.npz`; equal arrays give equal bytes."""
    encoded = io.BytesIO()
    # numpy dates every member 1980, so no clock gets into the file.
    np.savez(encoded, images=images, seeds=seeds)
    return encoded.getvalue()


def encode_safetensors(images: np.ndarray, seeds: np.ndarray) -> bytes:
    """Return images uint8 (M, S, S, 3) and their seeds int64 (M,) as `.safetensors`; equal arrays give equal bytes."""
    return safetensors.numpy.save({"images": images, "seeds": seeds})


def write_image(path: str | Path, encoded: bytes) -> None:
    """Write one of many files, whole or not at all; raises ResourceError (disk full) or UsageError (forbidden)."""
    # Renamed when whole, but not synced as checkpoints are: thousands of syncs would take longer than the drawing.
    # Not by pathlib, which takes as long as the disk.
    temporary = f"{os.path.splitext(path)[0]}.part"
    try:
        _write_bytes(temporary, encoded)
        os.replace(temporary, path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise as_write_error(Path(path), error) from error


def _write_bytes(path: str, content: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        left = memoryview(content)
        # A disk that fills up takes a part first.
        while left:
            left = left[file.write(left) :]
