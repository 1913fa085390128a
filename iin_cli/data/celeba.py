"""`celeba`: 202,599 faces of celebrities with 40 attributes (Liu et al., ICCV 2015), as torchvision lays them out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DataError
from ..io.paths import data_root as resolve_root
from ..plugin_api import Labels
from ..progress import Reporter, Silent
from .checking import check_images
from .folder import FileDataset
from .list_files import ListFile, check_against, listed_fingerprint, not_placed, read_list, without
from .scanning import scan

__all__ = ["open_celeba"]

IMAGES, ATTRIBUTES, PARTITION, IDENTITY = (
    "img_align_celeba",
    "list_attr_celeba.txt",
    "list_eval_partition.txt",
    "identity_CelebA.txt",
)
SOURCE = "mmlab.ie.cuhk.edu.hk/projects/CelebA.html (for non-commercial research)"
# Training, validation, test, as the list numbers them; validation images belong to the training split.
PARTITIONS = ("0", "1", "2")


def open_celeba(
    data_root: Path | None = None, report: Reporter | None = None, *, skip_bad: bool = False
) -> FileDataset:
    """Open `celeba` of the data root: one label per attribute, `no` or `yes`, named as in the list's header.

    With `identity_CelebA.txt` there is a label `identity`, too. Splits are those of `list_eval_partition.txt`. Every
    image is decoded once; those that cannot be read are left out with `skip_bad`, their lines too.
    Raises DataError for a missing file, an image that cannot be read, and for lists that do not agree with each other
    or with the images.
    """
    folder = resolve_root(data_root) / "celeba"
    for part in (IMAGES, ATTRIBUTES, PARTITION):
        if not (folder / part).exists():
            layout = f"{folder / IMAGES}/*.jpg beside {ATTRIBUTES}, {PARTITION} and optionally {IDENTITY}"
            raise not_placed("celeba", folder / part, SOURCE, layout)
    attributes = read_list(folder / ATTRIBUTES)
    partition = read_list(folder / PARTITION, words=1, headed=False)
    there = scan(folder / IMAGES, report)
    check_against(attributes, there.files, folder / IMAGES)
    check_against(partition, attributes.rows, attributes.path)
    checked = check_images(folder / IMAGES, there, report or Silent(), skip_bad)
    attributes = without(attributes, checked.left_out)
    files = list(attributes.rows)
    labels, lists = _attributes(attributes), [attributes, partition]
    if (folder / IDENTITY).exists():
        identity = read_list(folder / IDENTITY, words=1, headed=False)
        check_against(identity, partition.rows, attributes.path)
        numbers = np.unique([identity.rows[file][0] for file in files], return_inverse=True)[1]
        labels["identity"] = Labels(numbers.astype(np.int64))
        lists.append(identity)
    fingerprint = listed_fingerprint(checked, files, lists)
    splits = _splits(partition, files)
    made = FileDataset("celeba", folder / IMAGES, files, labels, splits, np.arange(len(files)), fingerprint)
    return made.as_checked(checked)


def _attributes(listed: ListFile) -> dict[str, Labels]:
    for file, row in listed.rows.items():
        if not {"1", "-1"}.issuperset(row):
            odd = next(word for word in row if word not in ("1", "-1"))
            raise DataError(f"{listed.path}: an attribute of {file} is {odd!r}, not 1 or -1: fetch the file again")
    has = np.array([[word == "1" for word in row] for row in listed.rows.values()])
    return {name: Labels(has[:, place].astype(np.int64), ("no", "yes")) for place, name in enumerate(listed.header)}


def _splits(listed: ListFile, files: list[str]) -> dict[str, np.ndarray]:
    numbers = [listed.rows[file][0] for file in files]
    for file, number in zip(files, numbers, strict=True):
        if number not in PARTITIONS:
            raise DataError(f"{listed.path}: the partition of {file} is {number!r}, not 0, 1 or 2: fetch it again")
    is_test = np.array(numbers) == PARTITIONS[-1]
    return {"train": np.flatnonzero(~is_test), "test": np.flatnonzero(is_test)}
