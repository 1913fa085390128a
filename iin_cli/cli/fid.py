"""`iin fid`: the Fréchet distance between two sets of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import BatchOpt, DataRootOpt, DebugOpt, DeviceOpt, JsonOpt, MovedBackboneOpt, QuietOpt, SplitOpt
from .output import print_result, reporter

__all__ = ["fid"]

SET = "a folder of images, a dataset, a translator or a statistics file"
FirstArg = Annotated[str, typer.Argument(help=f"One set: {SET}.", metavar="A", show_default=False)]
SecondArg = Annotated[str, typer.Argument(help=f"The other set: {SET}.", metavar="B", show_default=False)]
CountOpt = Annotated[
    int | None,
    typer.Option("--n", help="Images of each set; default: all, of a translator as many as the other has.", min=2),
]
FeatureWeightsOpt = Annotated[
    Path | None,
    typer.Option(
        "--weights", help="The feature network's weights (.pth, .safetensors); default: the official.", metavar="FILE"
    ),
]
ChoiceSeedOpt = Annotated[
    int, typer.Option("--seed", help="First seed of the images generated; also chooses --n of more images.", min=0)
]
SaveStatsOpt = Annotated[
    Path | None,
    typer.Option("--save-stats", help="Keep the statistics of A in this new .safetensors file.", metavar="FILE"),
]


def fid(
    a: FirstArg,
    b: SecondArg,
    n: CountOpt = None,
    weights: FeatureWeightsOpt = None,
    split: SplitOpt = "test",
    save_stats: SaveStatsOpt = None,
    data_root: DataRootOpt = None,
    backbone: MovedBackboneOpt = None,
    seed: ChoiceSeedOpt = 0,
    device: DeviceOpt = "auto",
    batch: BatchOpt = 50,
    json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Measure the Fréchet distance between two sets of images.

    With pytorch-fid's official Inception weights the result is called fid, with any other weights fd. Statistics are
    cached, so a set costs its pass through the network once.

    Examples:

      iin fid runs/00003-fit-translator-autoencoder-digit mnist --n 10000

      iin fid photos/ generated/ --weights pt_inception-2015-12-05-6726825d.pth --json

      iin fid photos/ generated/ --save-stats photos.safetensors
    """
    from dataclasses import asdict

    from ..workflows.fid import compute_fid

    result = compute_fid(
        a,
        b,
        n=n,
        weights=weights,
        data_root=data_root,
        backbone=backbone,
        split=split,
        device=device,
        batch=batch,
        seed=seed,
        save_stats=save_stats,
        reporter=reporter(quiet),
    )
    print_result(asdict(result), json)
