"""Read weights that were trained elsewhere, from torch's cache or a file, and put them into a network by name."""

from __future__ import annotations

import re
import sys
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import redirect_stdout
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.parse import urlparse

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from ..errors import CheckpointError, UsageError

__all__ = ["default_weights", "load_weights", "read_weights"]

# What training scripts wrap the weights in, and what wrappers of a network put before its names.
WRAPPERS = ("state_dict", "model_state_dict", "model")
PREFIX = "module."
SHOWN_KEYS = 3
# Names in published files that torchvision has since changed: of DenseNet, and of the vision transformers.
OLD_NAMES = (
    (r"\b(norm|relu|conv)\.([12])\.", r"\1\2."),
    (r"\bmlp\.linear_1\.", "mlp.0."),
    (r"\bmlp\.linear_2\.", "mlp.3."),
)


def default_weights(weights: WeightsEnum, called: str) -> dict[str, Tensor]:
    """Return torchvision's `weights` by its own loader: from torch hub's cache, else fetched into it.

    Args:
        called: the network's name, for messages.

    Raises UsageError when they are neither there nor can be fetched (naming file and folder), CheckpointError when the
    cached file is damaged.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    if file.is_file():
        return read_weights(file)
    try:
        # Torch says on stdout that it fetches, where only results belong.
        with redirect_stdout(sys.stderr):
            # Torchvision would unpickle anything; these files hold tensors only.
            return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, HTTPException, RuntimeError) as error:
        raise UsageError(
            f"the weights of {called} cannot be fetched ({_one_line(error)}): place {file.name} in {file.parent}, "
            "or use --weights none for random ones"
        ) from error


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read name -> tensor from a `.safetensors` file or one that `torch.save` wrote, the latter without running code.

    Raises CheckpointError for a missing or damaged file, or one that holds anything but tensors.
    """
    if not file.is_file():
        raise CheckpointError(f"no such weights file: {file}; --weights is default, none, or a file")
    try:
        if file.suffix == ".safetensors":
            content: Any = load_file(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    # What a damaged pickle raises is anyone's guess.
    except Exception as error:
        # Torch would advise to run the code that it refused.
        reason = "" if isinstance(error, UnpicklingError) else f" ({_one_line(error)})"
        raise CheckpointError(
            f"the weights file {file} cannot be read{reason}: it is damaged, or holds more than tensors"
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not (isinstance(content, Mapping) and content and all(isinstance(part, Tensor) for part in content.values())):
        raise CheckpointError(f"the weights file {file} does not hold a network's weights: tensors by name")
    return _without_prefix(content)


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: str, but: str | None = None) -> None:
    """Put `tensors` into `network`; those of an auxiliary head that it does not have are left out.

    Args:
        source: where they came from, for messages.
        but: name of a module whose weights stay as they are.

    Raises CheckpointError naming the first tensors that are missing, unknown, or of another shape.
    """
    own = network.state_dict()
    known = {_spelled(name, own): tensor for name, tensor in tensors.items()}
    known = {name: tensor for name, tensor in known.items() if name in own or not re.match(r"aux|AuxLogits", name)}
    if but is not None:
        known |= {name: tensor for name, tensor in own.items() if name.startswith(f"{but}.")}
    # Batch norm's counters came later than some files, and nothing is computed from them.
    missing = [name for name in own if name not in known and not name.endswith("num_batches_tracked")]
    misfits = [f"{name} missing" for name in missing]
    misfits += [f"{name} unknown" for name in known if name not in own]
    misfits += [
        f"{name} {tuple(tensor.shape)} instead of {tuple(own[name].shape)}"
        for name, tensor in known.items()
        if name in own and tensor.shape != own[name].shape
    ]
    if misfits:
        more = f", and {len(misfits) - SHOWN_KEYS} more" if len(misfits) > SHOWN_KEYS else ""
        raise CheckpointError(f"{source} has weights of another network: {', '.join(misfits[:SHOWN_KEYS])}{more}")
    complete = OrderedDict({**own, **known})
    # Some modules ask which version of them wrote the file; the names are this version's by now.
    complete._metadata = own._metadata
    network.load_state_dict(complete)


def _spelled(name: str, own: Mapping[str, Any]) -> str:
    """Return the name as the network spells it today."""
    for old, new in OLD_NAMES:
        name = name if name in own else re.sub(old, new, name)
    return name


def _without_prefix(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    wrapped = all(name.startswith(PREFIX) for name in content)
    return {name.removeprefix(PREFIX) if wrapped else name: tensor for name, tensor in content.items()}


def _one_line(error: BaseException) -> str:
    return str(getattr(error, "reason", error)).strip().split("\n")[0].rstrip(".:") or type(error).__name__
