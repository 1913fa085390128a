"""Open a network by checkpoint, run folder or name, and a translator with the very network it was fitted to."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import CheckpointError, IinError, NotInstalledError, UsageError
from ..io import checkpoint
from ..io.weights import module_digest
from ..packaged_weights import is_weights_file, names_package
from ..plugin_api import Backbone
from ..registry import Found, find, is_known
from ..translator.factors import Factors
from ..translator.feature_noise import FeatureNoise
from ..translator.flow import Translator
from .answers import answer_of
from .contract import breach_of
from .network import FROM_PYTHON, Network
from .open_translator import OpenTranslator

__all__ = ["FEATURE_NOISE", "describe_backbone", "open_network", "open_translator", "versions"]

# The tensor of a translator's checkpoint that holds the std of the feature noise it was fitted with.
FEATURE_NOISE = "feature_noise.std"


def open_network(
    wanted: str | Path,
    device: torch.device | str = "cpu",
    weights: str | Path = "default",
    layer: str | None = None,
) -> Network:
    """Open a checkpoint, a run folder, or the registered name of a network with weights of its own.

    Args:
        weights: of a registered name: default, none, package, or a file.
        layer: cut the network there instead of where the backbone does.

    Raises CheckpointError for a damaged file, UsageError for an unknown name, one without pretrained weights, weights
    for a checkpoint, or an unknown layer.
    """
    found = _open(str(wanted), device, str(weights))
    return found if layer is None else found.at_layer(layer)


def open_translator(
    path: Path, device: torch.device | str = "cpu", backbone: Path | None = None, with_network: bool = True
) -> OpenTranslator:
    """Open a translator and, unless `with_network` is False, the very network it was fitted to.

    Args:
        path: checkpoint or run folder.
        backbone: where the network lies now, if it was moved.

    Raises CheckpointError when the file is damaged, or its network is gone or no longer the same.
    """
    file = checkpoint.load(path, "translator")
    try:
        factors = Factors.from_json(file.metadata["factors"])
        translator = Translator(**file.metadata["config"])
        std = file.tensors.pop(FEATURE_NOISE, None)
        translator.load_state_dict(file.tensors)
    except (KeyError, TypeError, RuntimeError, ValueError, IinError) as error:
        raise CheckpointError(f"{file.path} does not hold the translator its metadata describes: {error}") from error
    if factors.dim != translator.dim:
        raise CheckpointError(f"{file.path}: its factors sum to {factors.dim}, its latents have {translator.dim}")
    network = _recorded_network(file.path, file.metadata.get("backbone"), backbone, device) if with_network else None
    if network is not None and network.latent_dim != translator.dim:
        raise CheckpointError(f"{network.source} has {network.latent_dim} latents, {file.path} {translator.dim}")
    return OpenTranslator(
        path=file.path,
        translator=translator.to(device).eval().requires_grad_(False),
        factors=factors,
        metadata=file.metadata,
        network=network,
        device=torch.device(device),
        noise=None if std is None else FeatureNoise(std),
    )


def describe_backbone(backbone: Backbone) -> dict[str, Any]:
    """Return what a checkpoint of a backbone says of it; `classes` is None where it draws images."""
    return {
        "kind": "backbone",
        "name": backbone.name,
        "config": backbone.config,
        "latent_dim": backbone.latent_dim,
        "image_size": backbone.image_size,
        "classes": list(answer_of(backbone.classes).names) or None,
    }


def versions() -> dict[str, str]:
    """Return the versions a checkpoint remembers."""
    return {
        "iin": importlib.metadata.version("iin-cli"),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def _open(wanted: str, device: torch.device | str, weights: str) -> Network:
    path = Path(wanted).expanduser()
    if path.is_file() and path.suffix.lower() in (".pth", ".pt", ".bin"):
        raise CheckpointError(
            f"{wanted} is no checkpoint of iin: weights of a network that has a name go to --weights, "
            f"as in --backbone resnet50 --weights {wanted}"
        )
    if path.exists() and not is_known("backbones", wanted):
        if weights != "default":
            raise UsageError(f"--weights {weights}: {wanted} is a checkpoint with weights of its own; leave it out")
        return _from_checkpoint(path, device)
    if path.suffix.lower() == ".safetensors" or "/" in wanted:
        raise CheckpointError(f"no such backbone checkpoint: {wanted}")
    found = find("backbones", wanted)
    if is_weights_file(weights):
        weights = str(Path(weights).expanduser().resolve())
    factory: Any = found.factory
    with found.blamed():
        backbone = factory.pretrained(found.argument, weights)
    _check_guest(found, backbone)
    network = Network.of(
        backbone, found.full_name, "", None, getattr(backbone, "weights", None) or weights, device=device
    )
    # The digest is of the weights on the device: a conversion there makes another network.
    network.sha256 = module_digest(backbone)
    return network


def _check_guest(found: Found, backbone: Any) -> None:
    """Check the contract of a plugin's backbone. PluginError names the plugin and the breach."""
    if found.is_built_in:
        return
    with found.blamed("fails on a first batch"):
        breach = breach_of(backbone)
    if breach is not None:
        raise found.fault("breaks the contract of a backbone", breach)


def _from_checkpoint(path: Path, device: torch.device | str) -> Network:
    file = checkpoint.load(path, "backbone")
    name = file.metadata.get("name", "")
    found = find("backbones", name)
    factory: Any = found.factory
    try:
        backbone = factory.from_config(file.metadata["config"])
        backbone.load_state_dict(file.tensors)
    except (KeyError, TypeError, RuntimeError, ValueError, IinError) as error:
        raise CheckpointError(f"{file.path} does not hold the {name} its metadata describes: {error}") from error
    _check_guest(found, backbone)
    source, data = str(file.path.resolve()), file.metadata.get("data") or {}
    return Network.of(backbone, source, checkpoint.digest(file.path), data, device=device)


def _recorded_network(
    translator: Path, recorded: Mapping[str, Any] | None, moved: Path | None, device: torch.device | str
) -> Network | None:
    if recorded is None:
        # Its checkpoint records no digest to compare with: the network is what the user says.
        return open_network(str(moved), device) if moved is not None else None
    source, weights = recorded["source"], recorded.get("weights", "default")
    if source.startswith(FROM_PYTHON) and moved is None:
        raise CheckpointError(
            f"the network of {translator} was given from Python: open it there, iin_cli.load(path, network=…)"
        )
    if is_weights_file(weights) or (names_package(weights) and moved is not None):
        # What may have moved is the file of weights; the network's name stays.
        weights = str(moved or weights)
        _require_there(f"the weights of {source}, the backbone of {translator}, are", weights, "they are")
    elif moved is not None or Path(source).is_absolute():
        source = str(moved or source)
        _require_there(f"the backbone of {translator} is", source, "it is")
    try:
        found = open_network(source, device, weights, recorded.get("layer"))
    except NotInstalledError as error:
        raise CheckpointError(f"the backbone of {translator} is not here: {error}") from error
    if found.sha256 != recorded["sha256"]:
        raise CheckpointError(
            f"{source} is not the backbone {translator} was fitted to: sha256 {found.sha256[:12]}…, "
            f"expected {recorded['sha256'][:12]}…"
        )
    return found


def _require_there(what: str, path: str, they_are: str) -> None:
    if not Path(path).exists():
        raise CheckpointError(f"{what} not at {path}: say where {they_are} now with --backbone")
