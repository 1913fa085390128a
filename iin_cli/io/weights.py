"""Read weights files of any origin, safetensors or written by `torch.save`, without running code."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import CheckpointError

__all__ = ["module_digest", "read_weights", "reason_of"]

# Keys under which training scripts store the weights; averaged ones come first, since they usually score better.
WRAPPERS = ("state_dict_ema", "state_dict", "model_state_dict", "model")
# Prefixes that data parallelism and torch.compile add to the names.
PREFIXES = ("module.", "_orig_mod.")


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read name -> tensor from a `.safetensors` file or one that `torch.save` wrote, the latter without running code.

    Raises CheckpointError for a missing or damaged file, or one that holds anything but tensors.
    """
    if not file.is_file():
        raise CheckpointError(f"no such weights file: {file}; --weights is default, none, or a file")
    try:
        if file.suffix.lower() == ".safetensors":
            content: Any = load_file(file)
        else:
            with warnings.catch_warnings():
                # Torch warns about old or foreign pickles before it refuses them; the error is enough.
                warnings.simplefilter("ignore")
                content = torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    # A damaged pickle may raise any exception.
    except Exception as error:
        # Torch's own message advises running the code that it refused.
        reason = "" if isinstance(error, UnpicklingError) else f" ({reason_of(error)})"
        raise CheckpointError(
            f"the weights file {file} cannot be read{reason}: it is damaged, or holds more than tensors"
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not (isinstance(content, Mapping) and content and all(isinstance(part, Tensor) for part in content.values())):
        raise CheckpointError(f"the weights file {file} does not hold a network's weights: tensors by name")
    return _without_prefixes(content)


def module_digest(module: nn.Module) -> str:
    """Return the sha256 of a module's weights, names and values."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def reason_of(error: BaseException) -> str:
    """Return the first sentence of a library's error, in one line without its full stop."""
    first = str(getattr(error, "reason", error)).strip().split("\n")[0].split(". ")[0]
    return first.rstrip(".:") or type(error).__name__


def _without_prefixes(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    tensors = dict(content)
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors
