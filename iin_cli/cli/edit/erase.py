"""`iin erase`: write a network whose answers no longer depend on a factor."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import options
from ..early import known_factors
from ..output import print_result, reporter

__all__ = ["erase"]

DrawsOpt = Annotated[
    int,
    typer.Option(
        help="Average the answers over this many draws of the factors; 0 sets the factors to their mean.", min=0
    ),
]
CountOpt = Annotated[
    int | None,
    typer.Option("--n", "-n", help="Images to measure the effect on; default: 512, or what there is.", min=2),
]


def erase(
    translator: options.TranslatorOpt,
    factor: options.FactorOpt,
    draws: DrawsOpt = 0,
    concept: options.KnownConceptsOpt = None,
    out: options.OutOpt = None,
    backbone: options.MovedBackboneOpt = None,
    data: options.DataOpt = None,
    data_root: options.DataRootOpt = None,
    skip_bad: options.SkipBadOpt = False,
    verify: options.VerifyOpt = False,
    split: options.SplitOpt = "test",
    n: CountOpt = None,
    seed: options.SeedOpt = None,
    device: options.DeviceOpt = "auto",
    as_json: options.JsonOpt = False,
    quiet: options.QuietOpt = False,
    debug: options.DebugOpt = False,
) -> None:
    """Write a network whose answers no longer depend on a factor.

    The new backbone sets the factor to its mean in every latent, for what `encode` gives and for what is answered. It
    holds copies of the network and the translator, and every command takes it by --backbone.

    What the other factors keep of the concept is learned from the training images and taken out as well, where the
    factor was fitted to pairs in which it alone differs (redraw:NAME, an image operation): of two such images it takes
    what tells them apart, and nothing that merely goes with the concept. Of pairs that share the factor it stays, and
    where a bias in the data makes the factor go with another one, both are erased.

    The result says how well a linear probe and a small network tell the concept from test images' latents, before and
    after, and what chance is.

    Examples:

      iin erase --translator t --factor color --out colorblind

      iin erase -t t.safetensors -f color -f greyscale --out colorblind.safetensors --json

      iin erase -t t --factor color --draws 16

      iin erase -t t --factor rotation --concept rotation:45
    """
    known_factors(translator, factor or ())
    from ...commands.edit.erase import erase_factors
    from ...distributed import draw_seed
    from ...editing.erasing import Erasing
    from ...interpretation.data_choice import DataChoice

    drawn = draw_seed(seed)
    result = erase_factors(
        translator,
        Erasing(tuple(dict.fromkeys(factor)), draws, drawn),
        out,
        choice=DataChoice(data, data_root, split, n, drawn, skip_bad=skip_bad),
        concepts=concept or (),
        backbone=backbone,
        device=device,
        report=reporter(quiet),
    )
    print_result(result, as_json)
