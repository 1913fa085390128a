"""Find errors in options that need no tensors before torch is imported: in half a second and not in five.

What passes here is checked again where it is used, with all that is known there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import CheckpointError
from ..hub.address import HubAddress, is_address
from .home import expanded

__all__ = [
    "known_backbone",
    "known_data",
    "known_device",
    "known_factors",
    "known_log",
    "known_network",
    "known_translator",
]


def known_translator(path: Path | None) -> Path | None:
    """Return the path of a translator; CheckpointError for a file that is missing, damaged, or something else."""
    from ..io import checkpoint

    if path is not None and is_address(path):
        # What is there is looked at when it is fetched.
        HubAddress.parse(path)
    elif path is not None:
        checkpoint.describe(expanded(path), "translator")
    return path


def known_network(name: str | None) -> str | None:
    """Return what a network is called; UsageError for an unknown name, CheckpointError for a path to nothing."""
    if name is None or expanded(Path(name)).exists():
        return name
    if is_address(name):
        HubAddress.parse(name)
        return name
    if Path(name).suffix.lower() == ".safetensors" or "/" in name:
        raise CheckpointError(f"no such backbone checkpoint: {name}")
    return known_backbone(name)


def known_backbone(name: str) -> str:
    """Return the registered name of a network; UsageError for an unknown one, or for a model that torchvision lacks."""
    from ..guests.declared import require_torchvision_name, torchvision_names
    from ..registry import find, is_known

    if not any(is_known("backbones", word) for word in name.split(":")):
        # It says what is wrong; what it finds in spite of all that is found again.
        find("backbones", name)
    family, _, model = name.partition(":")
    # Where its source is not found, torchvision itself says so later.
    if family == "torchvision" and model and (known := torchvision_names()):
        require_torchvision_name(model, known)
    return name


def known_data(name: str | None) -> str | None:
    """Return what data are called; UsageError for an unknown name, DataError for a path that leads nowhere."""
    from ..registry import names

    if name is not None and not expanded(Path(name)).exists() and not {*name.split(":")} & {*names("datasets")}:
        from ..data import open_dataset

        # It says what is wrong; what a plugin made of the name in spite of all that is opened again.
        open_dataset(name)
    return name


def known_device(word: str) -> str:
    """Return the word for a device; UsageError for one that no machine has."""
    from ..distributed import require_device_word

    require_device_word(word)
    return word


def known_log(word: str | None) -> str | None:
    """Return what `--log` names; UsageError for an unknown word, or a package that is not installed."""
    from ..training.log_files import require_log

    return require_log(word)


def known_factors(translator: Path, names: Sequence[str]) -> None:
    """Raise UsageError for a name that is no factor of a translator."""
    from ..editing.described import described_factors

    factors = described_factors(translator)
    for name in names:
        factors.slice(name)
