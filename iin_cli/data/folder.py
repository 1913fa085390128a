"""A folder of images as a dataset: class subfolders, flat, with a `labels.csv`, or with `train` and `test` above these.

Classes are the first-level subfolders (deeper nesting is free). With images beside the subfolders, or without
subfolders, there are no labels. Where all images lie below folders called `train` and `test` (or `val`), these are the
splits and the classes lie one level down. `label_table.py` reads `labels.csv`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np
from PIL import Image, ImageOps

from ..errors import DataError
from ..plugin_api import Dataset, Interpolation, Labels
from ..progress import Reporter, Silent
from .label_table import TABLE_NAME, LabelTable, as_labels, read_table
from .scanning import THREADS, hash_files, one_source, scan, unreadable

__all__ = ["FileDataset", "FolderDataset", "open_folder", "read_image", "split_by_content"]

TEST_FRACTION = 0.1
VALIDATION = ("val", "valid", "validation")

# Files whose sizes say how large the images of a folder are.
MEASURED_FILES = 64


class FileDataset(Dataset):
    """Images in files, read on request; items are in the order of `files`, whose paths are relative to `folder`."""

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
        self.name = name
        self.labels = labels
        self.splits = splits
        self.sources = sources
        self.fingerprint = fingerprint
        self._folder = folder
        self._files = files
        self.native_size = self._median_side()

    @classmethod
    def of_folder(cls, name: str, folder: Path, report: Reporter, photo: Callable[[str], str] | None = None) -> Self:
        """Make a dataset from the folder's layout and its `labels.csv`; every file is hashed once.

        Files with equal bytes share a source (the first of them), and so do files that `photo` maps to one name.
        Where nothing declares the splits, `split_by_content` makes them. Raises DataError when the folder is missing,
        has no images, has an empty file, or has a `labels.csv` that cannot be used.
        """
        files = scan(folder)
        digests = hash_files(folder, files, report)
        sources = one_source(digests, *([] if photo is None else [[photo(file) for file in files]]))
        table = read_table(folder, files) if (folder / TABLE_NAME).is_file() else LabelTable({}, None, "")
        above = _split_folders(files)
        labels = table.columns if table.digest else _class_labels(files, below=above is not None)
        if table.splits is not None:
            splits = table.splits
            _check_declared(folder, files, sources, splits)
        elif above is not None:
            splits = _apart(folder, files, sources, above, report)
        else:
            splits = split_by_content(digests, sources, labels.get("class"))
        lines = [table.digest, *(f"{file}\0{digest}" for file, digest in zip(files, digests, strict=True))]
        fingerprint = hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
        return cls(name, folder, files, labels, splits, sources, fingerprint)

    def images(self, indices: np.ndarray, size: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        """Return items `indices` (B,) as uint8 (B, size, size, 3), as `read_image` reads them."""
        paths = [self._folder / self._files[int(index)] for index in indices]
        batch = np.empty((len(paths), size, size, 3), dtype=np.uint8)
        # Pillow decodes and resizes without the interpreter lock; map raises the first failure in the batch's order.
        with ThreadPoolExecutor(THREADS) as pool:
            for row, image in zip(
                batch, pool.map(lambda path: read_image(path, size, interpolation), paths), strict=True
            ):
                row[...] = image
        return batch

    def path(self, index: int) -> str:
        """Return the file of item `index`."""
        return str(self._folder / self._files[index])

    def _median_side(self) -> int:
        chosen = np.unique(np.linspace(0, len(self._files) - 1, MEASURED_FILES).astype(int))
        return int(np.median([_short_side(self._folder / self._files[int(index)]) for index in chosen]))


class FolderDataset(FileDataset):
    """A folder of images that the user names by its path."""


def open_folder(path: str | Path, report: Reporter | None = None) -> FolderDataset:
    """Open a folder of images; layouts and errors as `FileDataset.of_folder`."""
    folder = Path(path).expanduser()
    return FolderDataset.of_folder(str(folder), folder, report or Silent())


def split_by_content(keys: Sequence[str], sources: np.ndarray, classes: Labels | None) -> dict[str, np.ndarray]:
    """Make a tenth of the sources of every class the test split: those with the smallest keys (hex digests of items).

    The choice thus depends on content alone. A class of two sources or more has at least one in `test`; the largest key
    never goes there, so `train` has an image. Without discrete classes all items count as one class.
    """
    chosen: set[int] = set()
    values = np.zeros(len(sources), dtype=np.int64)
    if classes is not None and not classes.continuous:
        values = classes.values
    for value in np.unique(values):
        distinct = sorted(np.unique(sources[values == value]).tolist(), key=lambda source: keys[int(source)])
        if len(distinct) > 1:
            chosen.update(distinct[: max(1, round(TEST_FRACTION * len(distinct)))])
    is_test = np.isin(sources, sorted(chosen))
    return {"train": np.flatnonzero(~is_test), "test": np.flatnonzero(is_test)}


def read_image(path: Path, size: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
    """Read one image file as uint8 (size, size, 3) sRGB: upright by EXIF, alpha over white, centre square, resized.

    Cutting the centre square first and resizing it is the same as resizing the short side and cropping.
    Raises DataError naming the file when it cannot be read whole.
    """
    try:
        with Image.open(path) as opened:
            image = _as_rgb(ImageOps.exif_transpose(opened))
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        if side == size:
            # Whole pixels stay whole: a half-pixel shift would blur an image that already has the right size.
            left, top = int(left), int(top)
        box = (left, top, left + side, top + side)
        return np.asarray(image.resize((size, size), Image.Resampling[interpolation.upper()], box=box))
    except MemoryError:
        raise
    except Exception as cause:
        raise unreadable(path, cause) from cause


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        # Pillow's own conversion clips 16-bit greys at 255.
        grey = np.asarray(image).astype(np.float64) * (255 / 65535)
        return Image.fromarray(np.rint(grey.clip(0, 255)).astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _short_side(path: Path) -> int:
    try:
        with Image.open(path) as opened:
            return min(opened.size)
    except Exception as cause:
        raise unreadable(path, cause) from cause


def _split_folders(files: Sequence[str]) -> dict[str, np.ndarray] | None:
    """Return the splits that first-level folders called train, test and val declare, or None where they do not.

    With a test folder, val belongs to the training images; without one, val is the test split.
    """
    tops = [PurePosixPath(file).parts[0].lower() for file in files]
    names = set(tops)
    # An image beside the folders adds its own name to the set, which rules this layout out.
    if "train" not in names or not names - {"train"} <= {"test", *VALIDATION} or len(names) < 2:
        return None
    held_out = {"test"} if "test" in names else set(VALIDATION)
    is_test = np.array([top in held_out for top in tops])
    return {"train": np.flatnonzero(~is_test), "test": np.flatnonzero(is_test)}


def _class_labels(files: Sequence[str], below: bool) -> dict[str, Labels]:
    """Take classes from the first folder of each path, or from the second (`below` the splits' folders)."""
    parts = [PurePosixPath(file).parts[int(below) :] for file in files]
    if any(len(part) == 1 for part in parts):
        return {}
    return {"class": as_labels([part[0] for part in parts])}


def _check_declared(folder: Path, files: Sequence[str], sources: np.ndarray, splits: dict[str, np.ndarray]) -> None:
    train = {int(sources[index]): files[index] for index in splits["train"]}
    for index in splits["test"]:
        if twin := train.get(int(sources[index])):
            raise DataError(
                f"{folder / TABLE_NAME}: {twin} (train) and {files[index]} (test) are the same image: "
                "give both the same split"
            )


def _apart(
    folder: Path, files: Sequence[str], sources: np.ndarray, splits: dict[str, np.ndarray], report: Reporter
) -> dict[str, np.ndarray]:
    """Leave test images that are training images, too, out of the test split, with a warning."""
    train, test = splits["train"], splits["test"]
    twins = np.isin(sources[test], sources[train])
    if twins.any():
        report.warn(
            f"{int(twins.sum())} of {len(test)} test images of {folder} are training images, too, and are left out of "
            f"the test split, such as {files[test[twins][0]]}"
        )
    return {"train": train, "test": test[~twins]}
