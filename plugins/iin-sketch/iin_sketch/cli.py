"""`iin train-stylizer`: train the network that draws images in the style of sketches."""

from __future__ import annotations

from typing import Annotated

import typer
from iin_cli.cli.options import (
    DataRootOpt,
    DebugOpt,
    DeviceOpt,
    JsonOpt,
    LogOpt,
    MaxSecondsOpt,
    OutOpt,
    QuietOpt,
    ResumeOpt,
    SeedOpt,
    SkipBadOpt,
    StepsOpt,
)
from iin_cli.cli.output import print_result, reporter

__all__ = ["train_stylizer"]


def train_stylizer(
    content: Annotated[
        str,
        typer.Option("--content", "-d", help="Images to stylize: a dataset's name or a folder.", metavar="NAME|DIR"),
    ],
    style: Annotated[
        str | None,
        typer.Option(
            "--style", help="A folder of drawings, or A.png,B.png; default: the shipped ones.", metavar="DIR|SKETCHES"
        ),
    ] = None,
    data_root: DataRootOpt = None,
    skip_bad: SkipBadOpt = False,
    out: OutOpt = None,
    encoder_weights: Annotated[
        str, typer.Option(help="VGG-19 weights: default (torchvision's), random, or a file.", metavar="WEIGHTS")
    ] = "default",
    image_size: Annotated[
        int | None, typer.Option(help="Side at which a backbone will see the images; default: the data's.", min=1)
    ] = None,
    steps: StepsOpt = None,
    max_seconds: MaxSecondsOpt = None,
    seed: SeedOpt = None,
    device: DeviceOpt = "auto",
    resume: ResumeOpt = False,
    log: LogOpt = None,
    as_json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Train a stylizer for concepts made of two sketches.

    It may have other images, drawings, weights or steps than the one that `--concept roundness:learned` trains.

    Examples:

        iin train-stylizer --content animalfaces --out stylizer

        iin train-stylizer --content photos/ --style round.png,angular.png --encoder-weights random --max-seconds 600
    """
    from .train_stylizer import train_stylizer as run

    result = run(
        content,
        style,
        data_root=data_root,
        skip_bad=skip_bad,
        out=out,
        encoder_weights=encoder_weights,
        image_size=image_size,
        steps=steps,
        max_seconds=max_seconds,
        seed=seed,
        device=device,
        resume=resume,
        log=log,
        report=reporter(quiet),
    )
    print_result({**result.as_dict(), **result.metrics}, as_json)
