"""Datasets: `open_dataset` takes a registered name or the path of a folder of images.

embedded.py          digits, colordigits: scikit-learn's handwritten digits, no download
shapes.py            shapes: drawn on request, every parameter known (drawing.py draws)
torchvision_sets.py  mnist, fashionmnist, cifar10, colormnist: torchvision layouts under the data root
animal_faces.py      animalfaces: class folders under the data root
celeba.py            celeba: torchvision's layout; deepfashion.py: the in-shop layout (list_files.py reads their lists)
cue_conflict.py      cueconflict: shapes in the texture of other things, and which classes of ImageNet these are
folder.py            a path: class subfolders, flat, or with a labels.csv (label_table.py); scanning.py finds the files,
                     checking.py looks at each once, splits.py makes or recognises the splits
contract.py          what a plugin's dataset must be
arrays.py            images in memory, with or without a colour per item

All are reached by name through the registry, like those of a plugin; only a path needs no registration.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import PluginError, UsageError
from ..plugin_api import Dataset, is_path
from ..progress import Reporter
from ..registry import FIRST_PARTY, find
from .contract import breach_of

__all__ = ["open_dataset"]


def open_dataset(
    name_or_path: str, data_root: Path | None = None, report: Reporter | None = None, skip_bad: bool = False
) -> Dataset:
    """Open the dataset registered as `name_or_path`, else the folder of images of that path.

    A registered name wins over a folder of the same name; `./digits` is always the folder. A factory with a parameter
    `report` receives the reporter of progress; one with `skip_bad` is told whether images that cannot be read are left
    out rather than refused.
    Raises UsageError for an unknown name, PluginError for a broken plugin and DataError for unusable data.
    """
    try:
        found = find("datasets", name_or_path, report)
    except PluginError:
        raise
    except UsageError as unknown:
        # A name of a plugin that is not installed may hold a path: `tar:data/shards.tar`.
        is_guest = ":" in name_or_path and name_or_path.partition(":")[0] in FIRST_PARTY["datasets"]
        if not Path(name_or_path).expanduser().exists() and (is_guest or not is_path(name_or_path)):
            raise UsageError(f"{unknown} (or give the path of a folder of images)") from None
        from .folder import open_folder

        return open_folder(name_or_path, report, skip_bad)
    dataset = found.make(data_root, report=report, skip_bad=skip_bad)
    if not found.is_built_in:
        with found.blamed("fails over its first image"):
            breach = breach_of(dataset)
        if breach is not None:
            raise found.fault("breaks the contract of a dataset", breach)
    return dataset
