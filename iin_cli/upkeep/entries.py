"""What lies in the cache: entries of the kinds that iin makes; nothing else in that folder is ever touched.

Links are not followed: what they lead to is not in the cache, whatever it looks like.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import IinError
from ..io import checkpoint
from ..io.paths import cache_dir

__all__ = ["ABOUT", "KINDS", "CacheEntry", "CacheFolder", "read_cache"]

KINDS = ("latents", "statistics", "images", "precision", "stylizers", "plugins", "unfinished")
# Beside an entry of latents: what was encoded by what.
ABOUT = ".json"
KEY, SHOWN_KEY = re.compile(r"[0-9a-f]{32,64}"), 12
# What is being written, or was when its writer was killed.
UNFINISHED = re.compile(r"\.(part|layers)-.*|\..+\.[0-9a-f]{8}\.part")
# Where processes meet that encode the same; what is left there goes on when it is encoded again.
BEGUN = "unfinished"
MOST_HEADER = 4096


@dataclass(frozen=True)
class CacheEntry:
    """Something that was computed once and is kept.

    Attributes:
        kind: one of `KINDS`.
        name: `KIND/BEGINNING-OF-KEY`, by which it is named.
        path: the folder or file; `beside` are files that go with it.
        used: when it was made or last used, seconds since 1970.
        about: what it belongs to, for a reader.
    """

    kind: str
    name: str
    path: Path
    bytes: int
    used: float
    about: str
    beside: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CacheFolder:
    """The cache.

    Attributes:
        entries: longest unused first.
        others: what iin did not make, and links: left alone.
        data: bytes of the datasets that lie there; a user's own.
    """

    path: Path
    entries: tuple[CacheEntry, ...]
    others: tuple[str, ...]
    data: int

    @property
    def bytes(self) -> int:
        """Size of all entries."""
        return sum(entry.bytes for entry in self.entries)


def read_cache(folder: Path | None = None) -> CacheFolder:
    """Look through the cache, `folder` or the user's. Raises UsageError for a user without one."""
    root = Path(os.path.realpath(folder or cache_dir()))
    entries: list[CacheEntry] = []
    others: list[str] = []
    data = 0
    for place in _scan(root):
        if place.is_symlink():
            others.append(f"{place.name} (a link)")
        elif UNFINISHED.fullmatch(place.name):
            entries.append(_entry("unfinished", Path(place.path), _leftover))
        elif place.name == "data":
            data = _measure(Path(place.path))[0]
        elif place.name == "vetted.json":
            entries.append(_entry("plugins", Path(place.path), lambda _: "plugins that were loaded without harm"))
        elif place.name in READERS and place.is_dir(follow_symlinks=False):
            entries += READERS[place.name](Path(place.path), others)
        else:
            others.append(place.name)
    return CacheFolder(root, tuple(sorted(entries, key=lambda entry: (entry.used, entry.name))), tuple(others), data)


def _files(kind: str, ending: str, about: Callable[[Path], str]) -> Callable[[Path, list[str]], list[CacheEntry]]:
    """Return a reader of a folder of files named by keys."""

    def read(folder: Path, others: list[str]) -> list[CacheEntry]:
        found = []
        for place in _scan(folder):
            path = Path(place.path)
            if place.is_file(follow_symlinks=False) and UNFINISHED.fullmatch(place.name):
                found.append(_entry("unfinished", path, _leftover))
            elif place.is_file(follow_symlinks=False) and path.suffix == ending and KEY.fullmatch(path.stem):
                found.append(_entry(kind, path, about))
            else:
                others.append(f"{kind}/{place.name}")
        return found

    return read


