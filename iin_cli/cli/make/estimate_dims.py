"""`iin estimate-dims`: how many of the latent's dimensions each concept takes (Eq 11)."""

from __future__ import annotations

from typing import Annotated

import typer

from ...distributed import draw_seed
from ...errors import UsageError
from .. import options
from ..output import print_result, reporter

__all__ = ["estimate_dims"]

AllLayersOpt = Annotated[
    bool, typer.Option("--all-layers", help="Score every layer of the backbone, and plot the scores.")
]
NullOpt = Annotated[
    str | None,
    typer.Option("--null", help="--all-layers: random-weights also scores the untrained architecture.", metavar="NAME"),
]
ItemsOpt = Annotated[
    int | None,
    typer.Option(
        "--n",
        "-n",
        help="Training images at most, of each concept with --all-layers; default: 5000, or 4 per dimension; 2000.",
        min=20,
    ),
]


def estimate_dims(
    backbone: options.BackboneOpt,
    concept: options.ConceptOpt,
    data: options.DataOpt = None,
    data_root: options.DataRootOpt = None,
    skip_bad: options.SkipBadOpt = False,
    verify: options.VerifyOpt = False,
    estimator: Annotated[
        str, typer.Option(help="variance: share of the latent's variance; correlation: mean over components.")
    ] = "variance",
    weights: options.WeightsOpt = "default",
    layer: options.LayerOpt = None,
    precision: options.PrecisionOpt = "auto",
    all_layers: AllLayersOpt = False,
    null: NullOpt = None,
    n: ItemsOpt = None,
    out: options.OutOpt = None,
    format: options.FormatOpt = None,
    dpi: options.DpiOpt = None,
    seed: options.SeedOpt = None,
    device: options.DeviceOpt = "auto",
    as_json: options.JsonOpt = False,
    quiet: options.QuietOpt = False,
    debug: options.DebugOpt = False,
) -> None:
    """Estimate how many dimensions each concept takes.

    A concept's dimensions are the directions of z that its pairs explain beyond chance (the pair spectrum); sigma is
    the correlation of pairs in them, on held-out images. Beside them stand the sizes of Eq 11, which follow a score:
    the part of the latent's variance that pairs share, with its 95 % interval over images, the range of scores of an
    absent concept (null), z and p of the two, and the verdict. Eq 11 gives dimensions even to an absent concept (if
    absent); calibrated sizes leave these out. With --out a plot and the result are written.

    With --all-layers every layer has the score, and the sizes by the pair spectrum and by Eq 11, from variances (the
    authors' code) and from correlations (the paper). A network with random weights keeps much of an image, too: --null
    random-weights puts its scores beside. Where two concepts are cues that contradict each other, as the shape and
    texture of cueconflict, it also says which of them decides the network's answers.

    Examples:

        iin estimate-dims --backbone ae --concept digit --concept color

        iin estimate-dims --backbone ae --concept digit --concept color --out dims.png

        iin estimate-dims --backbone ae --concept greyscale --estimator correlation --json

        iin estimate-dims --backbone resnet50 --concept class --concept greyscale --all-layers --out layers

        iin estimate-dims -b resnet50 -d cueconflict -c label:shape -c label:texture --all-layers --null random-weights
    """
    from ...commands.make.estimate_dims import estimate_dims as run
    from ...commands.make.estimate_dims import estimate_layers
    from ...interpretation.data_choice import DataChoice
    from ...interpretation.network_choice import NetworkChoice
    from ...io.output import Figures

    network = NetworkChoice(backbone, weights, layer, precision)
    chosen = DataChoice(data, data_root, n=n, seed=draw_seed(seed), skip_bad=skip_bad)
    how = {"estimator": estimator, "device": device, "figures": Figures.of(format, dpi), "report": reporter(quiet)}
    if (format or dpi) and out is None:
        raise UsageError("--format and --dpi are of a figure: say where it goes with --out")
    if null is not None and not all_layers:
        raise UsageError(f"--null {null} goes with --all-layers: add that, or leave --null out")
    if all_layers:
        print_result(estimate_layers(network, concept, chosen, out, null=null, **how), as_json)
    else:
        print_result(run(network, concept, chosen, out, **how), as_json)
