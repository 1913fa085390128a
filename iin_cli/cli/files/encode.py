"""`iin encode`: from images to a file of latents."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import (
    BackboneOpt,
    DataOpt,
    DataRootOpt,
    DebugOpt,
    DeviceOpt,
    JsonOpt,
    LayerOpt,
    NewFileOpt,
    QuietOpt,
    SeedOpt,
    SplitOpt,
    WeightsOpt,
)
from ..output import print_result, reporter

__all__ = ["encode"]

GroupOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--concept", "-c", help="Also number the groups that make this concept's pairs.", metavar="NAME[:ARG]"
    ),
]


def encode(
    backbone: BackboneOpt,
    data: DataOpt = None,
    out: NewFileOpt = None,
    split: SplitOpt = "all",
    concept: GroupOpt = None,
    data_root: DataRootOpt = None,
    weights: WeightsOpt = "default",
    layer: LayerOpt = None,
    seed: SeedOpt = None,
    device: DeviceOpt = "auto",
    json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Write the latents of images: z (M, N), with the item each row is and its labels.

    Tensors: z, log_variance of a stochastic encoder, indices, label.COLUMN, and with --concept group.CONCEPT.

    Examples:

      iin encode --backbone ae/ --data mnist --split test --out z.safetensors

      iin encode --backbone ae/ --data photos/ --concept greyscale --out z.safetensors --json
    """
    from ...commands.files.encode import encode as run

    result = run(
        backbone,
        data,
        out,
        data_root=data_root,
        split=split,
        concepts=concept or (),
        weights=weights,
        layer=layer,
        seed=seed,
        device=device,
        report=reporter(quiet),
    )
    print_result(result.as_dict(), json)
