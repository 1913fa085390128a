"""Open a network by checkpoint, run folder or name, and a translator with the very network it was fitted to."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from ..acceleration.encoder import Wanted
from ..errors import (
    CheckpointError,
    IinError,
    NotInstalledError,
    PluginError,
    ResourceError,
    UsageError,
    reason,
)
from ..hub.address import is_address
from ..hub.fetching import local, pinned
from ..io import checkpoint
from ..io.schema import TranslatorMetadata, checked
from ..io.shapes import no_larger_than, require_fit, require_room
from ..io.weights import module_digest
from ..packaged_weights import is_weights_file, names_package
from ..plugin_api import Backbone
from ..progress import Reporter
from ..registry import Found, find, is_known
from ..translator.factors import Factors
from ..translator.feature_noise import FeatureNoise
from ..translator.flow import Translator
from ..translator.soundness import unsound
from .answers import answer_of
from .contract import breach_of
from .network import FROM_PYTHON, Network
from .open_translator import OpenTranslator

__all__ = ["BESIDE", "FEATURE_NOISE", "describe_backbone", "open_network", "open_translator", "versions"]

# The tensor of a translator's checkpoint that holds the std of the feature noise it was fitted with.
FEATURE_NOISE = "feature_noise.std"

# The network's checkpoint in the folder of a translator.
BESIDE = "backbone.safetensors"

# A library's error may list every tensor.
LONGEST_REASON = 500


def open_network(
    wanted: str | Path,
    device: torch.device | str = "cpu",
    weights: str | Path = "default",
    layer: str | None = None,
    report: Reporter | None = None,
    precision: Wanted = "float32",
) -> Network:
    """Open a checkpoint, a run folder, an address on the Hub, or the registered name of a network with weights.

    Args:
        weights: of a registered name: default, none, package, or a file.
        layer: cut the network there instead of where the backbone does.
        report: is told of a file of iin 0.1, which has no digest.
        precision: of its latents; `auto` is settled by the first data that are encoded.

    Raises CheckpointError for a damaged file, UsageError for an unknown name, one without pretrained weights, weights
    for a checkpoint, or an unknown layer.
    """
    found = _open(str(wanted), device, str(weights), report)
    found.want(precision)
    return found if layer is None else found.at_layer(layer)


def open_translator(
    path: Path,
    device: torch.device | str = "cpu",
    backbone: Path | None = None,
    with_network: bool = True,
    report: Reporter | None = None,
) -> OpenTranslator:
    """Open a translator and, unless `with_network` is False, the very network it was fitted to.

    Args:
        path: checkpoint or run folder, on this machine.
        backbone: where the network lies now, if it was moved.
        report: is told of a file of iin 0.1, which has no digest.

    Raises CheckpointError when the file is damaged, or its network is gone or no longer the same.
    """
    translator, factors, file = _read_translator(path, report)
    std = file.tensors.get(FEATURE_NOISE)
    network = (
        _recorded_network(file.path, file.metadata.get("backbone"), backbone, device, report) if with_network else None
    )
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


def _read_translator(path: Path, report: Reporter | None) -> tuple[Translator, Factors, checkpoint.Checkpoint]:
    """Read a translator that is what its metadata say: shapes are compared before anything is built."""
    file = checkpoint.locate(path, "translator")
    described = checked(checkpoint.describe(file, "translator"), TranslatorMetadata, file)
    for size in described.config.all():
        chains = size.within or [size.dim]
        deep = size.depth if max(chains) > 1 else 0
        require_room(file, "translator", size.dim, size.hidden, *chains, layers=size.blocks * len(chains) * (1 + deep))
    try:
        factors = Factors.from_json(msgspec.to_builtins(described.factors))
        with torch.device("meta"):
            translator = Translator(**msgspec.to_builtins(described.config))
    except (RuntimeError, IinError) as error:
        raise CheckpointError(f"{file} does not hold the translator its metadata describes: {error}") from error
    require_fit(file, translator, "translator", apart_from=FEATURE_NOISE)
    if factors.dim != translator.dim:
        raise CheckpointError(f"{file}: its factors sum to {factors.dim}, its latents have {translator.dim}")
    found = checkpoint.load(file, "translator", report)
    # Copies, since tensors of a file change with it. `to_empty` would load torch's compiler.
    kinds = {name: tensor.dtype for name, tensor in translator.state_dict().items()}
    weights = {name: found.tensors[name].to(kind, copy=True) for name, kind in kinds.items()}
    translator.load_state_dict(weights, assign=True)
    std = found.tensors.get(FEATURE_NOISE)
    problem = unsound(translator)
    if std is not None and not (std.shape == (factors.dim,) and std.is_floating_point() and _at_least_zero(std)):
        problem = f"{FEATURE_NOISE} is no standard deviation of {factors.dim} features"
    if problem:
        raise CheckpointError(f"{file} holds a translator that cannot be used: {problem}; make it again")
    return translator, factors, found


def _at_least_zero(values: Tensor) -> bool:
    return bool((values.isfinite() & (values >= 0)).all())


def _open(wanted: str, device: torch.device | str, weights: str, report: Reporter | None = None) -> Network:
    if is_address(wanted):
        _require_no_weights(wanted, weights)
        return _from_checkpoint(local(wanted, report), device, report)
    path = Path(wanted).expanduser()
    if path.is_file() and path.suffix.lower() in (".pth", ".pt", ".bin"):
        raise CheckpointError(
            f"{wanted} is no checkpoint of iin: weights of a network that has a name go to --weights, "
            f"as in --backbone resnet50 --weights {wanted}"
        )
    if path.exists() and not is_known("backbones", wanted):
        _require_no_weights(wanted, weights)
        return _from_checkpoint(path, device, report)
    if path.suffix.lower() == ".safetensors" or "/" in wanted:
        raise CheckpointError(f"no such backbone checkpoint: {wanted}")
    found = find("backbones", wanted, report)
    if is_weights_file(weights):
        weights = str(Path(weights).expanduser().resolve())
    factory: Any = found.factory
    found.try_method("pretrained", found.argument, weights, report=report)
    with found.blamed():
        backbone = factory.pretrained(found.argument, weights)
    _check_guest(found, backbone)
    network = Network.of(
        backbone, found.full_name, "", None, getattr(backbone, "weights", None) or weights, device=device
    )
    # The digest is of the weights on the device: a conversion there makes another network.
    network.sha256 = module_digest(backbone)
    return network


def _require_no_weights(wanted: str, weights: str) -> None:
    if weights != "default":
        raise UsageError(f"--weights {weights}: {wanted} is a checkpoint with weights of its own; leave it out")


def _check_guest(found: Found, backbone: Any) -> None:
    """Check the contract of a plugin's backbone. PluginError names the plugin and the breach."""
    if found.is_built_in:
        return
    with found.blamed("fails on a first batch"):
        breach = breach_of(backbone)
    if breach is not None:
        raise found.fault("breaks the contract of a backbone", breach)


