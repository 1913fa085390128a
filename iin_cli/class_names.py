"""Names of classes for people: classes are numbered, and two of one name are told apart by their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

__all__ = ["two_names", "unique_names"]


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, those that occur more than once with the number of their class.

    >>> unique_names(["crane", "cat", "crane"])
    ('crane (0)', 'cat', 'crane (2)')
    """
    found = tuple(map(str, names))
    while len(set(found)) < len(found):
        counts = Counter(found)
        found = tuple(f"{name} ({number})" if counts[name] > 1 else name for number, name in enumerate(found))
    return found


def two_names(name: str) -> tuple[str, str]:
    """Return the names of the two classes that one logit tells apart, the one it speaks for last.

    >>> two_names("smiling"), two_names("0")
    (('not smiling', 'smiling'), ('0', '1'))
    """
    return ("0", "1") if name == "0" else (f"not {name}", name)
