"""Work of several parts, of which one may fail without the others: what it failed of, in one line."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import IinError, ResourceError

__all__ = ["attempt", "reason"]


def attempt(work: Callable[[], object]) -> str | None:
    """Do `work`; return why it failed, in one line, or None. A full disk ends everything."""
    try:
        work()
    except ResourceError:
        raise
    # Whatever stops one part, the minutes spent on the others must not be lost.
    except Exception as error:
        return reason(error)
    return None


def reason(error: Exception) -> str:
    r"""Say in one line what an error says; of one that is not this program's own, its kind too.

    >>> reason(ZeroDivisionError("odd\nnumber"))
    'ZeroDivisionError: odd number'
    """
    said = str(error) if isinstance(error, IinError) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())
