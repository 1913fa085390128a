"""`cueconflict`: pictures with the shape of one thing in the texture of another (Geirhos et al., ICLR 2019).

A file is called `cat7-clock2.png`: the shape of the picture cat7 in the texture of the picture clock2. What a network
calls such a picture tells whether it goes by shape or by texture.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..io.paths import data_root as resolve_root
from ..plugin_api import Labels
from ..progress import Reporter, Silent
from .folder import FileDataset
from .label_table import as_labels
from .list_files import first_there
from .scanning import one_source
from .splits import split_by_content

__all__ = ["imagenet_groups", "open_cueconflict"]

FOLDERS = ("cueconflict", "cue-conflict", "texture-vs-shape/stimuli/style-transfer-preprocessed-512")
SOURCE = "github.com/rgeirhos/texture-vs-shape, folder stimuli/style-transfer-preprocessed-512 (CC BY 4.0)"
NAME = re.compile(r"([a-z]+)(\d+)-([a-z]+)(\d+)")
# "16-class-ImageNet" (Geirhos et al., NeurIPS 2018): the numbers of ImageNet's 1,000 classes that are kinds of each.
IMAGENET = {
    "airplane": "404",
    "bear": "294-297",
    "bicycle": "444 671",
    "bird": "8 10-16 18-20 22-24 80-83 87-96 98-100 127-133 135-145",
    "boat": "472 554 625 814 914",
    "bottle": "440 720 737 898 899 901 907",
    "car": "436 511 817",
    "cat": "281-286",
    "chair": "423 559 765 857",
    "clock": "409 530 892",
    "dog": "152-191 193-203 205-226 228-241 243-250 252-257 259 261-263 265-268",
    "elephant": "385 386",
    "keyboard": "508 878",
    "knife": "499",
    "oven": "766",
    "truck": "555 569 656 675 717 734 864 867",
}


def open_cueconflict(
    data_root: Path | None = None, report: Reporter | None = None, *, skip_bad: bool = False
) -> FileDataset:
    """Open the pictures below `cueconflict` in the data root, flat or in the authors' folders.

    Labels: `shape` and `texture`, both with the names of all kinds, `shape_image` and `texture_image`, the pictures
    they came from. The test split has about a tenth of the pictures that shapes came from, so that no test picture has
    the outline of a training picture; every texture is in both. Raises DataError for a missing set and for a file of
    another name.
    """
    root = resolve_root(data_root)
    folder = first_there(root, FOLDERS)
    if folder is None:
        raise DataError(
            f"cueconflict is not at {root / FOLDERS[0]}: get it from {SOURCE} and place it there, or give the folder "
            "that holds it with --data-root"
        )
    dataset = FileDataset.of_folder("cueconflict", folder, report or Silent(), skip_bad=skip_bad)
    cues = [_cues(dataset.file(item)) for item in range(len(dataset.sources))]
    kinds = sorted({kind for (shape, _), (texture, _) in cues for kind in (shape, texture)})
    number = {kind: place for place, kind in enumerate(kinds)}
    pictures = ["".join(shape) for shape, _ in cues]
    dataset.labels = {
        "shape": Labels(np.array([number[shape] for (shape, _), _ in cues], np.int64), tuple(kinds)),
        "texture": Labels(np.array([number[texture] for _, (texture, _) in cues], np.int64), tuple(kinds)),
        "shape_image": as_labels(pictures),
        "texture_image": as_labels(["".join(texture) for _, texture in cues]),
    }
    keys = [hashlib.sha256(picture.encode()).hexdigest() for picture in pictures]
    dataset.splits = split_by_content(keys, one_source(pictures), dataset.labels["shape"])
    return dataset


def imagenet_groups(kinds: Sequence[str], classes: Sequence[str]) -> list[list[int]] | None:
    """Return the places among `classes` of what is each of `kinds`; None where these are not ImageNet's 1,000 classes.

    >>> imagenet_groups(["bear", "oven"], ["tench", "goldfish"]) is None
    True
    """
    if len(classes) != 1000 or classes[0] != "tench" or not set(kinds) <= IMAGENET.keys():
        return None
    return [_numbers(IMAGENET[kind]) for kind in kinds]


def _numbers(ranges: str) -> list[int]:
    ends = [part.partition("-") for part in ranges.split()]
    return [number for first, _, last in ends for number in range(int(first), int(last or first) + 1)]


def _cues(file: Path) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return (kind, number) of the picture that the shape came from, and of the texture's."""
    found = NAME.fullmatch(file.stem)
    if found is None:
        raise DataError(f"{file} is not called like cat7-clock2.png, shape and texture: rename or remove it")
    shape, of_shape, texture, of_texture = found.groups()
    return (shape, of_shape), (texture, of_texture)
