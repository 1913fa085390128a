"""`iin import-compvis`: open the published checkpoints of the authors' release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import DebugOpt, JsonOpt, parse_assignments
from ..output import print_result

__all__ = ["import_compvis"]

FileArg = Annotated[Path, typer.Argument(help="A published .ckpt file.", show_default=False)]
NewFileOpt = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="New .safetensors file; default: in a numbered folder in runs/.", metavar="FILE"),
]
FactorsOpt = Annotated[
    str | None,
    typer.Option("--factors", help="A translator's factors and sizes, in its order.", metavar="NAME=SIZE,…"),
]
ReadBackboneOpt = Annotated[
    Path | None,
    typer.Option("--backbone", "-b", help="The imported backbone that the translator reads.", metavar="CKPT"),
]


def import_compvis(
    file: FileArg,
    out: NewFileOpt = None,
    factors: FactorsOpt = None,
    backbone: ReadBackboneOpt = None,
    json: JsonOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Turn a published checkpoint of the authors' release into one of iin's.

    Translators, autoencoders and classifiers are told apart by what the file holds. It is read as weights only: nothing
    in it is run.

    Examples:

      iin import-compvis clf.ckpt --out clf.safetensors

      iin import-compvis clf_diin.ckpt --factors digit=22,color=11,residual=31 -b clf.safetensors -o t.safetensors
    """
    from dataclasses import asdict

    from ...commands.files.import_compvis import import_compvis as run

    result = run(file, out, factors=parse_assignments(factors, "--factors"), backbone=backbone)
    sizes = [{"factor": name, "dimensions": size} for name, size in result.factors.items()]
    print_result(asdict(result), json, [("factors", sizes)] if sizes else [])
