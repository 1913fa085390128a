"""A command that the main process runs, while all others do parts of its heavy work and write nothing.

Each process opens the same things first: network, translator, data. The main one then runs the command alone, and
hands out calls of functions on these, which are named by their place and never sent. A function that is shared gives a
row the same bits whoever computes it, so that a command has the same result as alone.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from .distributed import from_main, is_main_rank, small_group, world_size

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["alongside", "is_leading", "lead", "leads_with", "shared"]

Made = TypeVar("Made")
# Pieces that a process is sent at once, of which all lie in memory.
MOST_PIECES = 16
# What the processes of each command that runs now have all opened, in the main process.
_opened: list[tuple[object, ...]] = []


def lead(body: Callable[[], Made], *opened: object, bare: Callable[[Made], Made] | None = None) -> Made:
    """Return what `body` returns in the main process; the others do what it shares meanwhile.

    Args:
        opened: things that every process has opened alike, in the same order.
        bare: returns the part of a result that is sent to the others; None sends all.
    """
    if world_size() == 1:
        return body()
    if not is_main_rank():
        _serve(opened)
        return from_main(None)
    _opened.append(opened)
    try:
        result = body()
    finally:
        _opened.pop()
    _hand_out([None] * world_size())
    from_main(result if bare is None else bare(result))
    return result


def is_leading() -> bool:
    """Say whether this is the main process in the body of `lead`, where no other can be waited for."""
    return bool(_opened)


def leads_with(*things: object) -> bool:
    """Say whether the others, who wait for calls, have opened all of `things`, too."""
    return bool(_opened) and all(any(thing is other for other in _opened[-1]) for thing in things)


def alongside(function: Callable[..., object], *arguments: object) -> None:
    """Let all others call `function`, which shares its work by itself; nothing where they cannot be told of it."""
    try:
        call = _pickled(_Call(function, arguments))
    # A concept or dataset of anybody's need not be fit for sending.
    except Exception:
        return
    _hand_out([None, *[call] * (world_size() - 1)])


def shared(
    function: Callable[..., Iterable[Tensor]], rows: Tensor, height: int, *rest: object, by: tuple[object, ...]
) -> Iterable[Tensor]:
    """Return in order what `function(rows, *rest)` yields of all rows (M, …); the others compute some if they wait.

    Args:
        function: takes `rows` in pieces, none of which depends on another.
        height: rows of a piece.
        by: what the function computes with: the others must have opened all of it, and know no more.
    """
    if len(rows) > height and leads_with(*by):
        return _spread(function, rows, height, *rest)
    return function(rows, *rest)


def _spread(function: Callable[..., Iterable[Tensor]], rows: Tensor, height: int, *rest: object) -> Iterator[Tensor]:
    import torch

    step, ranks = height * MOST_PIECES * world_size(), world_size()
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        pieces = -(-len(some) // height)
        # The main process has the first share, which is the smallest: it works for the others, too.
        bounds = [height * (pieces * rank // ranks) for rank in range(ranks)] + [len(some)]
        shares = [some[bounds[rank] : bounds[rank + 1]] for rank in range(ranks)]
        calls = [_pickled(_Call(function, (share.numpy(), *rest), True)) for share in shares[1:]]
        _hand_out([None, *calls])
        if len(shares[0]):
            yield torch.cat(list(function(shares[0], *rest)))
        for found in _replies(None)[1:]:
            if found is not None:
                yield torch.from_numpy(found)


@dataclass(frozen=True)
class _Call:
    """Call of `function`; one that `replies` takes rows first, and sends back what it yields of them."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    replies: bool = False


def _serve(opened: tuple[object, ...]) -> None:
    """Do what the main process hands out until it is done."""
    while (sent := _hand_out(None)) is not None:
        call: _Call = _Unpickler(io.BytesIO(sent), opened).load()
        if call.replies:
            _replies(_computed(call))
        else:
            call.function(*call.arguments)


def _computed(call: _Call) -> Any:
    import torch

    rows, *rest = call.arguments
    if not len(rows):
        return None
    return torch.cat(list(call.function(torch.from_numpy(rows), *rest))).numpy()


def _hand_out(calls: Sequence[bytes | None] | None) -> bytes | None:
    """Return what the main process, which gives `calls`, has for this one."""
    import torch.distributed as processes

    heard: list[bytes | None] = [None]
    processes.scatter_object_list(heard, None if calls is None else list(calls), src=0, group=small_group())
    return heard[0]


def _replies(found: Any) -> list[Any]:
    """Return in the main process what each one found."""
    import torch.distributed as processes

    everything = [None] * world_size() if is_main_rank() else None
    processes.gather_object(found, everything, dst=0, group=small_group())
    return everything or []


def _pickled(call: _Call) -> bytes:
    content = io.BytesIO()
    _Pickler(content, _opened[-1]).dump(call)
    return content.getvalue()


class _Pickler(pickle.Pickler):
    """Writes the places of what all processes have opened instead of it."""

    def __init__(self, file: io.BytesIO, opened: tuple[object, ...]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._places = {id(thing): place for place, thing in enumerate(opened)}

    def persistent_id(self, obj: object) -> int | None:
        return self._places.get(id(obj))


class _Unpickler(pickle.Unpickler):
    """Reads what `_Pickler` writes, which the main process of the same run has sent."""

    def __init__(self, file: io.BytesIO, opened: tuple[object, ...]) -> None:
        super().__init__(file)
        self._opened = opened

    def persistent_load(self, pid: int) -> object:
        return self._opened[pid]
