"""`iin embed`: maps of the latent space, walks drawn in, and of its factors against each other."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from .. import options
from ..early import known_factors
from ..output import print_result, reporter

__all__ = ["embed"]

KindOpt = Annotated[
    list[str] | None,
    typer.Option("--kind", help="latent, product or residual; repeatable; default: all three.", metavar="KIND"),
]
MethodOpt = Annotated[str, typer.Option("--method", help="umap (needs iin-cli[umap]) or pca.", metavar="METHOD")]
DrawnOpt = Annotated[
    list[str] | None,
    typer.Option("--factor", "-f", help="A factor to walk and to draw; repeatable; default: all.", metavar="NAME"),
]
ColorByOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--color-by", help="A label column that colours dots; repeatable; default: as factors.", metavar="COLUMN"
    ),
]
ImagesOpt = Annotated[int, typer.Option("--n", "-n", help="Images to embed, drawn from the data.", min=1)]
PointsOpt = Annotated[int, typer.Option("--steps", help="Points of a walk.", min=2)]
CoordinatesOpt = Annotated[
    bool, typer.Option("--coordinates", help="Write embed.csv: each image's labels and places on the maps.")
]


def embed(
    translator: options.TranslatorOpt,
    kind: KindOpt = None,
    out: options.OutOpt = None,
    format: options.FormatOpt = None,
    dpi: options.DpiOpt = None,
    method: MethodOpt = "umap",
    factor: DrawnOpt = None,
    color_by: ColorByOpt = None,
    n: ImagesOpt = 1000,
    steps: PointsOpt = 50,
    gamma: options.GammaOpt = 0.1,
    walk_sigma: options.WalkSigmaOpt = None,
    coordinates: CoordinatesOpt = False,
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
    """Draw maps on which images alike to the network are near.

    latent: z by class, with a walk of each factor from one image (Fig 10). product: the 1-D embedding of each factor
    against another's, coloured by each concept's label (Figs 9, 13, 14), and as GIF: images take one factor, then the
    other, from a partner, and move along one axis at a time; beside it is what the network draws or predicts on the
    way. residual: in 2-D; where a concept's colours do not mix, some of the concept was left in it.

    Examples:

      iin embed --translator runs/00003-fit-translator

      iin embed -t t.safetensors --kind latent --factor digit --factor color --out map.png

      iin embed -t t.safetensors --kind product --method pca --n 2000 --out product.gif
    """
    known_factors(translator, factor or ())
    from ...commands.read.embed import embed as run
    from ...distributed import draw_seed
    from ...interpretation.data_choice import DataChoice
    from ...io.output import Figures
    from ...measures.embedding.embed import MapChoice
    from ...translator.edit import OUWalk

    choice = DataChoice(data, data_root, split, n, draw_seed(seed), skip_bad=skip_bad)
    # A choice refuses words that it does not know.
    maps = MapChoice(cast("Any", tuple(kind or ())), cast("Any", method), tuple(color_by or ()))
    walk = OUWalk(tuple(factor or ()), steps, gamma, walk_sigma)
    where = {"backbone": backbone, "device": device, "figures": Figures.of(format, dpi), "report": reporter(quiet)}
    result = run(translator, choice, maps, walk, out, coordinates=coordinates, **where)
    print_result(result, json)
