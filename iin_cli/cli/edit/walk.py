"""`iin walk`: see what the network shows or predicts along a walk in the interpretable representation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ...errors import UsageError
from .. import options
from ..early import known_factors
from ..output import print_result, reporter

if TYPE_CHECKING:
    from ...editing.axes import FolderAxis, LabelAxis
    from ...translator.edit import Center

__all__ = ["parse_strength", "walk"]

ModeOpt = Annotated[
    str,
    typer.Option("--mode", help="linear, attribute, grid (between four images) or ou (at random).", metavar="MODE"),
]
MovingOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--factor", "-f", help="A factor that moves; repeatable; default: all (ou needs one).", metavar="NAME"
    ),
]
PointsOpt = Annotated[
    int | None,
    typer.Option(
        "--steps", help="Points of a walk; default: 8 (attribute: 7) for images, 50 (51) for a classifier.", min=2
    ),
]
WalksOpt = Annotated[
    int | None,
    typer.Option("--n", "-n", help="Walks, where images come from the data; default: 4, or what there is.", min=1),
]
AttributeOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute",
        "-a",
        help="attribute: a label of the data, as Smiling, Male:-1 (taken away) or class=cat; repeatable.",
        metavar="NAME[=VALUE][:WEIGHT]",
    ),
]
WithOpt = Annotated[
    Path | None, typer.Option("--with", help="attribute: folder of images with it, instead of labels.", metavar="DIR")
]
WithoutOpt = Annotated[
    Path | None, typer.Option("--without", help="attribute: folder of images without it.", metavar="DIR")
]
StrengthOpt = Annotated[
    str | None,
    typer.Option(
        "--strength", help="attribute: 1 adds the mean difference, -1 takes it away; default -3..3.", metavar="A..B"
    ),
]
AxisImagesOpt = Annotated[
    int, typer.Option("--axis-images", help="attribute: training images averaged, at most.", min=2)
]
AnimateOpt = Annotated[
    str | None, typer.Option("--animate", help="Animation in a folder: gif (default), webp or mp4.", metavar="FORMAT")
]


def parse_strength(text: str | None) -> tuple[float, float] | None:
    """Turn `-3..3` into (-3.0, 3.0). UsageError for anything else.

    >>> parse_strength("-3..3")
    (-3.0, 3.0)
    """
    if text is None:
        return None
    number = r"\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*"
    match = re.fullmatch(rf"{number}\.\.{number}", text)
    if match is None:
        raise UsageError(f"--strength {text!r} is no range: write -3..3")
    return float(match[1]), float(match[2])


def walk(
    translator: options.TranslatorOpt,
    mode: ModeOpt = "linear",
    factor: MovingOpt = None,
    target: options.TargetOpt = None,
    source: options.SourceOpt = None,
    out: options.OutOpt = None,
    format: options.FormatOpt = None,
    dpi: options.DpiOpt = None,
    steps: PointsOpt = None,
    n: WalksOpt = None,
    gamma: options.GammaOpt = 0.1,
    walk_sigma: options.WalkSigmaOpt = None,
    center: options.CenterOpt = "origin",
    attribute: AttributeOpt = None,
    with_folder: WithOpt = None,
    without_folder: WithoutOpt = None,
    strength: StrengthOpt = None,
    axis_images: AxisImagesOpt = 10_000,
    animate: AnimateOpt = None,
    backbone: options.MovedBackboneOpt = None,
    data: options.DataOpt = None,
    data_root: options.DataRootOpt = None,
    skip_bad: options.SkipBadOpt = False,
    verify: options.VerifyOpt = False,
    split: options.SplitOpt = "test",
    seed: options.SeedOpt = None,
    device: options.DeviceOpt = "auto",
    json: options.JsonOpt = False,
    quiet: options.QuietOpt = False,
    debug: options.DebugOpt = False,
) -> None:
    """Walk between images, along an attribute or at random.

    linear (Fig 4): the straight line in z̃ above the straight line in z between the same ends. attribute (Eq 14, Fig 8):
    away from an attribute and towards it. grid (Fig 7): all between four images. ou (Eq 17): the chosen factors wander,
    all others stay. A folder gets walk.png and walk.gif; the ending of a file (.png, .gif, .webp, .mp4) says which. A
    classifier gives class log-probabilities and predictions.

    Examples:

      iin walk --translator runs/00003-fit-translator --out walk.png

      iin walk -t t.safetensors --mode linear --factor digit --target 3.png --source 8.png --out digit.gif

      iin walk -t t.safetensors --mode attribute --attribute Smiling --attribute Male:-1 --strength -3..3 --data celeba

      iin walk -t t.safetensors --mode attribute --with glasses --without plain --target me.png

      iin walk -t t.safetensors --mode grid --out grid.png

      iin walk -t t.safetensors --mode ou --factor color --steps 100 --json
    """
    known_factors(translator, factor or ())
    from ...commands.edit.walk import walk as run
    from ...distributed import draw_seed
    from ...editing.walk_paths import AttributeWalk, GridWalk, LinearWalk, Wandering
    from ...interpretation.data_choice import DataChoice
    from ...io.output import Figures
    from ...translator.edit import OUWalk

    moving, begin, ends = tuple(factor or ()), tuple(target or ()), tuple(source or ())
    axis, strengths = _axis(attribute or (), with_folder, without_folder, axis_images), parse_strength(strength)
    # It refuses another centre.
    ou = OUWalk(moving, gamma=gamma, sigma=walk_sigma, center=cast("Center", center))
    modes = {
        "linear": lambda: LinearWalk(moving, begin, steps, ends),
        "ou": lambda: Wandering(target=begin, steps=steps, ou=ou),
        "grid": lambda: GridWalk(moving, begin, steps),
        "attribute": lambda: AttributeWalk(
            factors=moving, target=begin, steps=steps, axis=_required(axis), strength=strengths or (-3.0, 3.0)
        ),
    }
    if mode not in modes:
        raise UsageError(f"--mode {mode!r}: choose from {', '.join(modes)}")
    _refuse_unused(mode, bool(ends), n, axis is not None or strengths is not None)
    result = run(
        translator,
        modes[mode](),
        out,
        animate=animate,
        choice=DataChoice(data, data_root, split, n, draw_seed(seed), skip_bad=skip_bad),
        backbone=backbone,
        device=device,
        figures=Figures.of(format, dpi),
        report=reporter(quiet),
    )
    print_result(result, json)


def _refuse_unused(mode: str, has_ends: bool, n: int | None, has_axis: bool) -> None:
    """Raise UsageError for options that the mode does not use."""
    if mode != "linear" and has_ends:
        raise UsageError(f"--source is where a linear walk ends; --mode {mode} has no end, so leave it out")
    if mode == "grid" and n not in (None, 4):
        raise UsageError(f"--n {n}: a grid has four corners, so leave --n out")
    if mode != "attribute" and has_axis:
        raise UsageError(
            f"--attribute, --with, --without and --strength make an attribute walk, not --mode {mode}: "
            "write --mode attribute"
        )


def _axis(
    attributes: Sequence[str], with_folder: Path | None, without_folder: Path | None, most: int
) -> LabelAxis | FolderAxis | None:
    """Return what an attribute walk goes along, None where no option names it. UsageError for half of one, or two."""
    from ...editing.attributes import parse_attributes
    from ...editing.axes import FolderAxis, LabelAxis

    if attributes and (with_folder or without_folder):
        raise UsageError("an axis comes from labels (--attribute) or from two folders (--with, --without), not both")
    if attributes:
        return LabelAxis(tuple(parse_attributes(attributes)), most)
    if with_folder and without_folder:
        return FolderAxis(with_folder, without_folder, most)
    if with_folder or without_folder:
        raise UsageError("--with and --without go together: one folder of images with the attribute, one without it")
    return None


def _required(axis: LabelAxis | FolderAxis | None) -> LabelAxis | FolderAxis:
    if axis is None:
        raise UsageError(
            "which attribute? name one of the labels, as --attribute Smiling, "
            "or give two folders, --with DIR --without DIR"
        )
    return axis
