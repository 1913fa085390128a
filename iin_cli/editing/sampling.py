"""What is asked of a sampling, and whether it can be done: decided before any tensor, so that torch is not imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ..errors import UsageError
from ..io.shards import PICTURES, Format
from ..translator.factors import Factors

__all__ = ["Format", "Parts", "PriorName", "Sampling", "choose_parts"]

PriorName = Literal["translator", "backbone"]


@dataclass(frozen=True)
class Sampling:
    """What decides every file of a folder of samples, besides networks and seeds.

    Attributes:
        prior: `backbone` draws z ~ N(0, 1) without the translator.
        truncation: ψ in (0, 1], the standard deviation of what is drawn.
        fix, vary: partial sampling, see `choose_parts`.
        format, subdirs: see `ShardFiles`; a file of arrays holds 256 images.

    Raises UsageError for a value outside its range, and for values that exclude each other.
    """

    prior: PriorName = "translator"
    truncation: float = 1.0
    fix: tuple[tuple[str, Path], ...] = ()
    vary: tuple[str, ...] = ()
    format: Format = "png"
    subdirs: bool = False

    def __post_init__(self) -> None:
        if self.format not in get_args(Format):
            raise UsageError(f"--format {self.format!r}: choose from {', '.join(get_args(Format))}")
        if self.subdirs and self.format not in PICTURES:
            raise UsageError(
                f"--subdirs sorts pictures into folders; --format {self.format} writes few files: leave --subdirs out"
            )
        if self.prior not in get_args(PriorName):
            raise UsageError(f"--prior {self.prior!r}: choose from {', '.join(get_args(PriorName))}")
        if not 0 < self.truncation <= 1:
            raise UsageError(
                f"--truncation {self.truncation:g}: give a number above 0 and at most 1, which is all of the prior"
            )
        if (self.fix or self.vary) and self.prior == "backbone":
            raise UsageError("--fix and --vary need the translator's factors: leave out --prior backbone")


@dataclass(frozen=True)
class Parts:
    """Which factors are drawn, and which image each of the others comes from.

    Attributes:
        varied: factors drawn at random, in the translator's order.
        images: factor -> image, for all other factors.
    """

    varied: tuple[str, ...]
    images: dict[str, Path]


def choose_parts(factors: Factors, fix: Sequence[tuple[str, Path]], vary: Sequence[str]) -> Parts | None:
    """Say what comes from where; None where nothing is fixed.

    Without `vary` every factor that is not fixed is drawn. With it only the factors in `vary` are; a factor that is
    named in neither comes from the first image.

    Raises UsageError for an unknown factor, one named twice, `vary` without `fix`, and when nothing is left to vary.
    """
    if not fix and not vary:
        return None
    names = factors.names
    for name in (*vary, *(name for name, _ in fix)):
        factors.slice(name)
    if not fix:
        rest = next((name for name in reversed(names) if name not in vary), names[-1])
        raise UsageError(f"--vary {vary[0]}: the rest comes from an image, which is missing: add --fix {rest}=IMAGE")
    fixed = dict(fix)
    if len(fixed) < len(fix):
        raise UsageError(f"--fix: {_twice([name for name, _ in fix])} is named twice; one image for each factor")
    if both := [name for name in vary if name in fixed]:
        raise UsageError(f"{both[0]} is both fixed and varied: leave out --fix {both[0]}=… or --vary {both[0]}")
    varied = tuple(name for name in names if (name in vary if vary else name not in fixed))
    if not varied:
        raise UsageError("--fix names every factor, so that nothing is left to draw: leave one out")
    first = fix[0][1]
    return Parts(varied, {name: fixed.get(name, first) for name in names if name not in varied})


def _twice(names: Sequence[str]) -> str:
    return next(name for name in names if names.count(name) > 1)
