"""A folder of images as a dataset: class subfolders, flat, with a `labels.csv`, or with `train` and `test` above these.

Classes are the first-level subfolders (deeper nesting is free). With images beside the subfolders, or without
subfolders, there are no labels. Where all images lie below folders called `train` and `test` (or `val`, `training`:
`splits.py` has the words), these are the splits and the classes lie one level down. `label_table.py` reads
`labels.csv`, `checking.py` looks at every file before it is used.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from ..errors import DataError
from ..io.greys import Greys
from ..io.image_files import in_threads, read_image, read_whole, short_side
from ..plugin_api import Dataset, Interpolation, Labels
from ..printable import printable
from ..progress import Reporter, Silent
from .checking import Checked, check_images
from .label_table import TABLE_NAME, LabelTable, as_labels, has_table, read_table
from .packed import Paths
from .scanning import one_source, scan
from .splits import PARTS, apart, split_by_content, splits_of

__all__ = ["FileDataset", "FolderDataset", "open_folder", "read_image"]

# Files whose sizes say how large the images of a folder are.
MEASURED_FILES = 64


class FileDataset(Dataset):
    """Images in files, read on request; items are in the order of `files`, whose paths are relative to `folder`.

    Attributes:
        folder: where they are; `name` is its text, in which bytes that are no text are escaped.
        greys: black and white of greys with more than 8 bits.
        left_out: files that cannot be read -> why.
    """

    greys = Greys()
    left_out: Mapping[str, str] = {}
    _checked: Checked | None = None

    def __init__(
        self,
        name: str,
        folder: Path,
        files: Sequence[str],
        labels: dict[str, Labels],
        splits: dict[str, np.ndarray],
        sources: np.ndarray,
        fingerprint: str,
    ) -> None:
        self.name = printable(name)
        self.folder = folder
        self.labels = labels
        self.splits = splits
        self.sources = sources
        self.fingerprint = fingerprint
        self._files = files
        self.native_size = self._median_side()

    @classmethod
    def of_folder(
        cls,
        name: str,
        folder: Path,
        report: Reporter,
        photo: Callable[[str], str] | None = None,
        skip_bad: bool = False,
    ) -> Self:
        """Make a dataset from the folder's layout and its `labels.csv`; every file is read once, by one command.

        Files with equal bytes share a source (the first of them), and so do files that `photo` maps to one name.
        Where nothing declares the splits, `split_by_content` makes them. Raises DataError when the folder is missing,
        has no images, has a file that cannot be read (`skip_bad` leaves it out) or that changes meanwhile, or has a
        `labels.csv` that cannot be used.
        """
        checked = check_images(folder, scan(folder, report), report, skip_bad)
        files, digests = checked.files, checked.digests
        sources = one_source(digests, *([] if photo is None else [[photo(file) for file in files]]))
        is_labelled = has_table(folder)
        table = read_table(folder, files, checked.left_out) if is_labelled else LabelTable({}, None, "")
        above = _split_folders(folder, files, Silent() if table.digest else report)
        labels = table.columns if table.digest else _class_labels(files, below=above is not None)
        if table.splits is not None:
            splits = table.splits
            _check_declared(folder, files, sources, splits)
        elif above is not None:
            called = printable(str(folder))
            splits = apart(above, sources, report, called, lambda index: printable(files[index]))
        else:
            splits = split_by_content(digests, sources, labels.get("class"))
        made = cls(name, folder, files, labels, splits, sources, _fingerprint(checked, table))
        return made.as_checked(checked)

    def as_checked(self, checked: Checked) -> Self:
        """Remember of the look at every file what its images need: greys, what is left out, and the bytes."""
        self.greys, self.left_out, self._checked = checked.greys, checked.left_out, checked
        left_out = {printable(file): why for file, why in self.left_out.items()}
        values = {"left_out": left_out, "greys": self.greys.as_dict()}
        self.remembered = {key: value for key, value in values.items() if value}
        return self

    def images(self, indices: np.ndarray, size: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        """Return items `indices` (B,) as uint8 (B, size, size, 3), as `read_image` reads them.

        Raises DataError for a file that cannot be read, or that has changed since the folder was opened.
        """
        batch = np.empty((len(indices), size, size, 3), dtype=np.uint8)

        # Pillow decodes and resizes without the interpreter lock.
        def read(index: int) -> np.ndarray:
            image = read_image(self.file(index), size, interpolation, self.greys)
            self._require_unchanged(index)
            return image

        for row, image in zip(batch, in_threads(read, [int(index) for index in indices]), strict=True):
            row[...] = image
        return batch

    def whole_image(self, index: int) -> np.ndarray:
        """Return item `index` uncut, as stored: uint8 (H, W, 3); errors as `images`."""
        image = read_whole(self.file(index), self.greys)
        self._require_unchanged(index)
        return image

    def file(self, index: int) -> Path:
        """Return the file of item `index`."""
        return self.folder / self._files[index]

    def path(self, index: int) -> str:
        """Return the file of item `index` as text, in which bytes that are no text are escaped."""
        return printable(str(self.file(index)))

    def _require_unchanged(self, index: int) -> None:
        # Afterwards, since the bytes that count are those that were read.
        if (checked := self._checked) is not None:
            place = index if self._files is checked.files else bisect_left(checked.files, self._files[index])
            checked.require_unchanged(self.folder, place)

    def _median_side(self) -> int:
        chosen = np.unique(np.linspace(0, len(self._files) - 1, MEASURED_FILES).astype(int))
        return int(np.median([short_side(self.file(int(index))) for index in chosen]))


class FolderDataset(FileDataset):
    """A folder of images that the user names by its path."""


def open_folder(path: str | Path, report: Reporter | None = None, skip_bad: bool = False) -> FolderDataset:
    """Open a folder of images; layouts and errors as `FileDataset.of_folder`."""
    folder = Path(path).expanduser()
    return FolderDataset.of_folder(str(folder), folder, report or Silent(), skip_bad=skip_bad)


def _fingerprint(checked: Checked, table: LabelTable) -> str:
    total = hashlib.sha256(table.digest.encode())
    for file, digest in zip(checked.files, checked.digests, strict=True):
        total.update(f"\n{file}\0{digest}".encode("utf-8", "surrogateescape"))
    if checked.is_deep:
        # The same bytes are other pixels where another number is white.
        total.update(f"\ngreys\0{json.dumps(checked.greys.as_dict(), sort_keys=True)}".encode())
    return total.hexdigest()


def _split_folders(folder: Path, files: Paths, report: Reporter) -> dict[str, np.ndarray] | None:
    """Return the splits that first-level folders called train, test and val declare, or None where they do not.

    What is not certain is said aloud.
    """
    tops, which = files.folders(0)
    part_of = {top: PARTS.get(top.lower()) for top in sorted(tops)}
    # An image beside the folders rules this layout out.
    found = {*part_of.values(), *((None,) if (which < 0).any() else ())}
    called = ", ".join(f"{printable(top)} ({part})" for top, part in part_of.items() if part is not None)
    if None in found or "train" not in found or len(found) < 2:
        if called and found != {None}:
            say = report.note if None in found else report.warn
            say(
                f"{printable(str(folder))}: folders are called like parts of a set, {called}, but not all of them, or "
                "without another part: they are read as classes; put all below train and test to make them splits"
            )
        return None
    if not {top.lower() for top in part_of} <= {"train", "test", "val", "valid", "validation"}:
        report.note(f"{printable(str(folder))}: its folders are the splits, not classes: {called}")
    return splits_of([part_of[tops[number]] or "" for number in which.tolist()])


def _class_labels(files: Paths, below: bool) -> dict[str, Labels]:
    """Take classes from the first folder of each path, or from the second (`below` the splits' folders)."""
    names, which = files.folders(int(below))
    if (which < 0).any():
        return {}
    label = as_labels(names)
    return {"class": Labels(label.values[which], label.names)}


def _check_declared(folder: Path, files: Paths, sources: np.ndarray, splits: dict[str, np.ndarray]) -> None:
    train = {int(sources[index]): files[index] for index in splits["train"].tolist()}
    for index in splits["test"].tolist():
        if twin := train.get(int(sources[index])):
            raise DataError(
                f"{printable(str(folder / TABLE_NAME))}: {printable(twin)} (train) and {printable(files[index])} "
                "(test) are the same image: give both the same split"
            )
