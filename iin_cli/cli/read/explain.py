"""`iin explain`: what each factor does to a prediction, told by class probabilities and the nearest real images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import (
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
    SourceOpt,
    SplitOpt,
    TranslatorOpt,
    WalkSigmaOpt,
)
from ..output import print_result, reporter

__all__ = ["explain"]

ImagesArg = Annotated[
    list[Path] | None,
    typer.Argument(help="Images or folders to explain; default: test images of the data.", metavar="[IMAGE]..."),
]
ModeOpt = Annotated[
    str, typer.Option("--mode", help="swap: factors of source images; walk: of random walks.", metavar="MODE")
]
ChangedOpt = Annotated[
    list[str] | None,
    typer.Option("--factor", "-f", help="A factor to change; repeatable; default: each.", metavar="NAME"),
]
SourcesOpt = Annotated[int, typer.Option("--sources", help="Edits of each factor: sources drawn, or walks.", min=1)]
NearestOpt = Annotated[int, typer.Option("--k", help="Nearest real images shown for an edit.", min=1)]
SpaceOpt = Annotated[
    str, typer.Option("--space", help="Distance in z-tilde (whitened) or in z, Euclidean in both.", metavar="SPACE")
]
TopOpt = Annotated[int, typer.Option("--top", help="Classes to report.", min=1)]
SearchOpt = Annotated[
    int | None,
    typer.Option(
        "--search", help="Training images searched at most; default: all if their latents are cached, else 5000.", min=1
    ),
]
PointsOpt = Annotated[int, typer.Option("--steps", help="walk: points of a walk, whose last is the edit.", min=2)]
CountOpt = Annotated[int, typer.Option("--n", "-n", help="Images to explain, where none is named.", min=1)]


def explain(
    translator: TranslatorOpt,
    image: ImagesArg = None,
    out: OutOpt = None,
    mode: ModeOpt = "swap",
    factor: ChangedOpt = None,
    sources: SourcesOpt = 16,
    source: SourceOpt = None,
    k: NearestOpt = 5,
    space: SpaceOpt = "z-tilde",
    top: TopOpt = 5,
    search: SearchOpt = None,
    steps: PointsOpt = 20,
    gamma: GammaOpt = 0.1,
    walk_sigma: WalkSigmaOpt = None,
    n: CountOpt = 1,
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
    """Change each factor of an image and see what the network then predicts, and which real images look like that.

    No decoder is needed: of every edited z the nearest training images are shown. Distances are Euclidean in z̃, whose
    factors are N(0, 1) and so on one scale, or in z. Intervals are over the sources.

    Examples:

      iin explain cat.jpg --translator runs/00003-fit-translator

      iin explain -t t.safetensors --n 4 --factor digit --sources 64 --json

      iin explain 7.png -t t.safetensors --mode walk --out seven.png
    """
    from ...measures.explanation.explain import explain as run

    result = run(
        translator,
        image or (),
        out,
        mode=mode,
        factors=factor or (),
        sources=sources,
        source=source or (),
        k=k,
        space=space,
        top=top,
        search=search,
        steps=steps,
        gamma=gamma,
        walk_sigma=walk_sigma,
        data=data,
        data_root=data_root,
        split=split,
        n=n,
        seed=seed,
        backbone=backbone,
        device=device,
        report=reporter(quiet),
    )
    print_result(result.as_dict(), json, result.tables())
