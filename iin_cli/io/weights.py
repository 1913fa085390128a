"""Read weights files of any origin, safetensors or written by `torch.save`, without running code."""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import re
import types
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import CheckpointError

__all__ = ["misfits", "module_digest", "named_as", "read_weights", "reason_of", "some_of"]

# Keys under which training scripts store the weights; averaged ones come first, since they usually score better.
WRAPPERS = (
    *("state_dict_ema", "ema_state_dict", "model_ema", "ema"),
    *(
        "state_dict",
        "model_state_dict",
        "model_state",
        "model",
        "net_state_dict",
        "net",
        "network",
        "weights",
        "params",
    ),
)
# Prefixes that data parallelism, weight averaging and torch.compile add to the names.
PREFIXES = ("module.", "_orig_mod.")
# The count of an averaged model beside its weights.
COUNT = "n_averaged"
# Containers of plain values that training scripts save beside the weights; making one runs no code of the file.
HARMLESS: tuple[Any, ...] = (argparse.Namespace, types.SimpleNamespace, pathlib.PosixPath, pathlib.PurePosixPath)
SHOWN_NAMES = 4


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read name -> tensor from a `.safetensors` file or one that `torch.save` wrote, the latter without running code.

    The weights may lie under a key of their own (`state_dict`, `model`, `net` …), and their names may carry the
    prefixes of wrappers. Raises CheckpointError for a missing or damaged file, and one whose weights cannot be told.
    """
    if not file.is_file():
        raise CheckpointError(f"no such weights file: {file}; --weights is default, none, or a file")
    try:
        content: Any = load_file(file) if file.suffix.lower() == ".safetensors" else _unpickled(file)
    except MemoryError:
        raise
    # A damaged pickle may raise any exception.
    except Exception as error:
        raise CheckpointError(f"the weights file {file} cannot be read{_cause(error)}") from error
    return _without_prefixes(_weights_in(content, file))


def named_as(tensors: Mapping[str, Tensor], names: Collection[str]) -> dict[str, Tensor]:
    """Return `tensors` without the prefix under which most of a network's `names` are found.

    A trainer's module holds the network beside others: `model.conv1.weight` and `loss.weight` become `conv1.weight`.
    Where a prefix is removed, names without it are left out.

    >>> list(named_as({"model.a": torch.ones(1), "loss.b": torch.ones(1)}, ["a", "c"]))
    ['a']
    """
    wanted, known = set(names), Counter({"": sum(name in tensors for name in names)})
    for name in tensors:
        parts = name.split(".")
        for cut in range(1, len(parts)):
            known[".".join(parts[:cut]) + "."] += ".".join(parts[cut:]) in wanted
    # Of equal counts the first was seen first: no prefix, then the file's order.
    prefix = max(known, key=known.__getitem__)
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def misfits(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], optional: Collection[str] = ()) -> str | None:
    """Say why `tensors` are not the weights of a network with `own` tensors: a part of a message, None where they fit.

    Args:
        optional: names that `tensors` may lack.
    """
    lacking = [name for name in own if name not in tensors and name not in optional]
    foreign = [name for name in tensors if name not in own]
    others = [name for name in tensors if name in own and tensors[name].shape != own[name].shape]
    found = []
    if lacking:
        found.append(f"{len(lacking)} of {len(own)} tensors are missing ({some_of(lacking)})")
    if foreign:
        found.append(f"the file has {len(foreign)} others ({some_of(foreign)})")
    if others:
        shapes = [f"{name} {tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}" for name in others]
        found.append(f"{len(others)} have another shape ({some_of(shapes)})")
    if not found:
        return None
    advice = _advice(own, tensors, lacking, foreign, others)
    return ", ".join(found) + (f": {advice}" if advice else "")


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


def some_of(names: Iterable[Any]) -> str:
    """Return the first few names, and how many more there are.

    >>> some_of("abcdef"), some_of("abcde")
    ('a, b, c, d and 2 more', 'a, b, c, d, e')
    """
    every = list(map(str, names))
    if len(every) <= SHOWN_NAMES + 1:
        return ", ".join(every)
    return f"{', '.join(every[:SHOWN_NAMES])} and {len(every) - SHOWN_NAMES} more"


def _unpickled(file: Path) -> Any:
    # Numbers of NumPy, as a best score is one, are rebuilt by this function, which NumPy 1 had in another module.
    scalar: Any = np.float64(0).__reduce__()[0]
    numpys: list[Any] = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    numpys += [np.dtype, *(type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd")]
    with warnings.catch_warnings(), torch.serialization.safe_globals([*HARMLESS, *numpys]):
        # Torch warns about old or foreign pickles before it refuses them; the error is enough.
        warnings.simplefilter("ignore")
        return torch.load(file, map_location="cpu", weights_only=True)


def _cause(error: Exception) -> str:
    """Say why a file cannot be read; torch's own message advises running the code that it refused."""
    refused = re.search(r"GLOBAL ([\w.]+)", str(error))
    if refused is not None:
        return (
            f": beside tensors it holds {refused[1]}, and reading that could run code. Save the weights alone where "
            "the file was made: torch.save(model.state_dict(), 'weights.pth')"
        )
    why = "" if isinstance(error, UnpicklingError) else f" ({reason_of(error)})"
    return f"{why}: it is damaged, or holds more than tensors"


