"""What a user wants of a walk, checked before anything is opened or made: mode, axis, steps, format and place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ..errors import UsageError
from ..figures.animation import FORMATS, require_format
from ..plugin_api import Backbone
from ..translator.edit import Center
from .attributes import parse_attributes

__all__ = ["AxisWish", "Mode", "Where", "check_axis", "check_choices", "film_format", "open_place", "usual_steps"]

Mode = Literal["linear", "ou", "grid", "attribute"]
IMAGE_STEPS, CLASSIFIER_STEPS = 8, 50
# Odd, so that strength 0 is a point of a range around it.
ATTRIBUTE_STEPS, ATTRIBUTE_CLASSIFIER_STEPS = 7, 51
CORNERS = 4


@dataclass(frozen=True)
class Where:
    """Which images a walk starts from."""

    data: str | None
    data_root: Path | None
    split: str
    n: int
    seed: int


@dataclass(frozen=True)
class AxisWish:
    """What the axis of an attribute walk is to be made of."""

    attributes: Sequence[str]
    with_folder: Path | None
    without_folder: Path | None
    strength: tuple[float, float] | None
    most: int


def check_choices(mode: str, center: str, source: Sequence[Path], n: int) -> None:
    """Raise UsageError for an unknown mode or centre, and for what the mode has no use of."""
    if mode not in get_args(Mode):
        raise UsageError(f"--mode {mode!r}: choose from {', '.join(get_args(Mode))}")
    if center not in get_args(Center):
        raise UsageError(f"--center {center!r}: choose from {', '.join(get_args(Center))}")
    if mode != "linear" and source:
        raise UsageError(f"--source is where a linear walk ends; --mode {mode} has no end, so leave it out")
    if mode == "grid" and n != CORNERS:
        raise UsageError(f"--n {n}: a grid has four corners, so leave --n out")


def check_axis(mode: str, wish: AxisWish) -> None:
    """Raise UsageError unless an attribute walk, and no other, has an axis from one place and a range of strengths."""
    folders = wish.with_folder, wish.without_folder
    if mode != "attribute":
        if wish.attributes or folders != (None, None) or wish.strength is not None:
            raise UsageError(
                f"--attribute, --with, --without and --strength make an attribute walk, not --mode {mode}: "
                "write --mode attribute"
            )
        return
    if wish.attributes and folders != (None, None):
        raise UsageError("an axis comes from labels (--attribute) or from two folders (--with, --without), not both")
    if not wish.attributes and folders.count(None) == 1:
        raise UsageError("--with and --without go together: one folder of images with the attribute, one without it")
    if not wish.attributes and None in folders:
        raise UsageError(
            "which attribute? name one of the labels, as --attribute Smiling, "
            "or give two folders, --with DIR --without DIR"
        )
    if wish.strength is not None:
        first, last = wish.strength
        if not np.isfinite(wish.strength).all() or first >= last:
            raise UsageError(f"--strength {first:g}..{last:g}: it goes from less to more, as -3..3")
    parse_attributes(wish.attributes)


def film_format(backbone: Backbone, mode: Mode, out: Path | None, animate: str | None) -> str | None:
    """Return the format of the film to write, None for none. UsageError where it cannot be had."""
    is_classifier = backbone.classes is not None
    if is_classifier and mode == "grid":
        raise UsageError(
            f"{backbone.name} is a classifier and draws no images for a grid: use --mode linear, ou or attribute"
        )
    ending = out.suffix.lower().removeprefix(".") if out is not None and not out.is_dir() else ""
    if is_classifier and (animate is not None or ending in FORMATS):
        raise UsageError(
            f"{backbone.name} is a classifier, whose walk is a plot and a table: no animation is made of it"
        )
    if animate is not None and (ending in FORMATS or ending == "png"):
        raise UsageError(f"--out {out} says what is written: leave --animate out, or name a folder for figure and film")
    film = None if is_classifier or ending == "png" else ending if ending in FORMATS else animate or FORMATS[0]
    if film is not None:
        require_format(film)
    return film


def usual_steps(backbone: Backbone, mode: Mode) -> int:
    """Return how many points a walk has where the user does not say."""
    if backbone.classes is None:
        return ATTRIBUTE_STEPS if mode == "attribute" else IMAGE_STEPS
    return ATTRIBUTE_CLASSIFIER_STEPS if mode == "attribute" else CLASSIFIER_STEPS


@contextmanager
def open_place(out: Path | None, label: str, backbone: Backbone) -> Iterator[tuple[Path, bool]]:
    """Yield the new folder or file, as `open_output`."""
    if backbone.classes is None:
        endings, holds = (".png", *(f".{name}" for name in FORMATS)), "a figure or an animation"
    else:
        endings, holds = (".png", ".json", ".csv"), "a plot or a table"
    with open_output(out, label, endings, holds) as place:
        yield place
