"""`iin respond`: which factors the network's answer depends on, beside random subspaces of their size."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import (
    CenterOpt,
    DataOpt,
    DataRootOpt,
    DebugOpt,
    DeviceOpt,
    GammaOpt,
    JsonOpt,
    MovedBackboneOpt,
    OutOpt,
    QuietOpt,
    SeedOpt,
    SplitOpt,
    TranslatorOpt,
    WalkSigmaOpt,
)
from ..output import print_result, reporter

__all__ = ["respond"]

WalkedOpt = Annotated[
    list[str] | None,
    typer.Option("--factor", "-f", help="A factor that wanders; repeatable; default: each in turn.", metavar="NAME"),
]
ImagesOpt = Annotated[int, typer.Option("--n", "-n", help="Start images; where there are fewer, all.", min=1)]
PointsOpt = Annotated[int, typer.Option("--steps", help="Points of a walk, the start included.", min=2)]
WalksOpt = Annotated[int, typer.Option("--walks", help="Walks from each image.", min=1)]
ControlsOpt = Annotated[int, typer.Option("--controls", help="Random subspaces beside each factor.", min=1)]
RawOpt = Annotated[bool, typer.Option("--raw", help="Write every point's log-probabilities as respond.csv too.")]


def respond(
    translator: TranslatorOpt,
    factor: WalkedOpt = None,
    out: OutOpt = None,
    n: ImagesOpt = 200,
    steps: PointsOpt = 20,
    walks: WalksOpt = 1,
    gamma: GammaOpt = 0.1,
    walk_sigma: WalkSigmaOpt = None,
    center: CenterOpt = "origin",
    controls: ControlsOpt = 3,
    raw: RawOpt = False,
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
    """Let one factor wander at a time and measure how much the network's answer changes (Fig 9).

    A larger factor moves more, whatever it means: beside each stand walks in random subspaces of its size, and the
    verdict says whether the difference is more than chance. Of a classifier: flipped predictions, KL, log-probabilities
    by class; of an autoencoder: the change of the image. All with 95 % intervals over images.

    Examples:

      iin respond --translator runs/00003-fit-translator

      iin respond -t t.safetensors --factor digit --factor color --n 500 --out response

      iin respond -t t.safetensors --steps 50 --raw --out response --json
    """
    from ...measures.responses.respond import respond as run

    result = run(
        translator,
        factor or (),
        out,
        n=n,
        steps=steps,
        walks=walks,
        gamma=gamma,
        walk_sigma=walk_sigma,
        center=center,
        controls=controls,
        raw=raw,
        data=data,
        data_root=data_root,
        split=split,
        seed=seed,
        backbone=backbone,
        device=device,
        report=reporter(quiet),
    )
    print_result(result.as_dict(), json, result.tables())
