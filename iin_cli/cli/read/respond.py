"""`iin respond`: how far a network's answer moves with each factor, beside random subspaces of its size."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from .. import options
from ..early import known_factors
from ..output import print_result, reporter

__all__ = ["respond"]

WalkedOpt = Annotated[
    list[str] | None,
    typer.Option("--factor", "-f", help="A factor that wanders; repeatable; default: each in turn.", metavar="NAME"),
]
ImagesOpt = Annotated[
    int | None,
    typer.Option(
        "--n",
        "-n",
        help="Start images; where there are fewer, all.  [default: 500, of large images that are drawn 100]",
        min=1,
    ),
]
PointsOpt = Annotated[int, typer.Option("--steps", help="Points of a walk, the start included.", min=2)]
WalksOpt = Annotated[int, typer.Option("--walks", help="Walks from each image.", min=1)]
ControlsOpt = Annotated[int, typer.Option("--controls", help="Random subspaces beside each factor.", min=1)]
RawOpt = Annotated[bool, typer.Option("--raw", help="Write every point's log-probabilities as respond.csv too.")]


def respond(
    translator: options.TranslatorOpt,
    factor: WalkedOpt = None,
    out: options.OutOpt = None,
    format: options.FormatOpt = None,
    dpi: options.DpiOpt = None,
    n: ImagesOpt = None,
    steps: PointsOpt = 20,
    walks: WalksOpt = 1,
    gamma: options.GammaOpt = 0.1,
    walk_sigma: options.WalkSigmaOpt = None,
    center: options.CenterOpt = "origin",
    controls: ControlsOpt = 3,
    raw: RawOpt = False,
    concept: options.KnownConceptsOpt = None,
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
    """Measure how far the answer moves with each factor (Fig 9).

    One factor wanders at a time. A larger factor moves the answer more, whatever it means: beside each stand walks in
    random subspaces of its size, and the verdict says whether the difference is more than chance. A classifier is
    measured by flipped predictions, KL, and log-probabilities by class; an autoencoder by the change of the image.
    Where the data can be edited for real (greyscale, rotation, another colour, or another image with another label and
    the other factors' labels), it says what that does to the answer, and what share of it exchanging the factor alone
    reproduces. All figures have 95 % intervals over images.

    Examples:

      iin respond --translator runs/00003-fit-translator

      iin respond -t t.safetensors --factor digit --factor color --n 500 --out response

      iin respond -t t.safetensors --steps 50 --raw --out response --json
    """
    known_factors(translator, factor or ())
    from ...commands.read.respond import respond as run
    from ...distributed import draw_seed
    from ...interpretation.data_choice import DataChoice
    from ...io.output import Figures
    from ...measures.responses.walks import WalkDesign
    from ...translator.edit import OUWalk

    choice = DataChoice(data, data_root, split, n, draw_seed(seed), skip_bad=skip_bad)
    # A walk refuses another center than it knows.
    walk = OUWalk(tuple(factor or ()), steps, gamma, walk_sigma, cast("Any", center))
    design = WalkDesign(walk, walks, controls, choice.seed)
    given = {"raw": raw, "concepts": concept or (), "backbone": backbone, "device": device}
    given["figures"] = Figures.of(format, dpi)
    result = run(translator, choice, design, out, **given, report=reporter(quiet))
    print_result(result, json)
