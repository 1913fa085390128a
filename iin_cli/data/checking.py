"""Look at every image of a folder once, before anything else: hash it, decode it, find its greys.

An image that cannot be read is reported now, with all others, and not after an hour of training. What is found is
remembered (`known_files.py`), so that the next command reads only what has changed, and decodes only what is new.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..io.greys import Extent, Greys
from ..io.image_files import Inspected, changing, in_threads, inspect
from ..leading import led
from ..printable import printable
from ..progress import Reporter
from ..results import note_left_out
from .known_files import NO_EXTENT, KnownFiles, Looks, is_verified
from .packed import Digests, Paths
from .scanning import FACTS, Listing, facts_of

__all__ = ["Checked", "check_images", "report_bad", "tell_greys"]

# Files that a thread reads in one go: handing over single ones takes as long as reading small ones.
STRIDE = 64
MOST_NAMED = 200
FULL = (0.0, 65535.0)
# The upper 8 of 16 bits stay below this where 14 bits are used.
DARK = 64


@dataclass(frozen=True)
class Checked:
    """The images of a folder that can be read.

    Attributes:
        files: their relative paths, sorted; `digests`: the sha256 of each.
        greys: what is black and white in greys of more than 8 bits.
        is_deep: whether any image has such greys.
        left_out: the images that cannot be read -> why.
        facts: what the system said of each file when it was read, uint64 (M, 5) as `facts_of`.
    """

    files: Paths
    digests: Sequence[str]
    greys: Greys = field(default_factory=Greys)
    is_deep: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)
    facts: np.ndarray = field(default_factory=lambda: np.zeros((0, FACTS), np.uint64))

    def require_unchanged(self, folder: Path, place: int) -> None:
        """Raise DataError where file `place` no longer holds the bytes that were checked."""
        path = folder / self.files[place]
        try:
            if tuple(self.facts[place].tolist()) == facts_of(os.stat(path)):
                return
        except OSError as cause:
            raise changing(path) from cause
        # A new mode or another name of the file changes its times, and not what is in it.
        if inspect(path, lambda digest: (True, None)).digest != self.digests[place]:
            raise changing(path)


def check_images(folder: Path, listing: Listing, report: Reporter, skip_bad: bool = False) -> Checked:
    """Look at every file. Raises DataError naming all that cannot be read; with `skip_bad` these are left out.

    In `leaders_first` one process of each machine reads them, for all others there. `report` is told what is left out,
    and how greys of more than 8 bits are read. DataError where nothing is left, and for a file that changes while it is
    read.
    """
    memory = KnownFiles(folder)
    remembered = memory.recall(listing)
    looks = Looks.none_at(listing.facts) if is_verified() else remembered
    files, bad = listing.files, {}
    if not looks.read.all():
        # The name is of what a rank would read: files may come and go while it waits for its leader.
        name = f"images {hashlib.sha256(os.fsencode(folder) + listing.facts.tobytes() + files.text).hexdigest()}"
        looks, bad = led(name, lambda: _read(folder, listing, looks, memory, report))
    if is_verified():
        _tell_silent_changes(folder, files, remembered, looks, report)
    if bad:
        # Named by where they are, since a command may read several folders.
        named = {printable(str(folder / file)): why for file, why in bad.items()}
        report_bad(printable(str(folder)), len(files), named, report, skip_bad)
    files, looks = files.take(looks.read), looks.take(looks.read)
    memory.remember(files, looks)
    greys = Greys.of(looks.distinct)
    tell_greys(printable(str(folder)), looks.distinct, looks.extents, greys, report)
    is_deep = any(extent.kind != "color" for extent in looks.distinct)
    return Checked(files, Digests(looks.digests), greys, is_deep, bad, looks.facts)


def _read(
    folder: Path, listing: Listing, looks: Looks, memory: KnownFiles, report: Reporter
) -> tuple[Looks, dict[str, str]]:
    """Read the files that are not known, enter them among the `looks`, and return these and no images -> why."""
    unread = np.flatnonzero(~looks.read)
    content, bad, stopped = memory.content(), {}, threading.Event()

    def read(places: np.ndarray) -> tuple[int, list[Inspected]]:
        now, found = time.time_ns(), []
        for place in places.tolist():
            # After a failure or a signal nobody wants the rest of what this thread took.
            if stopped.is_set():
                break
            found.append(inspect(folder / listing.files[place], content.find))
        return now, found

    pieces = [unread[start : start + STRIDE] for start in range(0, len(unread), STRIDE)]
    with report.task("check images", len(unread), "images") as task:
        try:
            for piece, (now, found) in zip(pieces, in_threads(read, pieces), strict=True):
                for place, look in zip(piece.tolist(), found, strict=True):
                    if look.problem is None and look.status is not None:
                        looks.add(place, look.digest, look.extent, facts_of(look.status), now)
                    else:
                        bad[listing.files[place]] = look.problem or "it cannot be opened"
                task.advance(len(piece))
        finally:
            stopped.set()
    return looks, bad


def _tell_silent_changes(folder: Path, files: Paths, remembered: Looks, looks: Looks, report: Reporter) -> None:
    """Say which files hold other bytes than before though the system says that they have not changed."""
    changed = remembered.read & (remembered.digests != looks.digests).any(axis=1)
    if changed.any():
        report.warn(
            f"{printable(str(folder))}: {int(changed.sum())} files hold other bytes at the same size and times, such "
            f"as {printable(files[int(changed.argmax())])}: its disk does not show changes, so give --verify after each"
        )


def report_bad(called: str, count: int, bad: Mapping[str, str], report: Reporter, skip_bad: bool) -> None:
    """Say which of the `count` images of `called` are left out: `bad` maps the names of images to why.

    Raises DataError naming them without `skip_bad`, or where nothing is left.
    """
    named = [f"{image} ({why})" for image, why in list(bad.items())[:MOST_NAMED]]
    if len(bad) > MOST_NAMED:
        named.append(f"and {len(bad) - MOST_NAMED:,} more")
    whole = f"{len(bad):,} of {count:,} images of {called}"
    if skip_bad and len(bad) < count:
        report.warn(f"{whole} cannot be read and {'is' if len(bad) == 1 else 'are'} left out: {'; '.join(named)}")
        note_left_out(bad)
    elif len(bad) == 1:
        image, why = next(iter(bad.items()))
        raise DataError(f"image {image} cannot be read ({why}): replace or remove it, or leave it out with --skip-bad")
    else:
        raise DataError(
            f"{whole} cannot be read: {'; '.join(named)}: replace or remove them, or leave them out with --skip-bad"
        )


def tell_greys(called: str, distinct: Sequence[Extent], numbers: np.ndarray, greys: Greys, report: Reporter) -> None:
    """Say how greys are read that no file declares: a guess, unless the numbers fill their 16 bits.

    Args:
        called: the name of the images.
        distinct, numbers: the different extents, and which each image has, int32 (M,); `NO_EXTENT` for 8 bits.
        greys: how they are read.
    """
    counts = np.bincount(numbers[numbers != NO_EXTENT], minlength=len(distinct)).tolist()
    extents = list(zip(distinct, counts, strict=True))
    for kind, name, pair in (("whole", "16 or 32 bits", greys.whole), ("real", "floating point", greys.real)):
        if pair is None:
            continue
        mine = [(extent, count) for extent, count in extents if extent.kind == kind and extent.white is None]
        low, high = min(extent.low for extent, _ in mine), max(extent.high for extent, _ in mine)
        count = sum(count for _, count in mine)
        text = (
            f"{called}: {count} images have greys of {name}, from {low:g} to {high:g}: "
            f"{pair[0]:g} is read as black and {pair[1]:g} as white"
        )
        report.note(text) if pair == FULL else report.warn(f"{text}; save them with 8 bits if that is wrong")
    colors = [(extent.high, count) for extent, count in extents if extent.kind == "color"]
    if colors and max(colors)[0] < DARK:
        count = sum(count for _, count in colors)
        report.warn(
            f"{called}: {count} images have colours of 16 bits, of which at most 14 are used, "
            "and are read as nearly black: save them with 8 bits"
        )
