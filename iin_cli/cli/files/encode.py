"""`iin encode`: from images to a file of latents."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import options
from ..output import print_result, reporter

__all__ = ["encode"]

GroupOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--concept",
        "-c",
        help="Also number this concept's groups, which make its pairs; repeatable.",
        metavar="NAME[:ARG]",
    ),
]


def encode(
    backbone: options.BackboneOpt,
    data: options.DataOpt = None,
    out: options.NewFileOpt = None,
    split: options.SplitOpt = "all",
    concept: GroupOpt = None,
    data_root: options.DataRootOpt = None,
    skip_bad: options.SkipBadOpt = False,
    verify: options.VerifyOpt = False,
    weights: options.WeightsOpt = "default",
    layer: options.LayerOpt = None,
    precision: options.PrecisionOpt = "auto",
    seed: options.SeedOpt = None,
    device: options.DeviceOpt = "auto",
    json: options.JsonOpt = False,
    quiet: options.QuietOpt = False,
    debug: options.DebugOpt = False,
) -> None:
    """Encode images to a file of latents.

    Tensors: z (M, N), log_variance of a stochastic encoder, indices (the item each row is), label.COLUMN, and with
    --concept group.CONCEPT.

    Examples:

      iin encode --backbone ae/ --data mnist --split test --out z.safetensors

      iin encode --backbone ae/ --data photos/ --concept greyscale --out z.safetensors --json
    """
    from ...commands.files.encode import encode as run
    from ...distributed import draw_seed
    from ...interpretation.data_choice import DataChoice

    choice = DataChoice(data, data_root, split, None, draw_seed(seed), skip_bad=skip_bad)
    result = run(
        backbone,
        choice,
        out,
        concept or (),
        weights=weights,
        layer=layer,
        precision=precision,
        device=device,
        report=reporter(quiet),
    )
    print_result(result, json)