def _from_checkpoint(path: Path, device: torch.device | str, report: Reporter | None) -> Network:
    file = checkpoint.locate(path, "backbone")
    metadata = checkpoint.describe(file, "backbone")
    name = metadata["name"]
    try:
        entry = find("backbones", name, report)
        factory: Any = entry.factory
    except (NotInstalledError, PluginError):
        raise
    except UsageError as error:
        raise CheckpointError(f"{file} holds a backbone that is not known here: {error}") from error
    entry.try_method("from_config", metadata["config"], report=report)
    with _described(file, name), no_larger_than(file):
        planned = _planned(factory, metadata["config"])
    require_fit(file, planned, name)
    found = checkpoint.load(file, "backbone", report)
    with _described(file, name):
        backbone = factory.from_config(metadata["config"])
        backbone.load_state_dict(found.tensors)
    for weight, value in backbone.named_parameters():
        if not value.isfinite().all():
            raise CheckpointError(
                f"{file} holds weights that are not finite ({weight}), as a training that diverged leaves them: "
                "train it again, or use another copy"
            )
    _check_guest(entry, backbone)
    # What was fetched from the Hub can be fetched anywhere.
    source, data = str(pinned(file) or file.resolve()), metadata.get("data") or {}
    return Network.of(backbone, source, checkpoint.digest(file), data, device=device)


