"""`iin swap`: give images a factor of other images."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import options
from ..early import known_factors
from ..output import print_result, reporter

__all__ = ["swap"]

CountOpt = Annotated[
    int | None,
    typer.Option("--n", "-n", help="Images of each kind from the data; default: 8, or what there is.", min=1),
]


def swap(
    translator: options.TranslatorOpt,
    factor: options.FactorOpt,
    target: options.TargetOpt = None,
    source: options.SourceOpt = None,
    out: options.OutOpt = None,
    format: options.FormatOpt = None,
    dpi: options.DpiOpt = None,
    backbone: options.MovedBackboneOpt = None,
    data: options.DataOpt = None,
    data_root: options.DataRootOpt = None,
    skip_bad: options.SkipBadOpt = False,
    verify: options.VerifyOpt = False,
    split: options.SplitOpt = "test",
    n: CountOpt = None,
    seed: options.SeedOpt = None,
    device: options.DeviceOpt = "auto",
    json: options.JsonOpt = False,
    quiet: options.QuietOpt = False,
    debug: options.DebugOpt = False,
) -> None:
    """Give images a factor of other images.

    As many sources as targets make pairs, else every target meets every source; several make a grid of all
    combinations. Without images: test images of the translator's data. A classifier gives its predictions before and
    after the edit.

    Examples:

      iin swap --translator runs/00003-fit-translator --factor digit --out grid.png

      iin swap -t t.safetensors -f color --target cat.jpg --source dog.jpg --out cat-as-dog.png

      iin swap -t t.safetensors -f digit -f color --target photos/ --source styles/ --json
    """
    known_factors(translator, factor or ())
    from ...commands.edit.swap import swap as run
    from ...distributed import draw_seed
    from ...interpretation.data_choice import DataChoice
    from ...io.output import Figures

    result = run(
        translator,
        factor,
        target or (),
        source or (),
        out,
        choice=DataChoice(data, data_root, split, n, draw_seed(seed), skip_bad=skip_bad),
        backbone=backbone,
        device=device,
        figures=Figures.of(format, dpi),
        report=reporter(quiet),
    )
    print_result(result, json)
