"""`iin import-compvis`: open the checkpoints that the paper's authors published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..addresses import FROM_HUB
from ..options import DebugOpt, JsonOpt, NewFileOpt, parse_assignments
from ..output import print_result

__all__ = ["import_compvis"]

FileArg = Annotated[Path, typer.Argument(help="A published .ckpt file.", show_default=False)]
FactorsOpt = Annotated[
    str | None,
    typer.Option("--factors", help="A translator's factors and sizes, in its order.", metavar="NAME=SIZE,…"),
]
ReadBackboneOpt = Annotated[
    Path | None,
    typer.Option("--backbone", "-b", help="The imported backbone that the translator reads.", metavar="CKPT"),
    FROM_HUB,
]


def import_compvis(
    file: FileArg,
    out: NewFileOpt = None,
    factors: FactorsOpt = None,
    backbone: ReadBackboneOpt = None,
    json: JsonOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Convert a checkpoint that the paper's authors published.

    The command finds out whether the file holds a translator, an autoencoder or a classifier. It reads weights only and
    runs nothing that is in the file.

    Examples:

      iin import-compvis clf.ckpt --out clf.safetensors

      iin import-compvis clf_diin.ckpt --factors digit=22,color=11,residual=31 -b clf.safetensors -o t.safetensors
    """
    from ...commands.files.import_compvis import import_compvis as run

    result = run(file, out, factors=parse_assignments(factors, "--factors"), backbone=backbone)
    print_result(result, json)
