"""Where a result goes: one file when `--out` ends like one, else a run folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import UsageError
from .rundir import new_file, open_run

__all__ = ["open_output"]

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


@contextmanager
def open_output(out: Path | None, label: str, endings: Sequence[str], holds: str) -> Iterator[tuple[Path, bool]]:
    """Yield the path of a result and whether it is one new file; otherwise it is a new or empty folder.

    Args:
        out: the user's `--out`; None makes a numbered folder named after `label`.
        endings: of the files that can hold this result (`.png`).
        holds: what the result is, for the message (`images`).

    Raises UsageError for a file of another ending and for one that is taken.
    """
    if out is not None and out.suffix.lower() in FILES and not out.is_dir():
        if out.suffix.lower() not in endings:
            known = " or ".join(endings)
            raise UsageError(f"--out {out}: the result is {holds}; name a folder or a file that ends in {known}")
        yield new_file(out, "", ""), True
        return
    with open_run(out, label) as folder:
        yield folder, False
