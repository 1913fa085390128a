"""Words for the parts of a data set, as people write them, and splits made of them or of the images themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..plugin_api import Labels
from ..progress import Reporter
from .packed import order_of

__all__ = ["PARTS", "apart", "split_by_content", "splits_of"]

TEST_FRACTION = 0.1
# Every spelling, in small letters, and the part it stands for.
PARTS = {
    **dict.fromkeys(("train", "training", "trn", "trainset", "train_set", "training_set"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev", "valset", "val_set", "validation_set"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "testset", "test_set", "eval", "evaluation", "holdout"), "test"),
}


def splits_of(parts: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the splits of items whose parts (train, val, test) are declared.

    With test items, val belongs to the training items; without any, val is the test split.

    >>> {name: items.tolist() for name, items in splits_of(["train", "val", "train"]).items()}
    {'train': [0, 2], 'test': [1]}
    """
    held_out = "test" if "test" in parts else "val"
    is_test = np.array([part == held_out for part in parts], dtype=bool)
    return {"train": np.flatnonzero(~is_test), "test": np.flatnonzero(is_test)}


def split_by_content(keys: Sequence[str], sources: np.ndarray, classes: Labels | None) -> dict[str, np.ndarray]:
    """Make a tenth of the sources of every class the test split: those with the smallest keys (hex digests of items).

    The choice thus depends on content alone. A class of two sources or more has at least one in `test`; the largest key
    never goes there, so `train` has an image. Without discrete classes all items count as one class.
    """
    count, values = len(sources), np.zeros(len(sources), dtype=np.int64)
    if classes is not None and not classes.continuous:
        values = classes.values
    rank = np.empty(count, np.int64)
    rank[order_of(keys)] = np.arange(count)
    # Every source once per class, by class and then by key.
    value, source = np.divmod(np.unique(values * count + sources), count)
    order = np.lexsort((rank[source], value))
    _, starts, sizes = np.unique(value[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(starts, sizes)
    wanted = np.where(sizes > 1, np.maximum(1, np.rint(TEST_FRACTION * sizes)), 0)
    is_test = np.isin(sources, source[order][place < np.repeat(wanted, sizes)])
    return {"train": np.flatnonzero(~is_test), "test": np.flatnonzero(is_test)}


def apart(
    splits: dict[str, np.ndarray], sources: np.ndarray, report: Reporter, called: str, item: Callable[[int], str]
) -> dict[str, np.ndarray]:
    """Leave test images that are training images, too, out of the test split, with a warning.

    Args:
        called: the name of the images; `item`: number -> name of one of them.
    """
    train, test = splits["train"], splits["test"]
    twins = np.isin(sources[test], sources[train])
    if twins.any():
        report.warn(
            f"{int(twins.sum())} of {len(test)} test images of {called} are training images, too, and "
            f"are left out of the test split, such as {item(int(test[twins][0]))}"
        )
    return {"train": train, "test": test[~twins]}
