"""`iin demo`: everything end to end on images that come with the program, in minutes."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import DebugOpt, DeviceOpt, DpiOpt, FormatOpt, JsonOpt, OutOpt, QuietOpt, SeedOpt
from ..output import print_result, reporter

__all__ = ["demo"]


def demo(
    out: OutOpt = None,
    format: FormatOpt = None,
    dpi: DpiOpt = None,
    seed: SeedOpt = None,
    device: DeviceOpt = "auto",
    backbone_seconds: Annotated[
        float | None, typer.Option(help="How long the autoencoder may train; default: 440 steps.", min=1)
    ] = None,
    translator_seconds: Annotated[
        float | None, typer.Option(help="How long the translator may train; default: 600 steps.", min=1)
    ] = None,
    as_json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Train, interpret and edit a network, in minutes.

    The images are coloured digits that come with the program: no data to find, no option to choose. Two cores are
    enough.

    Examples:

        iin demo

        iin demo --out demo --seed 1 --json
    """
    from ...commands.start.demo import demo as run
    from ...io.output import Figures

    progress, figures = reporter(quiet), Figures.of(format, dpi)
    result = run(
        out,
        seed=seed,
        device=device,
        backbone_seconds=backbone_seconds,
        translator_seconds=translator_seconds,
        figures=figures,
        report=progress,
    )
    print_result(result, as_json)
    progress.note(
        f"look at {result.out}/swap-digit{figures.ending}: each column's digit in each row's colour and hand; "
        f"next: iin walk --translator {result.out}/translator --mode ou --factor color"
    )
