"""Datasets that torchvision reads: `mnist`, `fashionmnist`, `cifar10`, and `colormnist`, which colours `mnist`.

They lie under the data root in torchvision's layout, and are downloaded there when they are missing.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, ResourceError
from ..io.paths import data_root as resolve_root
from ..plugin_api import Labels
from .arrays import ArrayDataset, ColoredDataset

__all__ = ["open_cifar10", "open_colormnist", "open_fashionmnist", "open_mnist"]

COLOR_SEED = 2020
IDX_FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


def open_mnist(data_root: Path | None = None) -> ArrayDataset:
    """Open MNIST: 60,000 + 10,000 digits of 28², labels `digit` and `class`.

    At size 32 an image has 2 black pixels on each side; every other size, 28 included, is that image resized.
    """
    from torchvision.datasets import MNIST

    pixels, digits, splits = _read(MNIST, "mnist", data_root, f"{MNIST.__name__}/raw", IDX_FILES)
    label = Labels(digits, tuple(str(digit) for digit in range(10)))
    return ArrayDataset("mnist", pixels, {"digit": label, "class": label}, splits, pad=2)


def open_fashionmnist(data_root: Path | None = None) -> ArrayDataset:
    """Open FashionMNIST: 60,000 + 10,000 garments of 28², label `class`; sizes as in `open_mnist`."""
    from torchvision.datasets import FashionMNIST

    folder = f"{FashionMNIST.__name__}/raw"
    pixels, classes, splits = _read(FashionMNIST, "fashionmnist", data_root, folder, IDX_FILES)
    label = Labels(classes, tuple(FashionMNIST.classes))
    return ArrayDataset("fashionmnist", pixels, {"class": label}, splits, pad=2)


def open_cifar10(data_root: Path | None = None) -> ArrayDataset:
    """Open CIFAR-10: 50,000 + 10,000 photographs of 32², label `class`."""
    from torchvision.datasets import CIFAR10

    files = (*(entry[0] for entry in (*CIFAR10.train_list, *CIFAR10.test_list)), CIFAR10.meta["filename"])
    pixels, classes, splits = _read(CIFAR10, "cifar10", data_root, CIFAR10.base_folder, files)
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    return ArrayDataset("cifar10", pixels, {"class": Labels(classes, names)}, splits)


def open_colormnist(data_root: Path | None = None) -> ColoredDataset:
    """Open ColorMNIST as the authors define it: every MNIST digit, in [-1, 1], times one colour U[0, 1]³.

    Labels `digit`, `class` and `color`. Colours are shared by groups of 8 digits of one split, so that pairs of one
    colour exist (`draw_colors` says why this leaves each image's colour uniform and independent of its digit); the
    draw has a fixed seed. `sources` are MNIST's own indices, `colors` (M, 3) the colours.
    """
    base = open_mnist(data_root)
    rounds = [base.splits["train"], base.splits["test"]]
    return ColoredDataset("colormnist", base, base.sources, rounds, COLOR_SEED)


def _read(
    kind: Any, name: str, data_root: Path | None, folder: str, files: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return images, labels (M,) and splits of torchvision's `kind`, whose `files` lie in `folder` of the root."""
    root = resolve_root(data_root)
    if not all((root / folder / file).is_file() for file in files):
        _fetch(kind, name, root, folder, files)
    try:
        # NumPy 2.4 warns about how these old pickles were written, and the user cannot change them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parts = [kind(root, train=train) for train in (True, False)]
        pixels = np.concatenate([np.asarray(part.data) for part in parts])
        labels = np.concatenate([np.asarray(part.targets, dtype=np.int64) for part in parts])
    except MemoryError:
        raise
    except Exception as cause:
        raise DataError(
            f"{name} in {root / folder} cannot be read ({_one_line(cause)}): delete that folder to download it again"
        ) from cause
    train = len(parts[0].data)
    return pixels, labels, {"train": np.arange(train), "test": np.arange(train, len(pixels))}


def _fetch(kind: Any, name: str, root: Path, folder: str, files: tuple[str, ...]) -> None:
    """Download into a temporary folder, then move into place: an interrupted download leaves no partial files."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=root) as staging:
            _adopt_archives(root, folder, kind, Path(staging))
            # torchvision prints to stdout, which is for results; its progress bar is useful on a terminal only.
            bar = sys.stderr if sys.stderr.isatty() else io.StringIO()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(bar):
                kind(staging, train=True, download=True)
            (root / folder).mkdir(parents=True, exist_ok=True)
            for file in files:
                os.replace(Path(staging, folder, file), root / folder / file)
    except Exception as cause:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(
                f"no space left in {root} to download {name}: free some, or choose --data-root"
            ) from cause
        raise DataError(
            f"{name} is not in {root / folder} and cannot be downloaded ({_one_line(cause)}): "
            f"place {', '.join(files)} there, or point --data-root or IIN_DATA_ROOT at the folder that holds {folder}"
        ) from cause


def _adopt_archives(root: Path, folder: str, kind: Any, staging: Path) -> None:
    """Copy archives that the user already placed (`*.gz`) for torchvision, which uses them if their md5 fits."""
    nested = {Path(folder, archive) for archive, _ in getattr(kind, "resources", ())}
    for archive in nested | {Path(getattr(kind, "filename", "none"))}:
        if (root / archive).is_file():
            (staging / archive).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / archive, staging / archive)


def _one_line(cause: Exception) -> str:
    text = " ".join(str(cause).split()) or type(cause).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."
