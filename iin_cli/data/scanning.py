"""Find the image files of a folder, tell which are the same, and report those that cannot be read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import DataError
from ..progress import Reporter

__all__ = ["THREADS", "hash_files", "one_source", "scan", "unreadable"]

THREADS = min(8, os.cpu_count() or 1)
# Formats that Pillow recognises but cannot decode, so that an .h5 or .mpg beside the images is skipped.
UNDECODABLE = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}


def scan(folder: Path) -> list[str]:
    """Return the image files below `folder` as sorted relative paths with forward slashes.

    Every format that Pillow reads counts, in any case of extension; hidden files and folders are skipped.
    Raises DataError when the folder is missing, cannot be listed, or has no images.
    """
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {found}: give a folder of images")
    known = _extensions()
    files = sorted(file for file in _walk(folder) if os.path.splitext(file)[1].lower() in known)
    if not files:
        raise DataError(f"{folder} has no images: Pillow reads .jpg, .png, .webp and {len(known) - 3} more extensions")
    return files


def hash_files(folder: Path, files: Sequence[str], report: Reporter) -> list[str]:
    """Return the sha256 of every file. Raises DataError naming a file that is empty or cannot be read."""
    digests = []
    with report.task("hash images", len(files), "images") as task, ThreadPoolExecutor(THREADS) as pool:
        for digest in pool.map(lambda file: _hash(folder / file), files):
            digests.append(digest)
            task.advance()
    return digests


def one_source(*keys: Sequence[str]) -> np.ndarray:
    """Return the source of every item, int64 (M,): the first of all items linked to it by equal keys of any kind.

    >>> one_source(["a", "b", "c", "d"], ["1", "2", "2", "1"]).tolist()
    [0, 1, 1, 0]
    """
    sources = np.arange(len(keys[0]))
    before = None
    while before is None or (sources != before).any():
        before = sources
        for kind in keys:
            _, group = np.unique(np.asarray(kind), return_inverse=True)
            first = np.full(len(sources), len(sources))
            np.minimum.at(first, group, sources)
            sources = first[group]
    return sources


def unreadable(path: Path, cause: Exception) -> DataError:
    """Return the error for a file that cannot be read as an image."""
    reason = "not an image that Pillow knows" if isinstance(cause, UnidentifiedImageError) else cause
    return DataError(f"image {path} cannot be read ({' '.join(str(reason).split())}): replace or remove it")


def _extensions() -> set[str]:
    Image.init()
    known = Image.registered_extensions().items()
    # The JPEG reader opens MPO files (two JPEGs in one), so Pillow lists no opener for MPO.
    return {end for end, name in known if (name in Image.OPEN or name == "MPO") and name not in UNDECODABLE}


def _walk(folder: Path) -> Iterator[str]:
    seen = set()
    for root, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        # Links are followed, since class folders often are links; a link back to a parent must not loop.
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        below = Path(root).relative_to(folder).as_posix()
        # Strings, since a set may have 200,000 files and joining Paths costs ten times as much.
        start = "" if below == "." else f"{below}/"
        yield from (f"{start}{file}" for file in files if not file.startswith("."))


def _refuse(problem: OSError) -> None:
    raise DataError(f"folder {problem.filename} cannot be listed ({problem.strerror}): allow reading it") from problem


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size == 0:
                raise DataError(f"image {path} is empty (0 bytes): replace or remove it")
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as cause:
        raise unreadable(path, cause) from cause
