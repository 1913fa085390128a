"""A folder of images as a dataset: class subfolders, flat, or with a `labels.csv`.

Classes are the first-level subfolders (deeper nesting is free); with images beside the subfolders, or none of these,
there are no labels. `label_table.py` reads `labels.csv`. Every format that Pillow reads, in any case of extension;
hidden files and folders are passed over.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from ..errors import DataError
from ..plugin_api import Dataset, Interpolation, Labels
from ..progress import Reporter, Silent
from .label_table import TABLE_NAME, as_labels, read_table

__all__ = ["FolderDataset", "open_folder", "read_image"]

TEST_FRACTION = 0.1
THREADS = min(8, os.cpu_count() or 1)
# Formats that Pillow knows by sight but cannot decode: an .h5 or .mpg beside the images is no image.
UNDECODABLE = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}


class FolderDataset(Dataset):
    """Images in files, read when they are asked for; items are in the order of their relative paths.

    Files with equal bytes share a source (the first of them) and a split.
    """

    def __init__(
        self,
        folder: Path,
        files: list[str],
        digests: list[str],
        labels: dict[str, Labels],
        splits: dict[str, np.ndarray],
        fingerprint: str,
    ) -> None:
        self.name = str(folder)
        self.labels = labels
        self.splits = splits
        self.sources = _first_equal(digests)
        self.fingerprint = fingerprint
        self._folder = folder
        self._files = files
        self.native_size = self._median_side()

    def images(self, indices: np.ndarray, size: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        """Return items `indices` (B,) as uint8 (B, size, size, 3), as `read_image` reads them."""
        paths = [self._folder / self._files[index] for index in indices]
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

    def _median_side(self, sample: int = 64) -> int:
        chosen = np.unique(np.linspace(0, len(self._files) - 1, sample).astype(int))
        return int(np.median([_short_side(self._folder / self._files[index]) for index in chosen]))


def open_folder(path: str | Path, report: Reporter | None = None) -> FolderDataset:
    """Open a folder of images; every file is hashed once (by 8 threads at most).

    Without a `split` column, a tenth of the distinct images (of each class, if there are classes, and at least one
    where there are two) is the test split: those whose sha256 is smallest, so the choice depends on content alone.
    Raises DataError when the folder is missing, has no images, has an empty file, or has an unfit `labels.csv`.
    """
    folder = Path(path).expanduser()
    files = _scan(folder)
    digests = _hash_all(folder, files, report or Silent())
    if (folder / TABLE_NAME).is_file():
        table = read_table(folder, files)
        labels = {column: as_labels(values) for column, values in table.columns.items()}
        splits, table_digest = table.splits, table.digest
        if splits is not None:
            _check_declared(folder, files, digests, splits)
    else:
        labels, splits, table_digest = _class_labels(files), None, ""
    if splits is None:
        classes = labels["class"].values if "class" in labels else np.zeros(len(files), dtype=np.int64)
        splits = _split_by_content(digests, classes)
    lines = [table_digest, *(f"{file}\0{digest}" for file, digest in zip(files, digests, strict=True))]
    fingerprint = hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    return FolderDataset(folder, files, digests, labels, splits, fingerprint)


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
        raise _unreadable(path, cause) from cause


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
        raise _unreadable(path, cause) from cause


def _unreadable(path: Path, cause: Exception) -> DataError:
    reason = "not an image that Pillow knows" if isinstance(cause, Image.UnidentifiedImageError) else cause
    return DataError(f"image {path} cannot be read ({' '.join(str(reason).split())}): mend or remove it")


def _extensions() -> set[str]:
    Image.init()
    known = Image.registered_extensions().items()
    # MPO files (two JPEGs in one) are opened by the JPEG reader and so are no format of their own to it.
    return {end for end, name in known if (name in Image.OPEN or name == "MPO") and name not in UNDECODABLE}


def _scan(folder: Path) -> list[str]:
    """Return the image files below `folder` as sorted relative paths with forward slashes."""
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {found}: give a folder of images")
    known = _extensions()
    files = sorted(file for file in _walk(folder) if PurePosixPath(file).suffix.lower() in known)
    if not files:
        raise DataError(f"{folder} has no images: Pillow reads .jpg, .png, .webp and {len(known) - 3} more extensions")
    return files


def _walk(folder: Path) -> Iterator[str]:
    seen = set()
    for root, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        # Links are followed, since class folders often are links; one that leads back would never end.
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        base = Path(root).relative_to(folder)
        yield from ((base / file).as_posix() for file in files if not file.startswith("."))


def _refuse(problem: OSError) -> None:
    raise DataError(f"folder {problem.filename} cannot be listed ({problem.strerror}): allow reading it") from problem


def _hash_all(folder: Path, files: list[str], report: Reporter) -> list[str]:
    digests = []
    with report.task("hash images", len(files), "images") as task, ThreadPoolExecutor(THREADS) as pool:
        for digest in pool.map(lambda file: _hash(folder / file), files):
            digests.append(digest)
            task.advance()
    return digests


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size == 0:
                raise DataError(f"image {path} is empty (0 bytes): mend or remove it")
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as cause:
        raise _unreadable(path, cause) from cause


def _first_equal(digests: list[str]) -> np.ndarray:
    first: dict[str, int] = {}
    return np.array([first.setdefault(digest, index) for index, digest in enumerate(digests)], dtype=np.int64)


def _class_labels(files: list[str]) -> dict[str, Labels]:
    tops = [PurePosixPath(file).parts for file in files]
    if any(len(parts) == 1 for parts in tops):
        return {}
    return {"class": as_labels([parts[0] for parts in tops])}


def _split_by_content(digests: list[str], classes: np.ndarray) -> dict[str, np.ndarray]:
    """Send the smallest digests of every class to `test`; the largest never goes, so `train` has an image."""
    chosen: set[str] = set()
    for value in np.unique(classes):
        distinct = sorted({digests[index] for index in np.flatnonzero(classes == value)})
        if len(distinct) > 1:
            chosen.update(distinct[: max(1, round(TEST_FRACTION * len(distinct)))])
    is_test = np.array([digest in chosen for digest in digests])
    return {"train": np.flatnonzero(~is_test), "test": np.flatnonzero(is_test)}


def _check_declared(folder: Path, files: list[str], digests: list[str], splits: dict[str, np.ndarray]) -> None:
    train = {digests[index]: files[index] for index in splits["train"]}
    for index in splits["test"]:
        if twin := train.get(digests[index]):
            raise DataError(
                f"{folder / TABLE_NAME}: {twin} (train) and {files[index]} (test) are the same image: "
                "give both one split"
            )
