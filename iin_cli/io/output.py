"""The place of a result: one file when `--out` ends like one, else a run folder; decided once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from ..errors import UsageError
from .rundir import new_file, open_run, write_result

__all__ = ["Output", "ends_like_a_file"]

# A folder may have a dot in its name (`runs/v1.5`); these endings are never a folder's.
FILES = {
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".gif",
    ".mp4",
    ".pdf",
    ".svg",
    ".json",
    ".csv",
    ".npz",
    ".npy",
    ".safetensors",
    ".pt",
}


@dataclass(frozen=True)
class Output:
    """The place of the files of one result.

    Attributes:
        path: one new file, or a new or empty folder.
        is_file: which of the two.
    """

    path: Path
    is_file: bool

    @classmethod
    @contextmanager
    def open(cls, out: Path | None, label: str, endings: Sequence[str], holds: str) -> Iterator[Output]:
        """Yield the place of a result; a folder made here is removed if the work fails and leaves it empty.

        Args:
            out: the user's `--out`; None makes a numbered folder named after `label`.
            endings: file endings that can hold this result (`.png`).
            holds: what the result is, for the message (`images`).

        Raises UsageError for a file of another ending, one that exists, and one that another run is writing.
        """
        if out is not None and ends_like_a_file(out):
            if out.suffix.lower() not in endings:
                known = " or ".join(endings)
                raise UsageError(f"--out {out}: the result is {holds}; name a folder or a file that ends in {known}")
            with new_file(out, "", "") as file:
                yield cls(file, True)
            return
        with open_run(out, label) as folder:
            yield cls(folder, False)

    @property
    def ending(self) -> str:
        """The file's ending in small letters; empty for a folder."""
        return self.path.suffix.lower() if self.is_file else ""

    def at(self, name: str) -> Path | None:
        """Return the path of the part `name` (`walk.png`): in the folder, or the file if the endings agree; else None.

        >>> Output(Path("walk.gif"), True).at("walk.png"), Output(Path("runs"), False).at("walk.png")
        (None, PosixPath('runs/walk.png'))
        """
        if not self.is_file:
            return self.path / name
        return self.path if Path(name).suffix == self.ending else None

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write `value`, with the files left out of the data, to the path of the part `name`, if it has one."""
        if (file := self.at(name)) is not None:
            write_result(file, value)


def ends_like_a_file(out: Path | None) -> TypeGuard[Path]:
    """Say whether `out` names a file rather than a folder."""
    return out is not None and out.suffix.lower() in FILES and not out.is_dir()
