"""`iin preview-concept`: look at a concept's pairs before an hour is spent on them."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import DataRootOpt, DebugOpt, DeviceOpt, JsonOpt, OutOpt, QuietOpt, SeedOpt
from ..output import print_result, reporter

__all__ = ["preview_concept"]

OneConceptOpt = Annotated[
    str, typer.Option("--concept", "-c", help="The concept, NAME or NAME:ARGUMENT.", metavar="NAME[:ARG]")
]
PreviewDataOpt = Annotated[
    str | None,
    typer.Option(
        "--data", "-d", help="A dataset's name or a folder of images; default: as fit-translator.", metavar="NAME|DIR"
    ),
]
GroupsOpt = Annotated[int, typer.Option("--n", "-n", help="Groups to show, a row each.", min=1, max=256)]
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
    n: GroupsOpt = 8,
    image_size: ImageSizeOpt = None,
    out: OutOpt = None,
    seed: SeedOpt = None,
    device: DeviceOpt = "auto",
    as_json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Draw a grid of a concept's groups: any two images of a row make a pair that a translator is fitted to.

    A row is an image and its variants (differ: all in common but the concept), or images that share the concept and
    nothing else. A concept that has to be learned first (a sketch) is learned here as it would be by the fit.

    Examples:

      iin preview-concept --concept rotation --data digits --out rotation.png

      iin preview-concept -c attribute:roundness -d shapes --n 12 --seed 0

      iin preview-concept -c label:person -d photos/ --image-size 224 --json
    """
    from ...commands.make.preview_concept import preview_concept as run

    result = run(
        concept,
        data,
        out,
        data_root=data_root,
        n=n,
        image_size=image_size,
        seed=seed,
        device=device,
        report=reporter(quiet),
    )
    print_result(result.as_dict(), as_json)