def _latents(folder: Path, others: list[str]) -> list[CacheEntry]:
    found: list[CacheEntry] = []
    for part in _scan(folder):
        if not part.is_dir(follow_symlinks=False) or (len(part.name) != 2 and part.name != BEGUN):
            others.append(f"latents/{part.name}")
            continue
        for place in _scan(Path(part.path)):
            path = Path(place.path)
            if UNFINISHED.fullmatch(place.name) and not place.is_symlink():
                found.append(_entry("unfinished", path, _leftover))
            elif place.is_dir(follow_symlinks=False) and KEY.fullmatch(place.name):
                is_begun = part.name == BEGUN
                found.append(_entry("unfinished", path, _begun) if is_begun else _entry("latents", path, _encoded))
            elif not (path.suffix == ABOUT and KEY.fullmatch(path.stem) and not place.is_symlink()):
                others.append(f"latents/{part.name}/{place.name}")
    return found


def _stylizers(folder: Path, others: list[str]) -> list[CacheEntry]:
    found: list[CacheEntry] = []
    for place in _scan(folder):
        if place.is_dir(follow_symlinks=False) and KEY.fullmatch(place.name):
            found.append(_entry("stylizers", Path(place.path), _stylizer))
        else:
            others.append(f"stylizers/{place.name}")
    return found


def _entry(kind: str, path: Path, about: Callable[[Path], str]) -> CacheEntry:
    beside = tuple(each for each in (path.with_suffix(ABOUT),) if kind == "latents" and each.is_file())
    size, used = _measure(path)
    size += sum(_measure(each)[0] for each in beside)
    try:
        said = about(path)
    # A name for the reader must not stop at a damaged entry.
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, AttributeError, IinError):
        said = "damaged"
    return CacheEntry(kind, f"{kind}/{path.stem[:SHOWN_KEY]}", path, size, used, said, beside)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _measure(path: Path) -> tuple[int, float]:
    """Return the bytes on the disk of a file or folder, and when it was last written or marked as used."""
    size, used = 0, 0.0
    for each in _all(path):
        try:
            found = each.lstat()
        except OSError:
            # Another command has just removed it.
            continue
        size, used = size + found.st_blocks * 512, max(used, found.st_mtime)
    return size, used


def _all(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir() and not path.is_symlink():
        for folder, folders, files in os.walk(path):
            yield from (Path(folder, name) for name in (*folders, *files))


def _leftover(path: Path) -> str:
    return "being written, or left by a run that was killed"


def _begun(path: Path) -> str:
    return "an encoding under way, or one that goes on where it was stopped"


def _encoded(folder: Path) -> str:
    """Say what is encoded: from the file beside the entry, else the shape of its array."""
    with open(folder / "mean.npy", "rb") as file:
        # The format's own reader would need NumPy, which takes as long to import as all else.
        head = file.read(MOST_HEADER)
    rows, width = ast.literal_eval(head[10 : 10 + int.from_bytes(head[8:10], "little")].decode("latin1"))["shape"]
    said = f"{rows:,} images, {width} latents each"
    beside = folder.with_suffix(ABOUT)
    if not beside.is_file():
        return said
    about = json.loads(beside.read_text(encoding="utf-8"))
    return f"{about['data']} by {about['network']}: {said}"


def _statistics(path: Path) -> str:
    found = checkpoint.describe(path, "statistics")
    return f"{found.get('n') or '?'} images of {found.get('source') or 'a set'}, for iin fid"


def _images(path: Path) -> str:
    return "what is known of the files of a folder of images"


def _precision(path: Path) -> str:
    return "how well a network keeps its answers in bfloat16"


def _stylizer(folder: Path) -> str:
    names = sorted(file.name for file in folder.iterdir())
    found = checkpoint.describe(folder / next(name for name in names if name.endswith(".safetensors")))
    return f"a stylizer for {(found.get('data') or {}).get('name') or 'a set of images'}"


READERS: dict[str, Callable[[Path, list[str]], list[CacheEntry]]] = {
    "latents": _latents,
    "statistics": _files("statistics", ".safetensors", _statistics),
    "images": _files("images", ".npz", _images),
    "precision": _files("precision", ".json", _precision),
    "stylizers": _stylizers,
}
