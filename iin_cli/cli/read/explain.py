"""`iin explain`: what each factor does to a prediction, shown by class probabilities and the nearest real images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from .. import options
from ..addresses import FROM_HUB
from ..early import known_factors
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
    str,
    typer.Option(
        "--space", help="Where the nearest are searched: network (z and its answer), z, or z-tilde.", metavar="SPACE"
    ),
]
TopOpt = Annotated[int, typer.Option("--top", help="Classes to report.", min=1)]
SearchOpt = Annotated[
    int | None,
    typer.Option(
        "--search", help="Training images searched at most; default: all if their latents are cached, else 5000.", min=1
    ),
]
TargetClassOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        help="Find the smallest edits that the network calls CLASS; repeatable; all: each other class.",
        metavar="CLASS",
    ),
]
OracleOpt = Annotated[
    Path | None,
    typer.Option("--oracle", help="--target: a classifier of the images that the network draws.", metavar="CKPT"),
    FROM_HUB,
]
PointsOpt = Annotated[int, typer.Option("--steps", help="walk: points of a walk, whose last is the edit.", min=2)]
CountOpt = Annotated[int, typer.Option("--n", "-n", help="Images to explain, where none is named.", min=1)]


def explain(
    translator: options.TranslatorOpt,
    image: ImagesArg = None,
    out: options.OutOpt = None,
    format: options.FormatOpt = None,
    dpi: options.DpiOpt = None,
    target: TargetClassOpt = None,
    oracle: OracleOpt = None,
    mode: ModeOpt = "swap",
    factor: ChangedOpt = None,
    sources: SourcesOpt = 16,
    source: options.SourceOpt = None,
    k: NearestOpt = 5,
    space: SpaceOpt = "network",
    top: TopOpt = 5,
    search: SearchOpt = None,
    steps: PointsOpt = 20,
    gamma: options.GammaOpt = 0.1,
    walk_sigma: options.WalkSigmaOpt = None,
    n: CountOpt = 1,
    backbone: options.MovedBackboneOpt = None,
    data: options.DataOpt = None,
    data_root: options.DataRootOpt = None,
    skip_bad: options.SkipBadOpt = False,
    verify: options.VerifyOpt = False,
    split: options.SplitOpt = "test",
    seed: options.SeedOpt = None,
    device: options.DeviceOpt = "auto",
    json: options.JsonOpt = False,
    quiet: options.QuietOpt = False,
    debug: options.DebugOpt = False,
) -> None:
    """Show what each factor does to a prediction.

    Each factor of an image is changed many times. No decoder is needed: for every edited z the nearest training images
    are shown, by z and the network's answer in equal parts, and how many of them have the edit's answer. Intervals are
    over the sources.

    --target finds instead the smallest change of each factor, and of all at once, with which the network says that
    class: its size in standard deviations, how likely real images are beside the edit, and which are nearest. Of many
    images a matrix says which factor is the cheapest way from class to class.

    Examples:

      iin explain cat.jpg --translator runs/00003-fit-translator

      iin explain -t t.safetensors --n 4 --factor digit --sources 64 --json

      iin explain 7.png -t t.safetensors --mode walk --out seven.png

      iin explain 7.png -t t.safetensors --target 1 --factor digit

      iin explain -t t.safetensors --n 32 --target all
    """
    known_factors(translator, factor or ())
    from ...commands.read.explain import explain as run
    from ...distributed import draw_seed
    from ...errors import UsageError
    from ...interpretation.data_choice import DataChoice
    from ...io.output import Figures
    from ...measures.explanation.edits import EditChoice
    from ...measures.explanation.library import LibraryChoice
    from ...translator.edit import OUWalk

    choice = DataChoice(data, data_root, split, n, draw_seed(seed), skip_bad=skip_bad)
    # Choices refuse words that they do not know.
    neighbours = LibraryChoice(k, cast("Any", space), search)
    where = {"backbone": backbone, "device": device, "figures": Figures.of(format, dpi)}
    if target:
        from ...commands.read.counterfactuals import Aim, find_ways

        if source or mode != "swap":
            raise UsageError("--target searches edits instead of trying some: leave --mode and --source out")
        aim = Aim(tuple(target), tuple(factor or ()), oracle)
        ways = find_ways(translator, choice, aim, neighbours, image or (), out, **where, report=reporter(quiet))
        print_result(ways, json)
        return
    if oracle is not None:
        raise UsageError("--oracle says what edits are called that --target searches: give --target, or leave it out")
    walk = OUWalk((), steps, gamma, walk_sigma)
    edits = EditChoice(cast("Any", mode), tuple(factor or ()), sources, tuple(source or ()), walk)
    result = run(translator, choice, edits, neighbours, image or (), out, top=top, **where, report=reporter(quiet))
    print_result(result, json)
