"""`iin sample`: draw images from the interpretable representation."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import (
    BatchOpt,
    DebugOpt,
    DeviceOpt,
    JsonOpt,
    MovedBackboneOpt,
    OutOpt,
    QuietOpt,
    TranslatorOpt,
    parse_seeds,
)
from .output import print_result, reporter

__all__ = ["sample"]

SeedsOpt = Annotated[str, typer.Option("--seeds", help="One image each: 0-9999, or 1,5,20-29.", metavar="SEEDS")]
FormatOpt = Annotated[
    str, typer.Option("--format", help="png (000123.png is seed 123), npz or safetensors.", metavar="FORMAT")
]


def sample(
    translator: TranslatorOpt,
    seeds: SeedsOpt,
    out: OutOpt = None,
    batch: BatchOpt = 64,
    format: FormatOpt = "png",
    backbone: MovedBackboneOpt = None,
    device: DeviceOpt = "auto",
    json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Draw the image of each seed (Eq 13), alone or under torchrun.

    An image depends on its seed only: the same seed gives the same file, whatever the batch and the other seeds.

    Examples:

      iin sample --translator runs/00003-fit-translator --seeds 0-9999 --out samples

      iin sample -t t.safetensors --seeds 0-49999 --format npz --out samples --json

      torchrun --nproc-per-node 8 -m iin_cli sample -t t.safetensors --seeds 0-49999 --out samples
    """
    from ..workflows.sample import sample as run

    result = run(
        translator,
        parse_seeds(seeds),
        out,
        batch=batch,
        format=format,
        backbone=backbone,
        device=device,
        report=reporter(quiet),
    )
    print_result(result.as_dict(), json)
