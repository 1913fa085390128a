"""The place of a result: one file when `--out` ends like one, else a run folder; decided once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard, get_args

from ..errors import UsageError, one_of
from .rundir import new_file, open_run, write_result

__all__ = ["PICTURES", "FigureFormat", "Figures", "Output", "ends_like_a_file", "require_folder"]

FigureFormat = Literal["png", "pdf", "svg"]
# Endings of files that hold a figure.
PICTURES = (".png", ".pdf", ".svg")
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
class Figures:
    """How figures are written.

    Attributes:
        format: png, pdf or svg; None takes what the file's name says, in a folder png.
        dpi: dots per inch; None takes what suits a screen.
    """

    format: FigureFormat | None = None
    dpi: int | None = None

    @classmethod
    def of(cls, word: str | None, dpi: int | None = None) -> Figures:
        """Return how the user wants figures. UsageError for an unknown format."""
        formats: tuple[FigureFormat, ...] = get_args(FigureFormat)
        return cls(None if word is None else one_of("--format", word, formats), dpi)

    @property
    def ending(self) -> str:
        """The ending of figures in a folder."""
        return f".{self.format or 'png'}"

    def require(self, out: Path) -> None:
        """Raise UsageError where a format is asked for that the name of the file `out` contradicts."""
        if self.format is not None and out.suffix.lower() != self.ending:
            raise UsageError(f"--format {self.format}: --out {out} says what is written; leave one of them out")


@dataclass(frozen=True)
class Output:
    """The place of the files of one result.

    Attributes:
        path: one new file, or a new or empty folder.
        is_file: which of the two.
        figures: how figures are written.
    """

    path: Path
    is_file: bool
    figures: Figures = Figures()

    @classmethod
    @contextmanager
    def open(
        cls, out: Path | None, label: str, endings: Sequence[str], holds: str, figures: Figures | None = None
    ) -> Iterator[Output]:
        """Yield the place of a result; a folder made here is removed if the work fails and leaves it empty.

        Args:
            out: the user's `--out`; None makes a numbered folder named after `label`.
            endings: file endings that can hold this result; `.png` stands for every format of a figure.
            holds: what the result is, for the message (`images`).
            figures: how they are written.

        Raises UsageError for a file of another ending, one that exists, and one that another run is writing.
        """
        figures = figures or Figures()
        if ".png" in endings:
            endings = (*PICTURES, *(ending for ending in endings if ending not in PICTURES))
        if out is not None and ends_like_a_file(out):
            figures.require(out)
            if out.suffix.lower() not in endings:
                known = " or ".join(endings)
                raise UsageError(f"--out {out}: the result is {holds}; name a folder or a file that ends in {known}")
            with new_file(out, "", "") as file:
                yield cls(file, True, figures)
            return
        with open_run(out, label) as folder:
            yield cls(folder, False, figures)

    @property
    def ending(self) -> str:
        """The file's ending in small letters; empty for a folder."""
        return self.path.suffix.lower() if self.is_file else ""

    @property
    def is_figure(self) -> bool:
        """Whether it is the file of a figure."""
        return self.ending in PICTURES

    def figure(self, stem: str) -> Path | None:
        """Return the path of the figure `stem`: in the folder, or the file if it is one of a figure; else None.

        >>> Output(Path("walk.pdf"), True).figure("walk"), Output(Path("runs"), False).figure("walk")
        (PosixPath('walk.pdf'), PosixPath('runs/walk.png'))
        """
        if self.is_file:
            return self.path if self.is_figure else None
        return self.path / f"{stem}{self.figures.ending}"

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


def require_folder(out: Path | None, holds: str) -> None:
    """Raise UsageError where `out` names a file and the result, `holds`, is several."""
    if ends_like_a_file(out):
        raise UsageError(f"--out {out}: the result is {holds}; name a folder, as in --out {out.stem}")


def ends_like_a_file(out: Path | None) -> TypeGuard[Path]:
    """Say whether `out` names a file rather than a folder."""
    return out is not None and out.suffix.lower() in FILES and not out.is_dir()