def _planned(factory: Any, config: dict[str, Any]) -> Any:
    """Return the backbone of `config` without its weights, so that its shapes are known before it takes memory."""
    try:
        with torch.device("meta"):
            return factory.from_config(config)
    except Exception as error:
        # Some constructors compute with numbers, which tensors of that device do not have.
        if "meta" not in str(error):
            raise
    return factory.from_config(config)


@contextmanager
def _described(file: Path, name: str) -> Iterator[None]:
    """Turn what a backbone raises over the config of `file` into a CheckpointError."""
    try:
        yield
    except (MemoryError, NotInstalledError, ResourceError):
        raise
    # The config is the backbone's own, perhaps a plugin's, which may fail over it in any way.
    except Exception as error:
        raise CheckpointError(
            f"{file} does not hold the {name} its metadata describes: {reason(error)[:LONGEST_REASON]}"
        ) from error


def _recorded_network(
    translator: Path,
    recorded: Mapping[str, Any] | None,
    moved: Path | None,
    device: torch.device | str,
    report: Reporter | None,
) -> Network | None:
    if recorded is None:
        # Its checkpoint records no digest to compare with: the network is what the user says.
        return open_network(str(moved), device, report=report) if moved is not None else None
    source, weights = recorded["source"], recorded.get("weights", "default")
    if source.startswith(FROM_PYTHON) and moved is None:
        raise CheckpointError(
            f"the network of {translator} was given from Python: open it there, iin_cli.load(path, network=…)"
        )
    if is_weights_file(weights) or (names_package(weights) and moved is not None):
        # What may have moved is the file of weights; the network's name stays.
        weights = str(moved or weights)
        _require_there(f"the weights of {source}, the backbone of {translator}, are", weights, "they are")
    elif moved is None and (source == BESIDE or _is_beside(translator, recorded)):
        # As in a folder that was copied whole, or a repository of the Hub.
        source = str(translator.parent / BESIDE)
        _require_there(f"the backbone of {translator} is", source, "it is")
    elif moved is not None or Path(source).is_absolute():
        source = str(moved or source)
        _require_there(f"the backbone of {translator} is", source, "it is")
    try:
        found = open_network(source, device, weights, recorded.get("layer"), report)
    except NotInstalledError as error:
        raise CheckpointError(f"the backbone of {translator} is not here: {error}") from error
    except UsageError as error:
        raise CheckpointError(f"{translator} cannot be joined to {source}: {error}") from error
    if found.sha256 != recorded["sha256"]:
        raise CheckpointError(
            f"{source} is not the backbone {translator} was fitted to: sha256 {found.sha256[:12]}…, "
            f"expected {recorded['sha256'][:12]}…"
        )
    # Latents are computed as those that T was fitted to.
    found.settle(recorded.get("precision", "float32"))
    return found


def _is_beside(translator: Path, recorded: Mapping[str, Any]) -> bool:
    """Say whether the very network that a translator was fitted to lies in its folder."""
    file = translator.parent / BESIDE
    is_one = Path(recorded["source"]).is_absolute() or is_address(recorded["source"])
    return is_one and file.is_file() and checkpoint.digest(file) == recorded["sha256"]


def _require_there(what: str, path: str, they_are: str) -> None:
    if not Path(path).exists():
        raise CheckpointError(f"{what} not at {path}: say where {they_are} now with --backbone")
