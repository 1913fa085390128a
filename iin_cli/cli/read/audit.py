"""`iin audit`: is an interpretation any good?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...printable import printable
from .. import options
from ..addresses import FROM_HUB
from ..output import print_result, reporter

__all__ = ["audit"]

OracleOpt = Annotated[
    list[Path] | None,
    typer.Option(
        "--oracle", help="A classifier trained on a concept's labels, to judge swaps; repeatable.", metavar="CKPT"
    ),
    FROM_HUB,
]
FailIfOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if", help="Exit with code 1 if so, as 'leakage.color>0.1'; repeatable.", metavar="NAME>NUMBER"
    ),
]
ItemsOpt = Annotated[int, typer.Option("--n", "-n", help="Items at most, and pairs of each concept.", min=3)]
ListOpt = Annotated[bool, typer.Option("--list-metrics", help="List the figures and what they mean, and stop.")]


def audit(
    translator: options.TranslatorOpt,
    oracle: OracleOpt = None,
    fail_if: FailIfOpt = None,
    concept: options.KnownConceptsOpt = None,
    list_metrics: ListOpt = False,
    n: ItemsOpt = 2000,
    out: options.OutOpt = None,
    format: options.FormatOpt = None,
    dpi: options.DpiOpt = None,
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
    """Measure whether every factor holds its concept alone.

    The verdict says of each factor whether it is usable to read its concept, to compare images by it, to change it and
    to remove it, and why not. It rests on figures of test images, each with a 95 % interval: pair correlations, swaps,
    what each factor's block tells of each concept, normality, likelihood, round trip. Exit code 1 if a condition of
    --fail-if holds, or cannot be judged.

    Examples:

      iin audit --translator runs/00003-fit-translator

      iin audit -t t.safetensors --oracle oracle/ --fail-if 'leakage.digit>0.1' --fail-if 'transfer.digit<0.9'

      iin audit -t t.safetensors --list-metrics
    """
    from ...commands.read import audit as recipe
    from ...distributed import draw_seed, is_main_rank
    from ...interpretation.data_choice import DataChoice
    from ...io.output import Figures

    if list_metrics:
        names = recipe.metric_names(translator)
        print_result(names if json else [], json, [("figures", [{"figure": k, "is": v} for k, v in names.items()])])
        return
    result = recipe.audit(
        translator,
        DataChoice(data, data_root, split, n, draw_seed(seed), skip_bad=skip_bad),
        oracles=oracle or (),
        concepts=concept or (),
        fail_if=fail_if or (),
        out=out,
        backbone=backbone,
        device=device,
        figures=Figures.of(format, dpi),
        report=reporter(quiet),
    )
    print_result(result, json)
    for line in result.failed if is_main_rank() else ():
        typer.echo(f"iin: failed: {printable(line)}", err=True)
    if result.failed:
        raise typer.Exit(1)
