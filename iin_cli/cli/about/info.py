"""`iin info`: what a checkpoint is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..addresses import FROM_HUB
from ..options import DebugOpt, JsonOpt
from ..output import print_result, reporter

__all__ = ["info"]

PathArg = Annotated[
    Path,
    typer.Argument(help="A checkpoint, a run folder, or hf:owner/name.", metavar="FILE|DIR", show_default=False),
    FROM_HUB,
]


def info(path: PathArg, json: JsonOpt = False, debug: DebugOpt = False) -> None:
    """Describe a checkpoint: kind, factors, backbone, data.

    A run folder is described as all its checkpoints, with --json under the key checkpoints.

    Examples:

      iin info runs/00003-fit-translator-autoencoder-digit

      iin info translator.safetensors --json
    """
    from ...io.describe import describe

    found = describe(path)
    for file, why in found.refused.items():
        reporter().warn(f"{file} left out: {why}")
    if json:
        print_result(found.as_dict(), True)
    else:
        for entry in found.checkpoints:
            print_result(entry.summary(), False, entry.tables())
