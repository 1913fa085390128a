"""`iin log`: curves of what trainings report as they go."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import UsageError
from .. import options
from ..output import has_blocks, print_lines, print_result

if TYPE_CHECKING:
    from ...commands.read.log import LogResult

__all__ = ["log"]

RunsArg = Annotated[
    list[Path], typer.Argument(help="Run folders, or folders that hold some.", metavar="RUN...", show_default=False)
]
FigureNamesOpt = Annotated[
    list[str] | None,
    typer.Option("--figure", "-f", help="Draw this figure large; repeatable; default: all, small.", metavar="NAME"),
]
ByOpt = Annotated[str, typer.Option("--by", help="What curves are drawn over.", metavar="step|seconds")]
FollowOpt = Annotated[bool, typer.Option("--follow", help="Print reports as they arrive, until the runs have ended.")]
CurvesOpt = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="New .png, .pdf or .svg of the curves; default: text.", metavar="FILE"),
]


def log(
    run: RunsArg,
    figure: FigureNamesOpt = None,
    by: ByOpt = "step",
    follow: FollowOpt = False,
    out: CurvesOpt = None,
    format: options.FormatOpt = None,
    dpi: options.DpiOpt = None,
    json: options.JsonOpt = False,
    debug: options.DebugOpt = False,
) -> None:
    """Draw curves of what trainings report as they go.

    Every training writes log.jsonl into its run folder: step, seconds and figures, one JSON object per line.

    Examples:

      iin log runs/00003-fit-translator-autoencoder-digit

      iin log runs/ --figure heldout_nll --by seconds

      iin log ae1 ae2 --out curves.pdf

      iin log ae --follow
    """
    from ...commands.read.log import log as read
    from ...commands.read.log import new_reports, save_curves
    from ...figures.text_curves import PLAIN_BLOCKS
    from ...io.output import Figures

    if follow and (out is not None or format is not None):
        raise UsageError("--follow prints reports as they arrive: leave --out and --format out")
    result = read(run, figure or (), by)
    if follow:
        for name, report in new_reports(result, figure or ()):
            print_lines([json_text.dumps({"run": name, **report}) if json else _line(name, report)])
        return
    if out is not None or format is not None:
        result = save_curves(result, out, Figures.of(format, dpi))
    elif dpi is not None:
        raise UsageError("--dpi is of a file: name one with --out")
    if not json and figure and result.out is None:
        print_lines(_charts(result))
    print_result(result, json, result.tables() if has_blocks() else result.tables(PLAIN_BLOCKS))


def _line(run: str, report: dict[str, float]) -> str:
    return "  ".join([run, *(f"{name} {value:.5g}" for name, value in report.items())])


def _charts(result: LogResult) -> list[str]:
    """Return large curves as text, one chart for what belongs together."""
    from ...figures.curves import panels_of
    from ...figures.text_curves import MARKS, chart

    text: list[str] = []
    for panel, together in panels_of(result.lines).items():
        keys = [f"{MARKS[place % len(MARKS)]} {line.run}: {line.figure}" for place, line in enumerate(together)]
        text += [f"{panel} by {result.by}", *chart([(line.at, line.values) for line in together]), *keys, ""]
    return text
