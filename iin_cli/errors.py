"""The tree of errors: each class has its exit code, each message is one line that says what to do.

    IinError                 1   anything else this program refuses to do
    ├── UsageError           2   an option, a name or a combination that cannot be used
    │   ├── PluginError      2   a plugin that is missing, broken or claimed twice
    │   └── NotInstalledError 2  an optional part of a package that is not installed
    ├── DataError            3   images, labels or latents that are missing or cannot be used
    ├── CheckpointError      4   a file that is truncated, foreign or does not fit
    ├── DivergedError        5   training produced values that are not finite
    └── ResourceError        6   no memory or no disk left

Ctrl-C exits with 130, SIGTERM and a hang-up with 143; the command line turns both into one line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = [
    "CheckpointError",
    "DataError",
    "DivergedError",
    "IinError",
    "NotInstalledError",
    "PluginError",
    "ResourceError",
    "UsageError",
    "attempt",
    "nearest",
    "one_of",
    "reason",
]


Name = TypeVar("Name", bound=str)


class IinError(Exception):
    """Base of every error that a user can fix; `exit_code` is what the shell sees."""

    exit_code = 1


class UsageError(IinError):
    """An option, a name or a combination of them that cannot be used."""

    exit_code = 2


class PluginError(UsageError):
    """A plugin that is missing, broken, or whose name two distributions claim."""


class NotInstalledError(UsageError):
    """An optional part of a package that is not installed; the message says what to install."""


class DataError(IinError):
    """Images, labels or latents that are missing, corrupt, or too few."""

    exit_code = 3


class CheckpointError(IinError):
    """A checkpoint that is truncated, foreign, or does not fit what it is used with."""

    exit_code = 4


class DivergedError(IinError):
    """Training produced a value that is not finite."""

    exit_code = 5


class ResourceError(IinError):
    """Memory or disk ran out."""

    exit_code = 6


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Return the part of a message that names the closest known names, or all of them.

    >>> nearest("digt", ["digit", "color"])
    'did you mean digit?'
    >>> nearest("xyz", ["digit", "color"])
    'choose from: color, digit'
    """
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"choose from: {', '.join(sorted(known))}" if known else "there are none"


def one_of(option: str, name: str, known: Sequence[Name]) -> Name:
    """Return the one of `known` that `option` names; UsageError with the names there are.

    >>> one_of("--mode", "linear", ("linear", "ou"))
    'linear'
    """
    for each in known:
        if name == each:
            return each
    raise UsageError(f"{option} {name!r}: {nearest(name, list(known))}")


def attempt(work: Callable[[], object]) -> str | None:
    """Do `work`, one of several parts; return the reason of a failure in one line, or None. Raises ResourceError."""
    try:
        work()
    except ResourceError:
        raise
    # Whatever fails in one part, the minutes spent on the others must not be lost.
    except Exception as error:
        return reason(error)
    return None


def reason(error: Exception) -> str:
    r"""Return an error's message in one line, after its class unless the error is one of this program's.

    >>> reason(ZeroDivisionError("odd\nnumber"))
    'ZeroDivisionError: odd number'
    """
    said = str(error) if isinstance(error, IinError) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())
