"""`iin preview-concept`: look at a concept's pairs before fitting to them."""

from __future__ import annotations

from typing import Annotated

import typer

from ...distributed import draw_seed
from ..early import known_data
from ..options import (
    DataRootOpt,
    DebugOpt,
    DeviceOpt,
    DpiOpt,
    FormatOpt,
    JsonOpt,
    OutOpt,
    QuietOpt,
    SeedOpt,
    SkipBadOpt,
    VerifyOpt,
)
from ..output import print_result, reporter

__all__ = ["preview_concept"]

OneConceptOpt = Annotated[
    str, typer.Option("--concept", "-c", help="The concept, NAME or NAME:ARGUMENT.", metavar="NAME[:ARG]")
]
PreviewDataOpt = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        help="A dataset's name or a folder of images; default: as fit-translator.",
        metavar="NAME|DIR",
        callback=known_data,
    ),
]
GroupsOpt = Annotated[int, typer.Option("--n", "-n", help="Groups to show, one per row.", min=1, max=256)]
ImageSizeOpt = Annotated[
    int | None,
    typer.Option(
        "--image-size", help="Side of the images, the backbone's if possible; default: their own, at most 224.", min=8
    ),
]


def preview_concept(
    concept: OneConceptOpt,
    data: PreviewDataOpt = None,
    data_root: DataRootOpt = None,
    skip_bad: SkipBadOpt = False,
    verify: VerifyOpt = False,
    n: GroupsOpt = 8,
    image_size: ImageSizeOpt = None,
    out: OutOpt = None,
    format: FormatOpt = None,
    dpi: DpiOpt = None,
    seed: SeedOpt = None,
    device: DeviceOpt = "auto",
    as_json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Draw the pairs of a concept as a grid.

    Any two images of a row make a pair that a translator is fitted to: an image and its variants, which differ in
    nothing but the concept, or images that share the concept and nothing else. A concept that has to be learned first
    (a sketch) is learned as the fit would learn it.

    Examples:

      iin preview-concept --concept rotation --data digits --out rotation.png

      iin preview-concept -c attribute:roundness -d shapes --n 12 --seed 0

      iin preview-concept -c label:person -d photos/ --image-size 224 --json
    """
    from ...commands.make.preview_concept import preview_concept as run
    from ...interpretation.data_choice import DataChoice
    from ...io.output import Figures

    chosen = DataChoice(data, data_root, seed=draw_seed(seed), skip_bad=skip_bad)
    given = {"n": n, "image_size": image_size, "device": device, "figures": Figures.of(format, dpi)}
    result = run(concept, chosen, out, **given, report=reporter(quiet))
    print_result(result, as_json)