def _weights_in(content: Any, file: Path) -> dict[str, Tensor]:
    """Find the one mapping of names to tensors in what a training script saved."""
    found = content
    while isinstance(found, Mapping) and not _is_weights(found):
        usual = [key for key in WRAPPERS if _holds_weights(found.get(key))]
        holding = usual or [key for key, value in found.items() if _holds_weights(value)]
        if not holding:
            break
        if len(holding) > 1 and not usual:
            raise CheckpointError(
                f"the weights file {file} holds several networks, {some_of(holding)}: save one of them, "
                f"torch.save(torch.load({file.name!r})[{holding[0]!r}], 'weights.pth')"
            )
        found = found[holding[0]]
    if not _is_weights(found):
        raise CheckpointError(
            f"the weights file {file} does not hold a network's weights, tensors by name, but {_kind(content)}: "
            "save them with torch.save(model.state_dict(), 'weights.pth')"
        )
    return dict(found)


def _is_weights(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) and isinstance(part, Tensor) for name, part in value.items())
    )


def _holds_weights(value: Any) -> bool:
    """Say whether weights lie in `value`, at any depth; an optimiser's state has numbers for names."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        return False
    return _is_weights(value) or any(_holds_weights(part) for part in value.values())


def _kind(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    return some_of(content) if content else "nothing"


def _without_prefixes(content: dict[str, Tensor]) -> dict[str, Tensor]:
    tensors = content
    while True:
        names = [name for name in tensors if name != COUNT]
        prefix = next((each for each in PREFIXES if names and all(name.startswith(each) for name in names)), None)
        if prefix is None:
            return tensors
        tensors = {name.removeprefix(prefix): tensors[name] for name in names}


def _advice(
    own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], lacking: list[str], foreign: list[str], others: list[str]
) -> str:
    """Return the likely cause of a misfit and what to do about it; empty where there is no telling."""
    python = "open it in Python with iin.Network.cut(model, layer)"
    stem = next((name for name in own if own[name].ndim == 4), None)
    if others == [stem] and stem is not None and len(tensors[stem].shape) == 4 and not lacking and not foreign:
        return f"it was trained on images of {tensors[stem].shape[1]} channels, not {own[stem].shape[1]}: {python}"
    head = next((name.rpartition(".")[0] for name in reversed(list(own)) if own[name].ndim == 2), None)
    if head and lacking and not others and all(name.startswith(f"{head}.") for name in lacking):
        what = "its head was replaced" if foreign else f"its head {head} was removed"
        return f"{what}: {python}"
    return ""
