"""`animalfaces`: faces of animals cut out of ImageNet, one folder per kind (FUNIT, Liu et al., ICCV 2019)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ..io.paths import data_root as resolve_root
from ..progress import Reporter, Silent
from .folder import FileDataset
from .list_files import first_there, not_placed

__all__ = ["find_animalfaces", "open_animalfaces"]

# The whole set is preferred to the selection of ten kinds.
FOLDERS = ("animalfaces", "AnimalFaces", "animalfaces10")
SOURCE = (
    "the FUNIT project, github.com/NVlabs/FUNIT, whose script cuts the faces out of ImageNet's images "
    "(for non-commercial research)"
)


def find_animalfaces(data_root: Path | None = None) -> Path | None:
    """Return the set's folder in the data root, or None."""
    return first_there(resolve_root(data_root), FOLDERS)


def open_animalfaces(
    data_root: Path | None = None, report: Reporter | None = None, *, skip_bad: bool = False
) -> FileDataset:
    """Open the class folders below `animalfaces` or `animalfaces10` in the data root; label `class`.

    `train` and `test` folders above the classes are the splits, else a tenth of every class is the test split. Faces
    cut out of one photograph share a source and a split: `n02128757_5870.JPEG_243_74_395_216.jpg` is from photograph
    n02128757_5870.
    """
    folder = find_animalfaces(data_root)
    if folder is None:
        root = resolve_root(data_root)
        layout = f"{root / FOLDERS[0]}/CLASS/*.jpg, with or without train and test above the classes"
        raise not_placed("animalfaces", root / FOLDERS[0], SOURCE, layout)
    return FileDataset.of_folder("animalfaces", folder, report or Silent(), _photograph, skip_bad)


def _photograph(file: str) -> str:
    name = PurePosixPath(file).name
    photograph, cut, _ = name.partition(".JPEG_")
    # Other names may stand for different pictures in different folders.
    return photograph if cut else file
