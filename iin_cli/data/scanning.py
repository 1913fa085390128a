"""Find the image files of a folder, say what is left out, and tell which images are the same."""

from __future__ import annotations

import os
import stat
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import DataError
from ..printable import printable
from ..progress import Reporter, Silent
from .packed import Digests, Paths

__all__ = ["FACTS", "Listing", "facts_of", "image_endings", "one_source", "scan"]

# What the system says of a file that it changes when the file's bytes change: size, times of the last change of the
# content and of anything, number on the disk, disk.
FACTS = 5
MASK = 2**64 - 1

# Formats that Pillow recognises but cannot decode, so that an .h5 or .mpg beside the images is skipped.
UNDECODABLE = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}
# Folders that systems, servers and archivers make; hidden ones are skipped, too.
FOREIGN_FOLDERS = {
    "__macosx", "@eadir", "@__thumb", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "system volume information",
    "lost+found", "__pycache__",
}  # fmt: skip
# Pictures in formats that Pillow does not read, or not everywhere.
PICTURES = {
    ".heic", ".heif", ".hif", ".avif", ".jxl", ".svg", ".svgz", ".exr", ".hdr", ".raw", ".dng", ".cr2", ".cr3", ".nef",
    ".nrw", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".dcm", ".nii", ".nrrd", ".mha", ".psd", ".psb", ".xcf",
    ".ai", ".wdp", ".jxr", ".npy", ".npz", ".mat", ".czi", ".nd2", ".lif", ".svs", ".ndpi", ".webp", ".jp2", ".tif",
    ".tiff",
}  # fmt: skip
ENDINGS_NAMED = 6
# Files between two reports of progress.
STRIDE = 1000


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, sorted, and `facts` uint64 (M, 5): what the system says of each, see `facts_of`."""

    files: Paths
    facts: np.ndarray


def facts_of(found: os.stat_result) -> tuple[int, ...]:
    """Return size, times of change in nanoseconds, inode and device of a file, each modulo 2^64."""
    return (
        found.st_size & MASK,
        found.st_mtime_ns & MASK,
        found.st_ctime_ns & MASK,
        found.st_ino & MASK,
        found.st_dev & MASK,
    )


def scan(folder: Path, report: Reporter | None = None) -> Listing:
    """Return the image files below `folder` as sorted relative paths with forward slashes.

    Every format that Pillow reads counts, in any case of extension. Hidden files and folders, those of systems
    (`@eaDir`, `__MACOSX`), and what is no regular file (a named pipe) are skipped. `report` is told of pipes, of other
    files, and of links to folders whose images are counted where they really are.
    Raises DataError when the folder is missing, cannot be listed, or has no images.
    """
    report, called = report or Silent(), printable(str(folder))
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{called} {found}: give a folder of images")
    known, others, special = image_endings(), Counter[str](), []
    files: list[str] = []
    facts = array("Q")
    with report.task("list files", None, "files") as task:
        for file, entry in _walk(folder, report):
            ending = os.path.splitext(entry.name)[1].lower()
            if ending not in known:
                others[ending] += file != "labels.csv"
                continue
            found = _status(entry)
            if found is not None and not stat.S_ISREG(found.st_mode):
                special.append(file)
                continue
            files.append(file)
            # A link to nothing is a bad image, and is named as such.
            facts.extend((0,) * FACTS if found is None else facts_of(found))
            if len(files) % STRIDE == 0:
                task.advance(STRIDE)
    pictures = Counter({ending: count for ending, count in others.items() if ending in PICTURES})
    if not files:
        beside = f"; it has {_counted(pictures)}, which are not read: convert them to .png" if pictures else ""
        raise DataError(f"{called} has no images: Pillow reads .jpg, .png, .webp and {len(known) - 3} more{beside}")
    if special:
        report.warn(f"{called}: {len(special)} left out that are no regular files, such as {printable(min(special))}")
    if pictures:
        report.warn(f"{called}: {_counted(pictures)} left out, formats that Pillow does not read: convert them to .png")
    if rest := others - pictures:
        report.note(f"{called}: {_counted(rest)} left out, files that are no images")
    return _sorted(files, facts)


def one_source(*keys: Sequence[str]) -> np.ndarray:
    """Return the source of every item, int64 (M,): the first of all items linked to it by equal keys of any kind.

    >>> one_source(["a", "b", "c", "d"], ["1", "2", "2", "1"]).tolist()
    [0, 1, 1, 0]
    """
    sources = np.arange(len(keys[0]))
    groups, before = [_firsts(kind) for kind in keys], None
    while before is None or (sources != before).any():
        before = sources
        for group in groups:
            first = np.full(len(sources), len(sources))
            np.minimum.at(first, group, sources)
            sources = first[group]
    return sources


def _firsts(keys: Sequence[str]) -> np.ndarray:
    """Return for each key the place of the first that equals it."""
    if isinstance(keys, Digests):
        return keys.firsts()
    first: dict[str, int] = {}
    return np.fromiter((first.setdefault(key, place) for place, key in enumerate(keys)), np.int64, len(keys))


def _sorted(files: list[str], facts: array[int]) -> Listing:
    """Return the listing of `files`, which are emptied, since a million of them take as much as all the rest."""
    order = np.array(sorted(range(len(files)), key=files.__getitem__), np.int64)
    packed = Paths.of(map(files.__getitem__, order))
    files.clear()
    return Listing(packed, np.frombuffer(facts, np.uint64).reshape(-1, FACTS)[order])


@cache
def image_endings() -> frozenset[str]:
    """Return the endings of files that Pillow reads, in small letters, with the point."""
    Image.init()
    known = Image.registered_extensions().items()
    # The JPEG reader opens MPO files (two JPEGs in one), so Pillow lists no opener for MPO.
    return frozenset(end for end, name in known if (name in Image.OPEN or name == "MPO") and name not in UNDECODABLE)


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        return None


def _counted(endings: Counter[str]) -> str:
    named = [f"{count} {printable(ending) or 'without ending'}" for ending, count in endings.most_common(ENDINGS_NAMED)]
    if (more := endings.total() - sum(count for _, count in endings.most_common(ENDINGS_NAMED))) > 0:
        named.append(f"{more} others")
    return ", ".join(named)


def _walk(folder: Path, report: Reporter) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield the files below `folder`: first those of real folders, then those that links lead to.

    Links are followed, since class folders often are links; none takes images from the folder they really are in, or
    from a link nearer to the top, and a link back to a parent does not loop.
    """
    seen: dict[str, str] = {}
    links = deque([""])
    while links:
        # Links found together stand for their own targets, even where one leads to a folder inside another's.
        level, links = sorted(links, key=lambda link: (link.count("/"), link)), deque[str]()
        places = {start: os.path.realpath(f"{folder}/{start}" if start else folder) for start in level}
        owner = {place: start for start, place in reversed(places.items())}
        for start, place in places.items():
            first = seen.get(place, owner[place])
            if first != start:
                report.note(
                    f"{printable(str(folder / start))} is a link to a folder whose images count as those of "
                    f"{printable(str(folder / first))} alone"
                )
                continue
            foreign = (seen.keys() | owner.keys()) - {place}
            yield from _below(folder, start, place, seen, foreign, links)


def _below(
    folder: Path, start: str, place: str, seen: dict[str, str], foreign: set[str], links: deque[str]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield the files of the real folders below `start`, whose real path is `place`; `links` gains links to folders."""
    # Strings, since a set may have 200,000 files and joining Paths costs ten times as much.
    pending = [(start, place)]
    while pending:
        inside, real = pending.pop()
        seen[real] = inside
        with _listing(f"{folder}/{inside}" if inside else str(folder)) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                name = f"{inside}/{entry.name}" if inside else entry.name
                if not _is_folder(entry):
                    yield name, entry
                elif entry.name.lower() in FOREIGN_FOLDERS:
                    continue
                elif entry.is_symlink():
                    links.append(name)
                elif (below := f"{real.rstrip('/')}/{entry.name}") not in foreign:
                    pending.append((name, below))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads back to itself.
        return False


def _listing(folder: str) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    try:
        return os.scandir(folder)
    except OSError as problem:
        raise DataError(
            f"folder {printable(folder)} cannot be listed ({problem.strerror}): allow reading it"
        ) from problem
