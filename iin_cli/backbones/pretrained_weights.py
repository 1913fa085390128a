"""Torchvision's published weights, from torch's cache or the internet, and the loading of any weights by name."""

from __future__ import annotations

import re
import sys
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import redirect_stdout
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from ..errors import CheckpointError, UsageError
from ..io.weights import misfits, named_as, read_weights, reason_of

__all__ = ["VersionedWeights", "cached_file", "default_weights", "load_weights"]

# Names in published files that torchvision has since changed, for DenseNet and for the vision transformers.
OLD_NAMES = (
    (r"\b(norm|relu|conv)\.([12])\.", r"\1\2."),
    (r"\bmlp\.linear_1\.", "mlp.0."),
    (r"\bmlp\.linear_2\.", "mlp.3."),
)


class VersionedWeights(OrderedDict[str, Any]):
    """Tensors by name, with the versions of the modules that wrote them, which some modules ask for.

    Args:
        written: what a module's `state_dict` returned, where torch leaves the versions.
    """

    def __init__(self, tensors: Mapping[str, Any], written: Mapping[str, Any]) -> None:
        super().__init__(tensors)
        self._metadata = getattr(written, "_metadata", None)


def cached_file(weights: WeightsEnum) -> Path:
    """Return the path of torchvision's `weights` in torch hub's cache, whether or not the file is there."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name


def default_weights(
    weights: WeightsEnum, called: str, otherwise: str = "--weights none for random ones"
) -> dict[str, Tensor]:
    """Load torchvision's `weights` from torch hub's cache, fetching them into it when they are missing.

    Args:
        called: the network's name, for messages.
        otherwise: what to type when they cannot be fetched.

    Raises UsageError (naming file and folder) when they are missing and cannot be fetched, CheckpointError when the
    cached file is damaged.
    """
    file = cached_file(weights)
    if file.is_file():
        return read_weights(file)
    try:
        # Torch announces the download on stdout, which is for results only.
        with redirect_stdout(sys.stderr):
            # Torchvision would unpickle any object; these files hold tensors only.
            return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, HTTPException, RuntimeError) as error:
        raise UsageError(
            f"the weights of {called} cannot be fetched ({reason_of(error)}): place {file.name} in {file.parent}, "
            f"or use {otherwise}"
        ) from error


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: str, but: str | None = None) -> None:
    """Load `tensors` into `network`, skipping those of an auxiliary head that it does not have.

    Args:
        source: where the tensors came from, for messages.
        but: name of a module whose weights stay as they are.

    A prefix of all names is removed (`named_as`). Raises CheckpointError naming tensors that are missing, unknown, of
    another shape, or not finite.
    """
    own = network.state_dict()
    known = {_spelled(name, own): tensor for name, tensor in named_as(tensors, own).items()}
    known = {name: tensor for name, tensor in known.items() if name in own or not re.match(r"aux|AuxLogits", name)}
    if but is not None:
        known |= {name: tensor for name, tensor in own.items() if name.startswith(f"{but}.")}
    # Some files are older than batch norm's counters, and no output depends on them.
    counters = [name for name in own if name.endswith("num_batches_tracked")]
    if (why := misfits(own, known, counters)) is not None:
        raise CheckpointError(f"{source} has weights of another network: {why}")
    if spoilt := [name for name, tensor in known.items() if tensor.is_floating_point() and not tensor.isfinite().all()]:
        raise CheckpointError(
            f"{source} has values that are not finite in {len(spoilt)} of {len(known)} tensors, {spoilt[0]} first: "
            "its training probably diverged; use another file"
        )
    # The names are this version's by now.
    network.load_state_dict(VersionedWeights({**own, **known}, own))


def _spelled(name: str, own: Mapping[str, Any]) -> str:
    """Return the network's current spelling of the tensor's `name`."""
    for old, new in OLD_NAMES:
        name = name if name in own else re.sub(old, new, name)
    return name
