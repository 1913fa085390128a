"""`iin report`: everything known of a translator on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options
from ..addresses import FROM_HUB
from ..output import print_result, reporter

__all__ = ["report"]

TranslatorArg = Annotated[
    Path,
    typer.Argument(help="A translator checkpoint or the folder of its run.", metavar="CKPT", show_default=False),
    FROM_HUB,
]
PageOpt = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="New .html file; default: in a numbered folder in runs/.", metavar="FILE"),
]
PicturesOpt = Annotated[
    str | None, typer.Option("--format", help="Of the page's pictures; default: png.", metavar="png|svg")
]
ImagesOpt = Annotated[
    int | None, typer.Option("--n", "-n", help="Images measured; default: 500, of images above 128 pixels 100.", min=3)
]


def report(
    translator: TranslatorArg,
    out: PageOpt = None,
    format: PicturesOpt = None,
    dpi: options.DpiOpt = None,
    n: ImagesOpt = None,
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
    """Write all that is known of a translator as one page.

    The HTML page holds sizes, edits, walks, responses, audit and provenance, and the commands that make its parts
    again. It needs no network and no scripts, and reads on a phone, in the dark and on paper. A section that cannot be
    made says why, and the others are made all the same.

    Examples:

      iin report runs/00003-fit-translator --out report.html

      iin report t.safetensors --n 2000 --seed 0 --out report.html --json
    """
    from ...commands.read.report import report as run
    from ...distributed import draw_seed
    from ...interpretation.data_choice import DataChoice
    from ...io.output import Figures

    choice = DataChoice(data, data_root, split, n, draw_seed(seed), skip_bad=skip_bad)
    result = run(
        translator,
        choice,
        out,
        backbone=backbone,
        device=device,
        figures=Figures.of(format, dpi),
        report=reporter(quiet),
    )
    print_result(result, json)
