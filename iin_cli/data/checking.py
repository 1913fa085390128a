"""Look at every image of a folder once, before anything else: hash it, decode it, find its greys.

An image that cannot be read is reported now, with all others, and not after an hour of training. What is known to be
good is remembered by content in the cache, so that the next command only hashes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import PIL

from ..errors import DataError, IinError
from ..io.atomic import write_text
from ..io.greys import Extent, Greys
from ..io.image_files import Inspected, Stamp, in_threads, inspect
from ..io.paths import cache_dir
from ..printable import printable
from ..progress import Reporter
from ..results import note_left_out

__all__ = ["Checked", "check_images"]

FORMAT = 1
MOST_NAMED = 200
FULL = (0.0, 65535.0)
# The upper 8 of 16 bits stay below this where 14 bits are used.
DARK = 64


@dataclass(frozen=True)
class Checked:
    """The images of a folder that can be read.

    Attributes:
        files: their relative paths; `digests`: the sha256 of each.
        greys: what is black and white in greys of more than 8 bits.
        is_deep: whether any image has such greys.
        left_out: the images that cannot be read -> why.
        stamps: file -> its size and time when it was read.
    """

    files: list[str]
    digests: list[str]
    greys: Greys = field(default_factory=Greys)
    is_deep: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)
    stamps: Mapping[str, Stamp] = field(default_factory=dict)


def check_images(folder: Path, files: Sequence[str], report: Reporter, skip_bad: bool = False) -> Checked:
    """Read every file once. Raises DataError naming all that cannot be read; with `skip_bad` these are left out.

    `report` is told what is left out, and how greys of more than 8 bits are read. DataError where nothing is left.
    """
    memory = _Memory(folder)
    looks = _look(folder, files, memory, report)
    bad = {file: look.problem for file, look in zip(files, looks, strict=True) if look.problem is not None}
    if bad:
        # Named by where they are, since a command may read several folders.
        _report_bad(folder, len(files), bad, report, skip_bad)
        note_left_out({printable(str(folder / file)): why for file, why in bad.items()})
    good = [(file, look) for file, look in zip(files, looks, strict=True) if look.problem is None]
    memory.remember({look.digest: look.extent for _, look in good})
    extents = [look.extent for _, look in good]
    greys = Greys.of(extents)
    _tell_greys(folder, extents, greys, report)
    named = [file for file, _ in good], [look.digest for _, look in good]
    is_deep = any(extent is not None and extent.kind != "color" for extent in extents)
    stamps = {file: look.stamp for file, look in good if look.stamp is not None}
    return Checked(*named, greys, is_deep, bad, stamps)


def _look(folder: Path, files: Sequence[str], memory: _Memory, report: Reporter) -> list[Inspected]:
    looks = []
    with report.task("check images", len(files), "images") as task:
        for look in in_threads(lambda file: inspect(folder / file, memory.good), files):
            looks.append(look)
            task.advance()
    return looks


def _report_bad(folder: Path, count: int, bad: Mapping[str, str], report: Reporter, skip_bad: bool) -> None:
    named = [f"{printable(str(folder / file))} ({why})" for file, why in list(bad.items())[:MOST_NAMED]]
    if len(bad) > MOST_NAMED:
        named.append(f"and {len(bad) - MOST_NAMED:,} more")
    whole = f"{len(bad):,} of {count:,} images of {printable(str(folder))}"
    if skip_bad and len(bad) < count:
        report.warn(f"{whole} cannot be read and {'is' if len(bad) == 1 else 'are'} left out: {'; '.join(named)}")
    elif len(bad) == 1:
        path, why = next(iter(bad.items()))
        raise DataError(
            f"image {printable(str(folder / path))} cannot be read ({why}): replace or remove it, or leave it out with "
            "--skip-bad"
        )
    else:
        raise DataError(
            f"{whole} cannot be read: {'; '.join(named)}: replace or remove them, or leave them out with --skip-bad"
        )


def _tell_greys(folder: Path, extents: Sequence[Extent | None], greys: Greys, report: Reporter) -> None:
    """Say how greys are read that no file declares: a guess, unless the numbers fill their 16 bits."""
    for kind, name, pair in (("whole", "16 or 32 bits", greys.whole), ("real", "floating point", greys.real)):
        if pair is None:
            continue
        mine = [extent for extent in extents if extent is not None and extent.kind == kind and extent.white is None]
        low, high = min(extent.low for extent in mine), max(extent.high for extent in mine)
        text = (
            f"{printable(str(folder))}: {len(mine)} images have greys of {name}, from {low:g} to {high:g}: "
            f"{pair[0]:g} is read as black and {pair[1]:g} as white"
        )
        report.note(text) if pair == FULL else report.warn(f"{text}; save them with 8 bits if that is wrong")
    colors = [extent.high for extent in extents if extent is not None and extent.kind == "color"]
    if colors and max(colors) < DARK:
        report.warn(
            f"{printable(str(folder))}: {len(colors)} images have colours of 16 bits, of which at most 14 are used, "
            "and are read as nearly black: save them with 8 bits"
        )


class _Memory:
    """The images of a folder that are known to be good, by digest; a cache that may be lost at any time."""

    def __init__(self, folder: Path) -> None:
        self.good: dict[str, Extent | None] = {}
        self._file: Path | None = None
        # Without a cache every image is decoded again.
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, RuntimeError):
            place = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()
            self._file = cache_dir() / "images" / f"{place}.json"
            stored = json.loads(self._file.read_text(encoding="utf-8"))
            if stored["made_by"] == [FORMAT, PIL.__version__]:
                self.good = {digest: known and Extent(**known) for digest, known in stored["good"].items()}

    def remember(self, good: Mapping[str, Extent | None]) -> None:
        """Keep `good` for the next command, and nothing else."""
        if self._file is None or good.keys() == self.good.keys():
            return
        values = {digest: extent and asdict(extent) for digest, extent in good.items()}
        with contextlib.suppress(OSError, IinError):
            write_text(self._file, json.dumps({"made_by": [FORMAT, PIL.__version__], "good": values}))
