"""Datasets: `open_dataset` takes a registered name or the path of a folder of images.

embedded.py          digits, colordigits: scikit-learn's handwritten digits, no download
torchvision_sets.py  mnist, fashionmnist, cifar10, colormnist: torchvision layouts under the data root
folder.py            a path: class subfolders, flat, or with a labels.csv
arrays.py            what the first two are made of: images in memory, with or without a colour per item
latents.py           every item encoded once

All are reached by name through the registry, as a plugin's are; only a path needs no registration.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError, PluginError, UsageError
from ..plugin_api import Dataset, is_path
from ..progress import Reporter
from ..registry import find

__all__ = ["open_dataset"]


def open_dataset(name_or_path: str, data_root: Path | None = None, report: Reporter | None = None) -> Dataset:
    """Open the dataset registered as `name_or_path`, else the folder of images of that path.

    A registered name wins over a folder of the same name; `./digits` is always the folder.
    Raises UsageError for a name nobody knows, PluginError for a broken plugin and DataError for unfit data.
    """
    try:
        found = find("datasets", name_or_path)
    except PluginError:
        raise
    except UsageError as unknown:
        if not is_path(name_or_path) and not Path(name_or_path).expanduser().exists():
            raise UsageError(f"{unknown} (or give the path of a folder of images)") from None
        from .folder import open_folder

        return open_folder(name_or_path, report)
    dataset = found.factory(data_root, found.argument)
    if not isinstance(dataset, Dataset):
        raise DataError(f"plugin {found.name!r} made a {type(dataset).__name__} instead of a Dataset")
    return dataset
