"""`iin estimate-dims`: how many of the latent's dimensions each concept takes (Eq 11)."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import (
    BackboneOpt,
    ConceptOpt,
    DataOpt,
    DataRootOpt,
    DebugOpt,
    DeviceOpt,
    JsonOpt,
    LayerOpt,
    QuietOpt,
    SeedOpt,
    WeightsOpt,
)
from .output import print_result, reporter

__all__ = ["estimate_dims"]


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
    seed: SeedOpt = None,
    device: DeviceOpt = "auto",
    as_json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Estimate each factor's size from how much of the latent's variance its pairs share.

    Examples:

        iin estimate-dims --backbone ae --concept digit --concept color

        iin estimate-dims --backbone ae --concept greyscale --estimator correlation --json
    """
    from ..workflows.estimate_dims import estimate_dims as run

    result = run(
        backbone,
        concept,
        data=data,
        data_root=data_root,
        estimator=estimator,
        weights=weights,
        layer=layer,
        seed=seed,
        device=device,
        report=reporter(quiet),
    )
    print_result(result.as_dict(), as_json, [("factors", result.rows())])
