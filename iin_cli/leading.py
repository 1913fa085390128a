"""Work that one rank of each machine does for all others there: it goes first, and passes on what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from .crew import is_leading
from .distributed import gather_numbers, is_main_rank, local_rank, rank, small_group, world_size
from .errors import IinError

__all__ = ["leaders_first", "led"]

Made = TypeVar("Made")
# Of each `leaders_first` that runs now: what was passed on, by name.
_boards: list[dict[str, Any]] = []


@contextmanager
def leaders_first() -> Iterator[None]:
    """Run the body on the main rank first, then on the first rank of every other machine, then on all others.

    For work that is to be done once: its result is kept in a cache, or is passed on by `led`. No two ranks of one
    machine fill its cache at the same time. An error of this program that the first rank of a machine has, all raise.
    """
    if world_size() == 1 or is_leading():
        yield
        return
    turn = 0 if is_main_rank() else 1 if local_rank() == 0 else 2
    words: dict[str, Any] = {}
    for stage in range(turn):
        words = _heard(stage) or words
    _boards.append(words)
    failed = None
    try:
        yield
    except IinError as error:
        if turn == 2:
            raise
        failed = error
    finally:
        _boards.pop()
    for stage in range(turn, 2):
        _heard(stage, failed or words)
        if failed is not None:
            raise failed


def led(name: str, make: Callable[[], Made]) -> Made:
    """Return what `make` returns; in `leaders_first` the first rank of each machine calls it, for all others there.

    Args:
        name: of what is made; a rank whose leader made nothing of this name makes it itself.
    """
    if not _boards:
        return make()
    if name not in _boards[-1]:
        _boards[-1][name] = make()
    return _boards[-1][name]


def _heard(stage: int, said: dict[str, Any] | IinError | None = None) -> dict[str, Any] | None:
    """Exchange what leaders say, at stage 0 the main rank, at 1 those of other machines; return what this one's says.

    Raises the error that another leader says.
    """
    # Torchrun numbers the ranks of a machine in a row.
    mine = rank() - local_rank()
    leaders = [0] if stage == 0 else sorted({int(row[0]) for row in gather_numbers([mine])} - {0})
    heard = None
    for leader in leaders:
        word = _said(leader, said)
        if isinstance(word, _Refusal):
            raise word.kind(word.text)
        heard = word if leader == mine else heard
    return heard


def _said(leader: int, said: dict[str, Any] | IinError | None) -> Any:
    """Return the words of one leader on every rank; to the leader itself an error of its own is no news."""
    import torch.distributed as processes

    own = _Refusal.of(said) if isinstance(said, IinError) else said
    words = [own if rank() == leader else None]
    processes.broadcast_object_list(words, src=leader, group=small_group())
    return None if rank() == leader else words[0]


@dataclass(frozen=True)
class _Refusal:
    """An error of this program, as it is sent."""

    kind: type[IinError]
    text: str

    @classmethod
    def of(cls, error: IinError) -> _Refusal:
        # A plugin's own class may not be known elsewhere.
        return cls(next(kind for kind in type(error).__mro__ if kind.__module__ == IinError.__module__), str(error))
