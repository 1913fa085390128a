"""Open what a checkpoint or a name stands for: a backbone, a translator with its backbone, the data they know."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data import open_dataset
from ..data.animal_faces import find_animalfaces
from ..errors import CheckpointError, DataError, IinError, PluginError, UsageError
from ..io import checkpoint
from ..io.paths import data_root as default_root
from ..plugin_api import Backbone, Dataset
from ..progress import Reporter, Silent
from ..registry import find, is_known, names
from ..translator.factors import Factors
from ..translator.flow import Translator

__all__ = [
    "OpenBackbone",
    "OpenTranslator",
    "choose_root",
    "describe_data",
    "module_digest",
    "open_backbone",
    "open_data",
    "open_translator",
    "versions",
]


@dataclass(frozen=True)
class OpenBackbone:
    """A backbone ready to encode: in evaluation mode, frozen, on its device.

    Attributes:
        source: absolute path of its checkpoint, or its registered name.
        sha256: of the checkpoint file, or of the weights when it has none.
        data: what it was trained on, `{name, root, fingerprint}`; empty where its checkpoint records none, None for a
            registered name.
        weights: of a registered name: `default`, `none`, or the absolute path of a file.
        layer: where the network is cut; None where the backbone cuts it itself.
    """

    backbone: Backbone
    source: str
    sha256: str
    data: dict[str, Any] | None
    weights: str = "default"
    layer: str | None = None

    @property
    def provenance(self) -> dict[str, str | None]:
        """What a translator remembers of its backbone."""
        return {
            "name": self.backbone.name,
            "source": self.source,
            "sha256": self.sha256,
            "weights": self.weights,
            "layer": self.layer,
        }


@dataclass(frozen=True)
class OpenTranslator:
    """A translator ready to use, with its factors, its metadata and, unless it was fitted without one, its backbone."""

    path: Path
    translator: Translator
    factors: Factors
    metadata: dict[str, Any]
    open_backbone: OpenBackbone | None
    device: torch.device

    @property
    def backbone(self) -> Backbone:
        """The backbone; UsageError when the translator was fitted to latents alone."""
        if self.open_backbone is None:
            raise UsageError(
                f"{self.path} was fitted to latents without a backbone: use `iin translate`, or give one by --backbone"
            )
        return self.open_backbone.backbone

    @property
    def image_backbone(self) -> Backbone:
        """The backbone, if it decodes to images; UsageError for a classifier."""
        if self.backbone.classes is not None:
            raise UsageError(f"{self.backbone.name} is a classifier and draws no images: use `iin walk --mode ou`")
        return self.backbone


def open_backbone(
    wanted: str, device: torch.device | str = "cpu", weights: str = "default", layer: str | None = None
) -> OpenBackbone:
    """Open a checkpoint, a run folder, or the registered name of a backbone with weights of its own.

    Args:
        weights: of a registered name: default, none, or a file.
        layer: cut the network there instead of where the backbone does.

    Raises CheckpointError for an unfit file, UsageError for an unknown name, one without pretrained weights, weights
    for a checkpoint, or an unknown layer.
    """
    found = _open(wanted, device, weights)
    if layer is None:
        return found
    return replace(found, backbone=_frozen(found.backbone.at_layer(layer), device), layer=layer)


def _open(wanted: str, device: torch.device | str, weights: str) -> OpenBackbone:
    path = Path(wanted).expanduser()
    if path.is_file() and path.suffix in (".pth", ".pt", ".bin"):
        raise CheckpointError(
            f"{wanted} is no checkpoint of iin: weights of a network that has a name go to --weights, "
            f"as in --backbone resnet50 --weights {wanted}"
        )
    if path.exists() and not is_known("backbones", wanted):
        if weights != "default":
            raise UsageError(f"--weights {weights}: {wanted} is a checkpoint with weights of its own; leave it out")
        return _from_checkpoint(path, device)
    if path.suffix == ".safetensors" or "/" in wanted:
        raise CheckpointError(f"no such backbone checkpoint: {wanted}")
    found = find("backbones", wanted)
    if weights not in ("default", "none"):
        weights = str(Path(weights).expanduser().resolve())
    backbone = _frozen(found.factory.pretrained(found.argument, weights), device)
    return OpenBackbone(backbone, found.full_name, module_digest(backbone), None, weights)


def open_translator(
    path: Path, device: torch.device | str = "cpu", backbone: Path | None = None, with_backbone: bool = True
) -> OpenTranslator:
    """Open a translator and, unless `with_backbone` is False, the very backbone it was fitted to.

    Args:
        path: checkpoint or run folder.
        backbone: where the backbone lies now, if it was moved.

    Raises CheckpointError when the file is unfit, or its backbone is gone or no longer the same.
    """
    file = checkpoint.load(path, "translator")
    try:
        factors = Factors.from_json(file.metadata["factors"])
        translator = Translator(**file.metadata["config"])
        translator.load_state_dict(file.tensors)
    except (KeyError, TypeError, RuntimeError, ValueError, IinError) as error:
        raise CheckpointError(f"{file.path} does not hold the translator its metadata describes: {error}") from error
    if factors.dim != translator.dim:
        raise CheckpointError(f"{file.path}: its factors sum to {factors.dim}, its latents have {translator.dim}")
    recorded = file.metadata.get("backbone")
    found = _recorded_backbone(file.path, recorded, backbone, device) if with_backbone else None
    if found is not None and found.backbone.latent_dim != translator.dim:
        raise CheckpointError(f"{found.source} has {found.backbone.latent_dim} latents, {file.path} {translator.dim}")
    translator = translator.to(device).eval().requires_grad_(False)
    return OpenTranslator(file.path, translator, factors, file.metadata, found, torch.device(device))


def open_data(
    wanted: str | None,
    recorded: Mapping[str, Any] | None,
    data_root: Path | None,
    report: Reporter | None = None,
) -> Dataset:
    """Open the data the user names, else the data a checkpoint remembers (`{name, root}`).

    With no checkpoint to remember any (`recorded` None) it is `animalfaces` if the data root has it, else the embedded
    `shapes`, and `report` is told which and why. Raises DataError when a checkpoint records none.
    """
    report = report or Silent()
    if wanted is None and recorded is None:
        return open_dataset(_without_wish(data_root, report), data_root, report)
    name = wanted if wanted is not None else recorded.get("name")
    if name is None:
        raise DataError("which data? none is recorded: name it with --data NAME|DIR")
    return open_dataset(name, choose_root(wanted, recorded, data_root), report)


def choose_root(wanted: str | None, recorded: Mapping[str, Any] | None, data_root: Path | None) -> Path | None:
    """Return `--data-root`, else where the recorded data lay if that is still there, else None for the default."""
    lay = (recorded or {}).get("root")
    if data_root is not None or lay is None or not Path(lay).is_dir():
        return data_root
    # Other data than the recorded is more likely where the user says data lies.
    return None if wanted is not None and "IIN_DATA_ROOT" in os.environ else Path(lay)


def describe_data(dataset: Dataset, data_root: Path | None) -> dict[str, Any]:
    """Return what a checkpoint remembers of its data; paths are absolute, so that later runs find them anywhere."""
    name = dataset.name
    if name not in names("datasets") and Path(name).expanduser().exists():
        name = str(Path(name).expanduser().resolve())
    return {"name": name, "root": str(default_root(data_root).resolve()), "fingerprint": dataset.fingerprint}


def module_digest(module: Any) -> str:
    """Return the sha256 of a module's weights, names and values."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions a checkpoint remembers."""
    return {
        "iin": importlib.metadata.version("iin-cli"),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def _from_checkpoint(path: Path, device: torch.device | str) -> OpenBackbone:
    file = checkpoint.load(path, "backbone")
    name = file.metadata.get("name", "")
    factory = find("backbones", name).factory
    try:
        backbone = factory.from_config(file.metadata["config"])
        backbone.load_state_dict(file.tensors)
    except (KeyError, TypeError, RuntimeError, ValueError, IinError) as error:
        raise CheckpointError(f"{file.path} does not hold the {name} its metadata describes: {error}") from error
    source = str(file.path.resolve())
    return OpenBackbone(
        _frozen(backbone, device), source, checkpoint.digest(file.path), file.metadata.get("data") or {}
    )


def _without_wish(data_root: Path | None, report: Reporter) -> str:
    found = find_animalfaces(data_root)
    if found is not None:
        report.note(f"data: animalfaces, since --data names none and the data root has {found}")
        return "animalfaces"
    report.note(
        f"data: shapes, drawn by iin, since --data names none and {default_root(data_root)} has no animalfaces folder"
    )
    return "shapes"


def _recorded_backbone(
    translator: Path, recorded: Mapping[str, Any] | None, moved: Path | None, device: torch.device | str
) -> OpenBackbone | None:
    if recorded is None:
        # Nothing to compare with: the user vouches for the backbone.
        return open_backbone(str(moved), device) if moved is not None else None
    source, weights = recorded["source"], recorded.get("weights", "default")
    if weights not in ("default", "none"):
        # What may have moved is the file of weights; the network's name stays.
        weights = str(moved or weights)
        _require_there(f"the weights of {source}, the backbone of {translator}, are", weights, "they are")
    elif moved is not None or Path(source).is_absolute():
        source = str(moved or source)
        _require_there(f"the backbone of {translator} is", source, "it is")
    found = open_backbone(source, device, weights, recorded.get("layer"))
    if found.sha256 != recorded["sha256"]:
        raise CheckpointError(
            f"{source} is not the backbone {translator} was fitted to: sha256 {found.sha256[:12]}…, "
            f"expected {recorded['sha256'][:12]}…"
        )
    return found


def _require_there(what: str, path: str, they_are: str) -> None:
    if not Path(path).exists():
        raise CheckpointError(f"{what} not at {path}: say where {they_are} now with --backbone")


def _frozen(backbone: Any, device: torch.device | str) -> Any:
    if not (isinstance(backbone, nn.Module) and isinstance(backbone, Backbone)):
        raise PluginError(f"the backbone {type(backbone).__name__} is not a torch module with iin's Backbone contract")
    return backbone.to(device).eval().requires_grad_(False)
