"""`iin fit-translator`: learn the invertible translator between a latent and its named factors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...errors import UsageError, one_of
from .. import options
from ..addresses import FROM_HUB
from ..early import known_network
from ..output import print_result, reporter

__all__ = ["fit_translator"]


def fit_translator(
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            "-b",
            help="A trained backbone: checkpoint, run folder, or registered name; with --from, where it is now.",
            metavar="CKPT|NAME",
            callback=known_network,
        ),
        FROM_HUB,
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="A translator to which the concepts are added; its own factors stay as they are.",
            metavar="CKPT",
        ),
        FROM_HUB,
    ] = None,
    concept: Annotated[
        list[str] | None,
        typer.Option(
            "--concept",
            "-c",
            help="A concept, NAME or NAME:ARGUMENT; repeat for several, none: unsupervised.",
            metavar="NAME[:ARG]",
        ),
    ] = None,
    latents: Annotated[
        Path | None,
        typer.Option(
            help="Latents of any network instead of a backbone: z, or z_a, z_b, mask (1, 0, or -1: not known).",
            metavar="FILE",
        ),
    ] = None,
    data: options.DataOpt = None,
    data_root: options.DataRootOpt = None,
    skip_bad: options.SkipBadOpt = False,
    verify: options.VerifyOpt = False,
    out: options.OutOpt = None,
    dims: Annotated[
        str | None, typer.Option(help="Sizes of the factors; default: estimated.", metavar="digit=13,color=17")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="flow; linear: the closed form alone, in seconds; auto: flow where there are latents enough.",
            metavar="auto|flow|linear",
        ),
    ] = "auto",
    gaussianise: Annotated[
        bool, typer.Option("--gaussianise", help="With --method linear: map every dimension to a Gaussian one.")
    ] = False,
    preset: Annotated[str, typer.Option(help="auto, paper or compvis.")] = "auto",
    sigma: Annotated[
        str | None,
        typer.Option(
            help="Correlation of pairs that share a factor, in [0, 1); one for all or per concept.",
            metavar="0.9|digit=0.95",
        ),
    ] = None,
    estimator: Annotated[
        str, typer.Option(help="Score by which the presets paper and compvis size factors: variance or correlation.")
    ] = "variance",
    batch_pairs: Annotated[int | None, typer.Option(help="Pairs per step; default: inferred.", min=1)] = None,
    blocks: Annotated[int | None, typer.Option(help="Flow blocks; default: inferred.", min=1)] = None,
    hidden: Annotated[int | None, typer.Option(help="Width of the s- and t-nets; default: inferred.", min=1)] = None,
    depth: Annotated[
        int | None, typer.Option(help="Hidden layers of the s- and t-nets; default: inferred.", min=0)
    ] = None,
    feature_noise: Annotated[
        float | None,
        typer.Option(help="Noise added to z, as a fraction of each feature's std; default: inferred.", min=0),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Adam's peak learning rate; default: inferred.", min=1e-8)
    ] = None,
    compile: Annotated[bool, typer.Option("--compile", help="Compile each step; a minute before the first.")] = False,
    weights: options.WeightsOpt = "default",
    layer: options.LayerOpt = None,
    precision: options.PrecisionOpt = "auto",
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
    """Fit a translator to a network's latents and concepts.

    A file of latents (--latents) can stand for the network. Without a concept the whole latent is one factor. With
    --from, new factors are cut out of the residual of a fitted translator, whose own factors stay as they are.

    Examples:

        iin fit-translator --backbone ae --concept digit --concept color

        iin fit-translator --backbone ae --concept digit --concept color --method linear

        iin fit-translator --backbone ae --out unsupervised

        iin fit-translator --backbone ae --concept digit --concept color --sigma digit=0.95

        iin fit-translator --backbone resnet50 --concept roundness

        iin fit-translator --backbone resnet50 --layer layer4 --concept class --data faces/

        iin fit-translator --latents pairs.safetensors --concept digit --dims digit=8

        iin fit-translator --from t --concept greyscale --out t2
    """
    from ...commands.make.fit_translator import fit_translator as run
    from ...interpretation.data_choice import DataChoice
    from ...interpretation.network_choice import NetworkChoice
    from ...plan import METHODS, PRESETS, Wishes
    from ...training.runs import RunChoice
    from ...translator.dims import ESTIMATORS

    source = latents if backbone is None or start is not None else NetworkChoice(backbone, weights, layer, precision)
    if (source is None and start is None) or (backbone is not None and latents is not None):
        raise UsageError("give either --backbone or --latents")
    if start is not None and (layer is not None or weights != "default" or precision != "auto"):
        raise UsageError(
            "--from takes the network as its translator recorded it: leave --layer, --weights and --precision out"
        )
    if isinstance(source, Path) and precision != "auto":
        raise UsageError("--latents are encoded already: leave --precision out")
    wishes = Wishes(
        preset=one_of("--preset", preset, PRESETS),
        method=one_of("--method", method, METHODS),
        steps=steps,
        max_seconds=max_seconds,
        batch_pairs=batch_pairs,
        blocks=blocks,
        hidden=hidden,
        depth=depth,
        sigma=options.parse_sigma(sigma),
        feature_noise=feature_noise,
        learning_rate=learning_rate,
        dims=options.parse_assignments(dims, "--dims") or None,
        estimator=one_of("--estimator", estimator, ESTIMATORS),
        gaussianise=gaussianise or None,
        compile=compile or None,
    )
    result = run(
        source,
        concept or (),
        DataChoice(data, data_root, skip_bad=skip_bad),
        wishes,
        RunChoice(out, seed, device, dry_run, resume, log),
        reporter(quiet),
        start=start,
        moved=None if start is None or backbone is None else Path(backbone),
    )
    print_result(result, as_json)
