"""`iin walk`: see what the backbone shows or predicts along a walk in the interpretable representation."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import (
    DataOpt,
    DataRootOpt,
    DebugOpt,
    DeviceOpt,
    JsonOpt,
    MovedBackboneOpt,
    OutOpt,
    QuietOpt,
    SeedOpt,
    SourceOpt,
    SplitOpt,
    TargetOpt,
    TranslatorOpt,
)
from .output import print_result, reporter

__all__ = ["walk"]

ModeOpt = Annotated[str, typer.Option("--mode", help="linear, between two images; or ou, at random.", metavar="MODE")]
MovingOpt = Annotated[
    list[str] | None,
    typer.Option("--factor", "-f", help="A factor that moves; repeatable; linear: default all.", metavar="NAME"),
]
PointsOpt = Annotated[
    int | None, typer.Option("--steps", help="Points of a walk; default: 8 of images, 50 of a classifier.", min=2)
]
WalksOpt = Annotated[int, typer.Option("--n", help="Walks, where images come from the data.", min=1)]
GammaOpt = Annotated[float, typer.Option("--gamma", help="ou: rate of return to the centre, in (0, 1].")]
WalkSigmaOpt = Annotated[
    float | None, typer.Option("--walk-sigma", help="ou: step size; default: what keeps N(0, 1) as it is.", min=0)
]
CenterOpt = Annotated[
    str, typer.Option("--center", help="ou: pulled back to the origin or the input.", metavar="WHERE")
]


def walk(
    translator: TranslatorOpt,
    mode: ModeOpt = "linear",
    factor: MovingOpt = None,
    target: TargetOpt = None,
    source: SourceOpt = None,
    out: OutOpt = None,
    steps: PointsOpt = None,
    n: WalksOpt = 4,
    gamma: GammaOpt = 0.1,
    walk_sigma: WalkSigmaOpt = None,
    center: CenterOpt = "origin",
    backbone: MovedBackboneOpt = None,
    data: DataOpt = None,
    data_root: DataRootOpt = None,
    split: SplitOpt = "test",
    seed: SeedOpt = None,
    device: DeviceOpt = "auto",
    json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Walk from image to image, or at random, and draw what the backbone shows or predicts on the way.

    linear (Fig 4): the straight line in z̃ above the straight line in z between the same ends. ou (Eq 17): the chosen
    factors wander, all others stay. Of a classifier: class log-probabilities and predictions.

    Examples:

      iin walk --translator runs/00003-fit-translator --out walk.png

      iin walk -t t.safetensors --mode linear --factor digit --target 3.png --source 8.png --out digit.png

      iin walk -t t.safetensors --mode ou --factor color --steps 100 --json
    """
    from ..workflows.walk import walk as run

    result = run(
        translator,
        mode,
        factor or (),
        target or (),
        source or (),
        out,
        steps=steps,
        n=n,
        gamma=gamma,
        walk_sigma=walk_sigma,
        center=center,
        data=data,
        data_root=data_root,
        split=split,
        seed=seed,
        backbone=backbone,
        device=device,
        report=reporter(quiet),
    )
    print_result(result.as_dict(), json)
