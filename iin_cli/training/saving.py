"""When a running training is saved, and how its product survives a full disk."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import IinError, ResourceError
from ..io import checkpoint
from ..io.training_state import write_state

__all__ = ["Saving", "save_product"]

# A run that is killed before its first save is lost. Later saves take at most this part of the time.
FIRST_SAVE_SECONDS, SAVE_SHARE = 5.0, 0.02


class Saving:
    """Saves a run in one file: first after some seconds, then so seldom that saving costs a few per cent of the time.

    Args:
        path: the file; None saves nothing.
        writes: whether this process is the one that writes.
    """

    def __init__(self, path: Path | None, writes: bool) -> None:
        self.path, self.writes = path, writes
        self._saved, self._wait = time.monotonic(), FIRST_SAVE_SECONDS

    @property
    def due(self) -> bool:
        """Whether it is time to save again."""
        return self.path is not None and time.monotonic() - self._saved >= self._wait

    def save(self, state: Callable[[], dict[str, Any]]) -> None:
        """Write what `state` returns, whole or not at all; errors as `write_state`."""
        if self.path is None or not self.writes:
            return
        began = time.monotonic()
        write_state(self.path, state())
        self._saved = time.monotonic()
        self._wait = max(FIRST_SAVE_SECONDS, (self._saved - began) / SAVE_SHARE)


def save_product(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write the checkpoint that a training ends with; where its disk is full, write it to the temporary folder instead.

    Raises ResourceError naming that file, since a result that is elsewhere is no success; errors else as
    `checkpoint.save`.
    """
    try:
        checkpoint.save(path, tensors, metadata)
    except ResourceError as error:
        if (kept := _kept(path.name, tensors, metadata)) is None:
            raise
        raise ResourceError(f"no space left on the disk for {path}: it is kept as {kept}, move it") from error


def _kept(name: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Path | None:
    """Write the checkpoint to a new folder among the temporary ones; return its path, None where that fails too."""
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix="iin-"))
        checkpoint.save(folder / name, tensors, metadata)
        return folder / name
    except (OSError, IinError):
        if folder is not None:
            folder.rmdir()
        return None
