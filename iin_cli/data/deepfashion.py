"""`deepfashion`: people in clothes, several pictures per item (DeepFashion's In-shop Clothes Retrieval benchmark).

Two pictures of one item share its appearance and differ in the person's pose, so the concept `label:item` is the
clothing (Liu et al., CVPR 2016).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import DataError
from ..io.paths import data_root as resolve_root
from ..progress import Reporter, Silent
from .checking import check_images
from .folder import FileDataset
from .label_table import as_labels
from .list_files import ListFile, check_against, first_there, listed_fingerprint, not_placed, read_list
from .scanning import one_source, scan
from .splits import split_by_content

__all__ = ["open_deepfashion"]

FOLDERS = ("deepfashion", "DeepFashion")
IMAGES = ("Img/img", "img", "Img/img_highres", "img_highres")
LISTS = ("Eval/list_eval_partition.txt", "Anno/list_eval_partition.txt", "list_eval_partition.txt")
SOURCE = "mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html (for non-commercial research, by agreement)"
SPLIT_OF = {"train": "train", "query": "test", "gallery": "test"}
LAYOUT = "WOMEN/Dresses/id_00000002/02_1_front.jpg"


def open_deepfashion(
    data_root: Path | None = None, report: Reporter | None = None, *, skip_bad: bool = False
) -> FileDataset:
    """Open the benchmark below `deepfashion` in the data root.

    Labels: `item` (`id_00000002`), `class` (`WOMEN/Dresses`) and `pose` (front, side, back, full, additional, flat),
    the last word of the file's name. Training items are those of `Eval/list_eval_partition.txt`, the test split is its
    queries and gallery together; without the list a tenth of the items of every class is the test split. Every image is
    decoded once; those that cannot be read are left out with `skip_bad`.
    Raises DataError for a missing set, an image that cannot be read, another layout, and a list that does not agree
    with the images.
    """
    root = resolve_root(data_root)
    folder = first_there(root, FOLDERS) or root / FOLDERS[0]
    images = first_there(folder, IMAGES)
    if images is None:
        layout = f"{folder / IMAGES[0]}/{LAYOUT} and {folder / LISTS[0]}"
        raise not_placed("deepfashion", folder / IMAGES[0], SOURCE, layout)
    there = scan(images, report)
    # The layout and the list are cheaper to look at than the images.
    for file in there.files:
        _parts(images, file)
    place = first_there(folder, LISTS)
    rows = None
    if place is not None:
        rows = _below_images(read_list(place, words=2))
        check_against(rows, there.files, images)
    checked = check_images(images, there, report or Silent(), skip_bad)
    files = checked.files
    parts = [_parts(images, file) for file in files]
    labels = {"class": as_labels(["/".join(part[:-2]) for part in parts])}
    labels["pose"] = as_labels([PurePosixPath(part[-1]).stem.rpartition("_")[2] for part in parts])
    if rows is None:
        items, lists = [part[-2] for part in parts], []
        keys = [hashlib.sha256(item.encode()).hexdigest() for item in items]
        splits = split_by_content(keys, one_source(items), labels["class"])
    else:
        items, splits, lists = [rows.rows[file][0] for file in files], _splits(rows, files), [rows]
    labels = {"item": as_labels(items), **labels}
    fingerprint = listed_fingerprint(checked, files, lists)
    made = FileDataset("deepfashion", images, files, labels, splits, np.arange(len(files)), fingerprint)
    return made.as_checked(checked)


def _parts(images: Path, file: str) -> tuple[str, ...]:
    parts = PurePosixPath(file).parts
    if len(parts) < 3 or "_" not in parts[-1]:
        raise DataError(f"{images / file} does not follow the layout {images.name}/{LAYOUT}: move or remove it")
    return parts


def _below_images(listed: ListFile) -> ListFile:
    """Drop the first folder of every name: the list says `img/…` whichever resolution was fetched."""
    return replace(listed, rows={name.partition("/")[2]: row for name, row in listed.rows.items()})


def _splits(listed: ListFile, files: Iterable[str]) -> dict[str, np.ndarray]:
    for file in files:
        if (status := listed.rows[file][1]) not in SPLIT_OF:
            raise DataError(f"{listed.path}: {file} is {status!r}, not train, query or gallery: fetch the file again")
    column = np.array([SPLIT_OF[listed.rows[file][1]] for file in files])
    return {split: np.flatnonzero(column == split) for split in ("train", "test")}
