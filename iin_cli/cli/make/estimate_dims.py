"""`iin estimate-dims`: how many of the latent's dimensions each concept takes (Eq 11)."""

from __future__ import annotations

from typing import Annotated

import typer

from ...errors import UsageError
from ..options import (
    BackboneOpt,
    ConceptOpt,
    DataOpt,
    DataRootOpt,
    DebugOpt,
    DeviceOpt,
    JsonOpt,
    LayerOpt,
    OutOpt,
    QuietOpt,
    SeedOpt,
    WeightsOpt,
)
from ..output import print_result, reporter

__all__ = ["estimate_dims"]

AllLayersOpt = Annotated[
    bool, typer.Option("--all-layers", help="Score every layer of the backbone, and plot which knows what.")
]
ItemsOpt = Annotated[int, typer.Option("--n", "-n", help="--all-layers: training items per concept at most.", min=20)]


def estimate_dims(
    backbone: BackboneOpt,
    concept: ConceptOpt,
    data: DataOpt = None,
    data_root: DataRootOpt = None,
    estimator: Annotated[
        str, typer.Option(help="variance: share of the latent's variance; correlation: mean over components.")
    ] = "variance",
    weights: WeightsOpt = "default",
    layer: LayerOpt = None,
    all_layers: AllLayersOpt = False,
    n: ItemsOpt = 2000,
    out: OutOpt = None,
    seed: SeedOpt = None,
    device: DeviceOpt = "auto",
    as_json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Estimate each factor's size from how much of the latent's variance its pairs share (Eq 11).

    Beside each score: its 95 % interval over images; null, what a concept would score that is not there; z and p of the
    two against each other, all directions of the latent counted alike; and the verdict. Eq 11 gives dimensions even to
    what is not there (if absent); calibrated sizes leave these out, for `iin fit-translator --dims`.

    Examples:

        iin estimate-dims --backbone ae --concept digit --concept color

        iin estimate-dims --backbone ae --concept greyscale --estimator correlation --json

        iin estimate-dims --backbone resnet50 --concept class --concept greyscale --all-layers --out layers
    """
    options = {
        "data": data,
        "data_root": data_root,
        "estimator": estimator,
        "weights": weights,
        "seed": seed,
        "device": device,
        "report": reporter(quiet),
    }
    if all_layers:
        from ...sizing.layers import sweep_layers

        if layer is not None:
            raise UsageError(f"--layer {layer}: --all-layers looks at every layer; leave one of them out")
        result = sweep_layers(backbone, concept, out, n=n, **options)
    else:
        from ...sizing.estimate_dims import estimate_dims as run

        if out is not None:
            raise UsageError(f"--out {out}: only --all-layers writes files; leave it out, or keep the result of --json")
        result = run(backbone, concept, layer=layer, **options)
    print_result(result.as_dict(), as_json, result.tables())
