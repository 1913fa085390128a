"""The files that an explorer was opened from: everything goes on from memory, but the page says what has changed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..interpretation.open_translator import OpenTranslator

__all__ = ["Watched"]

# Size and time of the last change; None where there is no file.
Status = tuple[int, int] | None


@dataclass(frozen=True)
class Watched:
    """Files as they were: what each is -> its path and status."""

    files: dict[str, tuple[Path, Status]]

    @classmethod
    def of(cls, opened: OpenTranslator) -> Self:
        """Note the translator's checkpoint, and its network's where it is a file."""
        paths = {} if opened.path is None else {"the translator's checkpoint": opened.path}
        if opened.network is not None and os.path.isabs(opened.network.source):
            paths["the backbone's checkpoint"] = Path(opened.network.source)
        return cls({what: (path, _status(path)) for what, path in paths.items()})

    def changed(self) -> str | None:
        """Say in a sentence what has changed or gone since; None where nothing has."""
        said = []
        for what, (path, before) in self.files.items():
            if (now := _status(path)) != before:
                said.append(f"{what} {path} {'is gone' if now is None else 'has changed'}")
        if not said:
            return None
        return f"{' and '.join(said)}; this page goes on with what it opened, and its commands may do otherwise"


def _status(path: Path) -> Status:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
