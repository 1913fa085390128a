"""Read image files: the one reader of every command.

An image is upright by EXIF, its transparency lies over white, and greys of more than 8 bits are scaled as `greys.py`
says. Only regular files are opened: a named pipe among the images would be waited for, for ever.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    "Stamp",
    "greys_of",
    "in_threads",
    "inspect",
    "read_image",
    "read_whole",
    "require_unchanged",
    "short_side",
    "unreadable",
    "why_unreadable",
]

# The cores that this process may use: more threads would only take turns.
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
THREADS = min(8, _CORES)
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

OWN = Greys()


@dataclass(frozen=True)
class Inspected:
    """What one look at a file found: the sha256 of its bytes, its greys, why it cannot be read, or None, and when."""

    digest: str
    extent: Extent | None = None
    problem: str | None = None
    stamp: Stamp | None = None


@dataclass(frozen=True)
class Stamp:
    """The size of a file and the time of its last change: what is different when its content has changed."""

    size: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Take what matters of a file's status."""
        return cls(status.st_size, status.st_mtime_ns)


def read_image(path: Path, size: int, interpolation: Interpolation = "bicubic", greys: Greys = OWN) -> np.ndarray:
    """Read one image file as uint8 (size, size, 3) sRGB: the centre square, resized.

    Cutting the centre square first and resizing it is the same as resizing the short side and cropping.
    Raises DataError naming the file when it cannot be read whole.
    """
    with _opened(path) as opened:
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


def inspect(path: Path, known: Mapping[str, Extent | None]) -> Inspected:
    """Read a file once, hash it, and decode it, unless its digest is among those `known` to be good."""
    digest = ""
    try:
        with _regular(path) as stream:
            # Before the content: a change in between shows later.
            stamp = Stamp.of(os.fstat(stream.fileno()))
            content = stream.read()
        digest = hashlib.sha256(content).hexdigest()
        if digest in known:
            return Inspected(digest, known[digest], stamp=stamp)
        if not content:
            return Inspected(digest, problem="it is empty, 0 bytes")
        with Image.open(io.BytesIO(content)) as image:
            if image.format == "JPEG":
                # All of the file is still decoded, to an eighth of the pixels: half the time.
                image.draft(image.mode, (1, 1))
            extent = extent_of(image)
            _as_rgb(image, OWN)
        return Inspected(digest, extent, stamp=stamp)
    except MemoryError:
        raise
    # Pillow's decoders raise whatever the damage led them to.
    except Exception as cause:
        return Inspected(digest, problem=why_unreadable(cause))


def require_unchanged(path: Path, stamp: Stamp | None) -> None:
    """Raise DataError naming a file that has changed, or gone, since its `stamp` was taken; None is of any."""
    if stamp is None:
        return
    try:
        found = Stamp.of(os.stat(path))
    except OSError as cause:
        raise unreadable(path, cause) from cause
    if found != stamp:
        raise DataError(
            f"image {printable(str(path))} has changed since this command began: let nothing write to the images, "
            "and give the command again"
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
        with _regular(path) as stream, Image.open(stream) as image:
            yield image
    except (MemoryError, DataError):
        raise
    except Exception as cause:
        raise unreadable(path, cause) from cause


def _regular(path: Path) -> BinaryIO:
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
