"""`iin train-backbone`: train an autoencoder or a classifier, or fine-tune a known network."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import options
from ..early import known_backbone, known_data
from ..output import print_result, reporter

__all__ = ["train_backbone"]


def train_backbone(
    backbone: Annotated[
        str,
        typer.Option(
            "--backbone",
            "-b",
            help="autoencoder, classifier, a torchvision classifier, or a plugin's.",
            metavar="NAME",
            callback=known_backbone,
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data", "-d", help="A dataset's name or a folder of images.", metavar="NAME|DIR", callback=known_data
        ),
    ],
    data_root: options.DataRootOpt = None,
    skip_bad: options.SkipBadOpt = False,
    verify: options.VerifyOpt = False,
    out: options.OutOpt = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            help="Side of the images in pixels; default: inferred from the data, or the network's own.", min=1
        ),
    ] = None,
    latent_dim: Annotated[
        int | None, typer.Option(help="Latent size N; default: the paper's, or the network's own.", min=2)
    ] = None,
    weights: options.WeightsOpt = "default",
    steps: options.StepsOpt = None,
    max_seconds: options.MaxSecondsOpt = None,
    seed: options.SeedOpt = None,
    device: options.DeviceOpt = "auto",
    dry_run: options.DryRunOpt = False,
    resume: options.ResumeOpt = False,
    log: options.LogOpt = None,
    as_json: options.JsonOpt = False,
    quiet: options.QuietOpt = False,
    debug: options.DebugOpt = False,
) -> None:
    """Train or fine-tune a network on images.

    The network is saved as a checkpoint. A torchvision network is fine-tuned from its published weights.

    Examples:

        iin train-backbone --backbone autoencoder --data colordigits --out ae

        iin train-backbone --backbone classifier --data mnist --data-root ~/data

        iin train-backbone --backbone resnet50 --data faces/ --weights default
    """
    from ...commands.make.train_backbone import train_backbone as run
    from ...fitting.backbone_training import BackboneChoice
    from ...interpretation.data_choice import DataChoice
    from ...training.runs import RunChoice

    result = run(
        BackboneChoice(backbone, image_size, latent_dim, weights, steps, max_seconds),
        DataChoice(data, data_root, skip_bad=skip_bad),
        RunChoice(out, seed, device, dry_run, resume, log),
        reporter(quiet),
    )
    print_result({**result.as_dict(), **(result.metrics or {})}, as_json)
