"""Images that lie as bytes in larger files, as a dataset: a `Part` finds those of one file, `Records` reads all."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from iin_cli.data.arrays import digest
from iin_cli.data.checking import report_bad, tell_greys
from iin_cli.data.known_files import NO_EXTENT
from iin_cli.data.packed import Digests
from iin_cli.data.scanning import one_source
from iin_cli.data.splits import apart, split_by_content, splits_of
from iin_cli.errors import DataError
from iin_cli.io.greys import Greys
from iin_cli.io.image_files import cut_square, in_threads, why_unreadable
from iin_cli.plugin_api import Dataset, Interpolation, Labels
from iin_cli.progress import Reporter
from PIL import Image

from .columns import Column, joined, labels_of
from .seen import Seen

__all__ = ["Origin", "Part", "Records", "open_records"]

# Part of the fingerprint: increase it whenever the same bytes are read as other pixels.
READING = b"records, reading 1"
# Images whose sizes say how large all are.
MEASURED = 64


class Part(Protocol):
    """A file, or a part of a set, that holds images one after the other."""

    @property
    def seen(self) -> Seen:
        """What a look at each image found."""
        ...

    @property
    def columns(self) -> Mapping[str, Column]:
        """The values that each image has."""
        ...

    @property
    def split(self) -> str | None:
        """`train`, `val` or `test`, where something declares it."""
        ...

    def require_there(self) -> None:
        """Raise DataError where reading would end the process, as it does beyond the end of a mapped file."""
        ...

    def content(self, place: int) -> bytes:
        """Return the bytes of image number `place`; called in threads. Raises OSError or ValueError."""
        ...

    def called(self, place: int) -> str:
        """Return the name of image number `place`."""
        ...


@dataclass(frozen=True)
class Origin:
    """What a dataset is made of.

    Attributes:
        name: how a user names it, from wherever it is opened.
        parts: what holds its images, in their order.
        skipped: columns that are no labels -> why.
        left_out: what else is left out, where the user wants that -> why.
    """

    name: str
    parts: Sequence[Part]
    skipped: Mapping[str, str]
    left_out: Mapping[str, str]


class Records(Dataset):
    """The images of several parts; item i is image `places[i]` of part `numbers[i]`."""

    def __init__(
        self,
        origin: Origin,
        numbers: np.ndarray,
        places: np.ndarray,
        labels: dict[str, Labels],
        greys: Greys,
        report: Reporter,
    ) -> None:
        """Find sources and splits of the items; `report` is told how the splits are made."""
        self.name, self.labels, self.greys = origin.name, labels, greys
        self._parts, self._numbers, self._places = origin.parts, numbers, places
        digests = Digests(_gathered([part.seen.digests for part in origin.parts], numbers, places))
        self.sources = one_source(digests)
        self.splits = self._split(digests, report)
        self.fingerprint = _fingerprint(digests, greys, labels, self.splits)
        self.native_size = self._median_side()

    def images(self, indices: np.ndarray, size: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        """Return items `indices` (B,) as uint8 (B, size, size, 3): the centre square, resized, as files are read.

        Raises DataError for an image whose bytes are not those that were looked at when the dataset was opened.
        """
        batch = np.empty((len(indices), size, size, 3), dtype=np.uint8)
        for number in np.unique(self._numbers[indices]).tolist():
            self._parts[number].require_there()

        # Pillow decodes and resizes without the interpreter lock.
        def read(index: int) -> np.ndarray:
            content = self._content(index)
            try:
                with Image.open(io.BytesIO(content)) as image:
                    return cut_square(image, size, interpolation, self.greys)
            except MemoryError:
                raise
            except Exception as cause:
                raise DataError(f"image {self.path(index)} cannot be read ({why_unreadable(cause)})") from cause

        for row, image in zip(batch, in_threads(read, [int(index) for index in indices]), strict=True):
            row[...] = image
        return batch

    def path(self, index: int) -> str:
        """Return the name of item `index` within its file."""
        return self._parts[self._numbers[index]].called(int(self._places[index]))

    def _content(self, index: int) -> bytes:
        part, place = self._parts[self._numbers[index]], int(self._places[index])
        try:
            content, why = part.content(place), "it holds other bytes than before"
        except (OSError, ValueError) as cause:
            content, why = b"", why_unreadable(cause)
        if hashlib.sha256(content).digest() != part.seen.digests[place].tobytes():
            raise DataError(
                f"image {self.path(index)} changed after it was opened ({why}): wait until nothing writes to its file, "
                "and run the command again"
            )
        return content

    def _split(self, digests: Digests, report: Reporter) -> dict[str, np.ndarray]:
        said = [part.split for part in self._parts]
        used = {said[number] for number in np.unique(self._numbers).tolist()}
        if "train" in used and len(used) > 1 and None not in used:
            splits = splits_of([said[number] or "" for number in self._numbers.tolist()])
            if "test" not in used:
                report.note(f"{self.name}: the test split is what is called validation")
            return apart(splits, self.sources, report, self.name, self.path)
        report.note(
            f"{self.name}: nothing says which images are for tests: a tenth of every class is the test split, chosen "
            "by the content of the images"
        )
        return split_by_content(digests, self.sources, self.labels.get("class"))

    def _median_side(self) -> int:
        sides = []
        for index in np.unique(np.linspace(0, len(self.sources) - 1, MEASURED).astype(int)).tolist():
            with Image.open(io.BytesIO(self._content(index))) as image:
                sides.append(min(image.size))
        return int(np.median(sides))


def open_records(origin: Origin, report: Reporter, skip_bad: bool) -> Records:
    """Make a dataset of parts that have been looked at.

    Raises DataError where they hold nothing, and naming all images that cannot be read; with `skip_bad` these are left
    out.
    """
    name, parts = origin.name, origin.parts
    counts = [len(part.seen.digests) for part in parts]
    if not sum(counts):
        raise DataError(f"{name} has no images: it has 0 rows")
    bad = {part.called(place): why for part in parts for place, why in part.seen.problems.items()}
    if bad:
        report_bad(name, sum(counts), bad, report, skip_bad)
    kept = np.ones(sum(counts), bool)
    starts = np.cumsum([0, *counts])
    for start, part in zip(starts.tolist(), parts, strict=False):
        kept[[start + place for place in part.seen.problems]] = False
    columns = joined([(count, part.columns) for count, part in zip(counts, parts, strict=True)])
    labels = labels_of(columns, kept, report, name, origin.skipped)
    numbers = np.repeat(np.arange(len(parts), dtype=np.int32), counts)
    places = np.arange(len(kept)) - starts[numbers]
    greys = _greys(parts, report, name)
    made = Records(origin, numbers[kept], places[kept], labels, greys, report)
    values = {"left_out": {**origin.left_out, **bad}, "greys": greys.as_dict()}
    made.remembered = {key: value for key, value in values.items() if value}
    return made


def _greys(parts: Sequence[Part], report: Reporter, name: str) -> Greys:
    """Infer black and white of images with more than 8 bits, together, and tell."""
    numbers, distinct = [], []
    for part in parts:
        seen = part.seen
        numbers.append(np.where(seen.extents == NO_EXTENT, NO_EXTENT, seen.extents + len(distinct)))
        distinct += seen.distinct
    greys = Greys.of(distinct)
    tell_greys(name, distinct, np.concatenate(numbers), greys, report)
    return greys


def _gathered(rows: Sequence[np.ndarray], numbers: np.ndarray, places: np.ndarray) -> np.ndarray:
    starts = np.cumsum([0, *map(len, rows)])
    return np.concatenate(rows)[starts[numbers] + places]


def _fingerprint(digests: Digests, greys: Greys, labels: Mapping[str, Labels], splits: Mapping[str, np.ndarray]) -> str:
    parts: list[np.ndarray | bytes] = [READING, digests.rows]
    for column in sorted(labels):
        parts += [f"{column}:{labels[column].names}".encode(), labels[column].values]
    for split in sorted(splits):
        parts += [split.encode(), splits[split]]
    # The same bytes are other pixels where another number is white.
    return digest(*parts, json.dumps(greys.as_dict(), sort_keys=True).encode())
