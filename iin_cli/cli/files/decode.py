"""`iin decode`: from a file of latents to images, or to a classifier's logits."""

from __future__ import annotations

from ..options import BackboneOpt, DebugOpt, DeviceOpt, JsonOpt, LatentsOpt, LayerOpt, OutOpt, QuietOpt, WeightsOpt
from ..output import print_result, reporter

__all__ = ["decode"]


def decode(
    backbone: BackboneOpt,
    latents: LatentsOpt,
    out: OutOpt = None,
    weights: WeightsOpt = "default",
    layer: LayerOpt = None,
    device: DeviceOpt = "auto",
    json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Decode a file of latents to images, or to logits.

    An autoencoder draws images: a folder of PNG, one grid .png, or .safetensors. A classifier gives logits:
    .safetensors, .json, .csv, or a folder.

    Examples:

      iin decode --backbone ae/ --latents z_star.safetensors --out images

      iin decode --backbone ae/ --latents z_star.safetensors --out grid.png

      iin decode --backbone clf/ --latents z_star.safetensors --out predictions.csv
    """
    from ...commands.files.decode import decode as run

    result = run(backbone, latents, out, weights=weights, layer=layer, device=device, report=reporter(quiet))
    print_result(result, json)
