"""`iin edit`: change the factors of one image, each in its own way."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import options
from ..output import print_result, reporter

__all__ = ["edit"]

ImageArg = Annotated[
    str,
    typer.Argument(
        help="An image file; an item of the data, as test:12; or sample:7, drawn by the seed 7.", show_default=False
    ),
]
SwapOpt = Annotated[
    list[str] | None,
    typer.Option("--swap", help="Take the factor from an image (file or item); repeatable.", metavar="FACTOR=IMG"),
]
ResampleOpt = Annotated[
    list[str] | None,
    typer.Option("--resample", help="Draw the factor from N(0, 1) by a seed; repeatable.", metavar="FACTOR=SEED"),
]
StrengthOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--strength", help="How far a swap or draw goes, 0 to 2; default: 1, all the way.", metavar="FACTOR=S"
    ),
]
MoveOpt = Annotated[
    list[str] | None,
    typer.Option("--move", help="Move along the factor's two principal axes, in SD.", metavar="FACTOR=X,Y"),
]
AlongOpt = Annotated[
    list[str] | None,
    typer.Option("--along", help="Add so much of an attribute, NAME or NAME=VALUE; repeatable.", metavar="NAME=A"),
]
LockOpt = Annotated[
    list[str] | None,
    typer.Option("--lock", help="Keep a factor as it is whatever --along adds; repeatable.", metavar="FACTOR"),
]


def edit(
    translator: options.TranslatorOpt,
    image: ImageArg,
    swap: SwapOpt = None,
    resample: ResampleOpt = None,
    strength: StrengthOpt = None,
    move: MoveOpt = None,
    along: AlongOpt = None,
    lock: LockOpt = None,
    out: options.OutOpt = None,
    format: options.FormatOpt = None,
    dpi: options.DpiOpt = None,
    search: options.ComparedOpt = 5000,
    seed: options.ComparedSeedOpt = 0,
    backbone: options.MovedBackboneOpt = None,
    data: options.DataOpt = None,
    data_root: options.DataRootOpt = None,
    skip_bad: options.SkipBadOpt = False,
    verify: options.VerifyOpt = False,
    device: options.DeviceOpt = "auto",
    json: options.JsonOpt = False,
    quiet: options.QuietOpt = False,
    debug: options.DebugOpt = False,
) -> None:
    """Change factors of one image, each in its own way.

    A factor is taken from another image, drawn by a seed, or moved; attributes are added. The answer is the edited
    image, or a classifier's predictions before and after, beside those of random steps as long, and the nearest real
    images. `iin explore` shows the same in a browser, and writes these lines.

    Examples:

      iin edit cat.jpg -t t.safetensors --swap color=dog.jpg --out cat.png

      iin edit test:12 -t t.safetensors --swap digit=test:3 --strength digit=0.5 --move color=1.5,-0.5

      iin edit face.jpg -t t.safetensors --resample residual=7 --along Smiling=1 --json
    """
    from ...editing.described import described_factors
    from ...editing.recipe import Recipe

    factors, given = described_factors(translator), (swap, resample, strength, move, along, lock)
    recipe = Recipe.of_options(factors, *(each or () for each in given))
    from ...commands.edit.edit import edit as run
    from ...interpretation.data_choice import DataChoice
    from ...io.output import Figures

    result = run(
        translator,
        image,
        recipe,
        out,
        choice=DataChoice(data, data_root, "test", None, seed, skip_bad=skip_bad),
        search=search,
        backbone=backbone,
        device=device,
        figures=Figures.of(format, dpi),
        report=reporter(quiet),
    )
    print_result(result, json)
