"""Datasets that come with scikit-learn, so that everything works offline: `digits` and `colordigits`."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..plugin_api import Dataset, Labels
from .arrays import ArrayDataset, ColoredDataset, resize, stratified_split

__all__ = ["open_colordigits", "open_digits"]

TEST_FRACTION = 0.2
COLORS_PER_DIGIT = 16
SPLIT_SEED = 1797
COLOR_SEED = 2020


def open_digits(data_root: Path | None = None) -> ArrayDataset:
    """Open the 1,797 handwritten digits of UCI, white on black, 8² enlarged (bicubic) to 32².

    Labels `digit` and `class`. A fifth of the images of every digit is the test split.
    """
    values, digits = _read_digits()
    small = np.rint(values.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    label = Labels(digits.astype(np.int64), tuple(str(digit) for digit in range(10)))
    splits = stratified_split(label.values, TEST_FRACTION, SPLIT_SEED)
    return ArrayDataset("digits", resize(small, 32), {"digit": label, "class": label}, splits)


def _read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits (1797, 64) in 0 … 16, and which digit each is (1797,), from its own file.

    Importing scikit-learn for it takes as long as importing torch.
    """
    found = find_spec("sklearn")
    if found is not None and found.origin is not None:
        with suppress(OSError, ValueError):
            table = np.loadtxt(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
            return table[:, :-1], table[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits

    values, digits = load_digits(return_X_y=True)
    return np.asarray(values), np.asarray(digits, np.int64)


def open_colordigits(data_root: Path | None = None) -> Dataset:
    """Open `digits` with every digit drawn in 16 colours: 28,752 items, labels `digit`, `class` and `color`.

    Item i shows image i // 16 of `digits`. Colours are U[0, 1]³, each on 8 or 9 items that show different images
    (`draw_colors`). All renderings of one image are in one split.
    """
    base = open_digits(data_root)
    sources = np.repeat(base.sources, COLORS_PER_DIGIT)
    # One round holds every image of a split once, so no colour is drawn twice on the same image.
    rounds = [base.splits[split] * COLORS_PER_DIGIT + r for split in ("train", "test") for r in range(COLORS_PER_DIGIT)]
    return ColoredDataset("colordigits", base, sources, rounds, COLOR_SEED)
