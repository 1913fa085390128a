"""Read image files: the one reader of every command.

An image is upright by EXIF, its transparency lies over white, and greys of more than 8 bits are scaled as `greys.py`
says. Only regular files are opened: a named pipe among the images would be waited for, for ever.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import DataError
from ..plugin_api import Interpolation
from ..printable import printable
from .greys import Extent, Greys, as_eight_bits, extent_of, is_deep

__all__ = [
    "Inspected",
    "changing",
    "cut_square",
    "examine",
    "greys_of",
    "in_threads",
    "inspect",
    "open_regular",
    "read_image",
    "read_whole",
    "short_side",
    "unreadable",
    "why_unreadable",
]

THREADS = min(8, os.cpu_count() or 1)
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

OWN = Greys()


@dataclass(frozen=True)
class Inspected:
    """What one look at a file found: the sha256 of its bytes, its greys, and why it cannot be read, or None.

    `status` is what the system said of the file before it was read, None where it could not be opened.
    """

    digest: str
    extent: Extent | None = None
    problem: str | None = None
    status: os.stat_result | None = None


def read_image(path: Path, size: int, interpolation: Interpolation = "bicubic", greys: Greys = OWN) -> np.ndarray:
    """Read one image file as uint8 (size, size, 3) sRGB: the centre square, resized.

    Cutting the centre square first and resizing it is the same as resizing the short side and cropping.
    Raises DataError naming the file when it cannot be read whole.
    """
    with _opened(path) as opened:
        return cut_square(opened, size, interpolation, greys)


def cut_square(
    opened: Image.Image, size: int, interpolation: Interpolation = "bicubic", greys: Greys = OWN
) -> np.ndarray:
    """Return an opened image as uint8 (size, size, 3) sRGB, as `read_image`; raises whatever its decoder does."""
    image = _as_rgb(opened, greys)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    if side == size:
        # Whole pixels stay whole: a half-pixel shift would blur an image that already has the right size.
        left, top = int(left), int(top)
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling[interpolation.upper()], box=box))


def read_whole(path: Path, greys: Greys = OWN) -> np.ndarray:
    """Read one image file uncut as uint8 (H, W, 3); errors as `read_image`."""
    with _opened(path) as opened:
        return np.asarray(_as_rgb(opened, greys))


def short_side(path: Path) -> int:
    """Return the shorter side of an image in pixels; errors as `read_image`."""
    with _opened(path) as opened:
        return min(opened.size)


def greys_of(paths: Sequence[Path]) -> Greys:
    """Infer black and white of the files that have deep greys; errors as `read_image`."""
    extents = []
    for path in paths:
        with _opened(path) as opened:
            extents.append(extent_of(opened))
    return Greys.of(extents)


def inspect(path: Path, known: Callable[[bytes], tuple[bool, Extent | None]]) -> Inspected:
    """Read a file once, hash it, and decode it, unless its digest is known to be that of an image.

    Args:
        known: from a digest to whether it is one of an image, and that image's greys.

    Raises DataError for a file that changes while it is read.
    """
    digest, status = "", None
    try:
        with open_regular(path) as stream:
            status = os.fstat(stream.fileno())
            content = stream.read()
            _require_still(path, status, os.fstat(stream.fileno()), len(content))
        hashed = hashlib.sha256(content)
        digest = hashed.hexdigest()
        is_known, extent = known(hashed.digest())
        if is_known:
            return Inspected(digest, extent, None, status)
        return Inspected(digest, examine(content), None, status)
    except (MemoryError, DataError):
        raise
    # Pillow's decoders raise whatever the damage led them to.
    except Exception as cause:
        return Inspected(digest, None, why_unreadable(cause), status)


def examine(content: bytes) -> Extent | None:
    """Decode the bytes of an image file and return its greys; raises whatever the damage leads the decoder to."""
    if not content:
        raise ValueError("it is empty, 0 bytes")
    with Image.open(io.BytesIO(content)) as image:
        if image.format == "JPEG":
            # All of the file is still decoded, to an eighth of the pixels: half the time.
            image.draft(image.mode, (1, 1))
        extent = extent_of(image)
        _as_rgb(image, OWN)
    return extent


def _require_still(path: Path, before: os.stat_result, after: os.stat_result, size: int) -> None:
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or size != after.st_size:
        raise changing(path)


def changing(path: Path) -> DataError:
    """Return the error for a file that is written while a command reads it."""
    return DataError(
        f"image {printable(str(path))} changed while it was read: wait until nothing writes to its folder, and run the "
        "command again"
    )


def unreadable(path: Path, cause: Exception) -> DataError:
    """Return the error for a file that cannot be read as an image."""
    return DataError(f"image {printable(str(path))} cannot be read ({why_unreadable(cause)}): replace or remove it")


def why_unreadable(cause: Exception) -> str:
    """Return the reason in one line."""
    if isinstance(cause, UnidentifiedImageError):
        return "not an image that Pillow knows"
    text = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return printable(" ".join((text or type(cause).__name__).split()))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with open_regular(path) as stream, Image.open(stream) as image:
            yield image
    except (MemoryError, DataError):
        raise
    except Exception as cause:
        raise unreadable(path, cause) from cause


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to read its bytes; ValueError for anything else, such as a named pipe, without waiting."""
    return open(path, "rb", opener=_open_regular)


def _open_regular(path: str, flags: int) -> int:
    # Without this flag the mere opening of a named pipe waits for its writer.
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ValueError("it is not a regular file")
    return handle


def _as_rgb(opened: Image.Image, greys: Greys) -> Image.Image:
    image = ImageOps.exif_transpose(opened)
    if is_deep(image):
        # A turned copy no longer knows what the file declares.
        return Image.fromarray(as_eight_bits(np.asarray(image), opened, greys)).convert("RGB")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def in_threads(work: Callable[[Item], Outcome], items: Sequence[Item]) -> Iterator[Outcome]:
    """Yield `work` of every item in the order of `items`; the first failure in that order is raised.

    After a failure, or a signal, nothing more is begun, and what has begun is not waited for.

    >>> list(in_threads(str, [3, 1, 2]))
    ['3', '1', '2']
    """
    pool, is_whole = ThreadPoolExecutor(THREADS), False
    try:
        yield from pool.map(work, items)
        is_whole = True
    finally:
        pool.shutdown(wait=is_whole, cancel_futures=True)
