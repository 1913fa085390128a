"""Compare the tensors that a file holds with those that a module has, before either takes any memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor, nn
from torch.nn.modules import module as registration

from ..errors import CheckpointError
from .tensor_file import StoredTensor, kind_of, stored_tensors

__all__ = ["misfit", "no_larger_than", "require_fit", "require_room"]

SHOWN = 5
# A module has parts that no file holds: activations, weights that are shared or replaced while it is built.
PARTS_AT_LEAST, PARTS_PER_TENSOR = 1000, 20


def misfit(stored: Mapping[str, StoredTensor], expected: Mapping[str, Tensor]) -> str | None:
    """Say how tensors in a file differ from `expected` in names, shapes and number types; None where they do not.

    >>> misfit({}, {"weight": Tensor(2, 3)})
    'it lacks weight'
    """
    parts = [
        f"{what} {_listed(sorted(names))}"
        for what, names in (("it lacks", {*expected} - {*stored}), ("it also holds", {*stored} - {*expected}))
        if names
    ]
    wrong = [
        f"{name} is {stored[name].kind} {stored[name].shape}, not {kind_of(tensor)} {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in stored and (stored[name].shape, stored[name].kind) != (tuple(tensor.shape), kind_of(tensor))
    ]
    return "; ".join([*parts, *([_listed(wrong)] if wrong else [])]) or None


def require_fit(file: Path, module: nn.Module, called: str, *, apart_from: str | None = None) -> None:
    """Raise CheckpointError unless `file` holds the tensors of `module`, which may lie on the device `meta`."""
    stored = {name: tensor for name, tensor in stored_tensors(file).items() if name != apart_from}
    if problem := misfit(stored, module.state_dict()):
        raise CheckpointError(f"{file} does not hold the {called} its metadata describes: {problem}")


def require_room(file: Path, called: str, *sizes: int, layers: int = 0) -> None:
    """Raise CheckpointError where metadata claim more layers than `file` has tensors, or wider ones than its numbers.

    Comparing shapes takes a module without memory, but even that takes minutes for a million layers.
    """
    stored = stored_tensors(file)
    if layers > len(stored):
        raise CheckpointError(
            f"{file} does not hold the {called} its metadata describes: {layers:,} layers, and {len(stored):,} tensors"
        )
    # Every number takes at least a byte.
    numbers = sum(tensor.size for tensor in stored.values())
    if max(sizes, default=0) > numbers:
        raise CheckpointError(f"{file} does not hold the {called} its metadata describes: a size of {max(sizes):,}")


@contextmanager
def no_larger_than(file: Path) -> Iterator[None]:
    """Let the building of a module end in ValueError once it has many more layers and weights than `file` has tensors.

    For modules whose configuration only they know; `require_room` needs the sizes.
    """
    tensors, parts = len(stored_tensors(file)), 0
    most = PARTS_AT_LEAST + PARTS_PER_TENSOR * tensors

    def count(*_: object) -> None:
        nonlocal parts
        parts += 1
        if parts > most:
            raise ValueError(f"more than {most:,} layers and weights, and {tensors:,} tensors")

    handles = [
        registration.register_module_module_registration_hook(count),
        registration.register_module_parameter_registration_hook(count),
        registration.register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(name[:200] for name in names[:SHOWN]) + rest
