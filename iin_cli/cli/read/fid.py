"""`iin fid`: distances between two sets of images, or of a translator between its floor and its ceiling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...errors import UsageError
from .. import options
from ..addresses import FROM_HUB
from ..output import print_result, reporter

__all__ = ["fid"]

SET = "a folder of images, a dataset, a translator or a statistics file"
FirstArg = Annotated[str | None, typer.Argument(help=f"One set: {SET}.", metavar="A", show_default=False)]
SecondArg = Annotated[str | None, typer.Argument(help=f"The other set: {SET}.", metavar="B", show_default=False)]
ProtocolOpt = Annotated[
    Path | None,
    typer.Option(
        "--translator",
        "-t",
        help="Instead of A and B: a translator against its data, with floor and ceiling.",
        metavar="CKPT",
    ),
    FROM_HUB,
]
PriorsOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--prior", help="With --translator: translator or backbone; repeatable; default: both.", metavar="NAME"
    ),
]
TrialsOpt = Annotated[
    int | None, typer.Option("--trials", help="With --translator: sets drawn of each prior; default: 3.", min=1)
]
ReferenceOpt = Annotated[
    str | None,
    typer.Option(
        "--reference", help="With --translator: its data's train, test or all; default: test.", metavar="SPLIT"
    ),
]
TruncationOpt = Annotated[
    float | None,
    typer.Option("--truncation", help="With --translator: at most 1, the default; see `iin sample`.", metavar="PSI"),
]
FeaturesOpt = Annotated[
    str | None,
    typer.Option("--features", help="The feature network: E of a backbone; default: Inception.", metavar="CKPT|NAME"),
    FROM_HUB,
]
CountOpt = Annotated[
    int | None,
    typer.Option(
        "--n",
        # The torchrun of older Pythons reads --n as the beginning of one of its own options.
        "-n",
        help="Images of each set; default: all; a translator draws as many as the other has.",
        min=2,
    ),
]
FeatureWeightsOpt = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        help="Weights file (.pth, .safetensors) of the feature network; default: the official one.",
        metavar="FILE",
    ),
]
ChoiceSeedOpt = Annotated[
    int,
    typer.Option(
        "--seed", help="First seed of drawn images; also chooses which --n images of a set are read.", min=0, max=10**15
    ),
]
SaveStatsOpt = Annotated[
    Path | None,
    typer.Option("--save-stats", help="Keep the statistics of A in this new .safetensors file.", metavar="FILE"),
]


def fid(
    a: FirstArg = None,
    b: SecondArg = None,
    translator: ProtocolOpt = None,
    data: options.DataOpt = None,
    reference: ReferenceOpt = None,
    n: CountOpt = None,
    trials: TrialsOpt = None,
    prior: PriorsOpt = None,
    truncation: TruncationOpt = None,
    features: FeaturesOpt = None,
    weights: FeatureWeightsOpt = None,
    split: options.SplitOpt = "test",
    save_stats: SaveStatsOpt = None,
    data_root: options.DataRootOpt = None,
    skip_bad: options.SkipBadOpt = False,
    verify: options.VerifyOpt = False,
    backbone: options.MovedBackboneOpt = None,
    seed: ChoiceSeedOpt = 0,
    device: options.DeviceOpt = "auto",
    batch: options.BatchOpt = 50,
    json: options.JsonOpt = False,
    quiet: options.QuietOpt = False,
    debug: options.DebugOpt = False,
) -> None:
    """Measure the distance of two sets of images.

    The Fréchet distance; the kernel distance with its 95 % interval, which few images do not bias; and density and
    coverage of one set among the images of the other, which counts as real: A, or whichever is stored where the other
    is drawn by a translator. A statistics file has the Fréchet distance alone.

    With --translator: its images against its data, mean ± standard deviation over trials with disjoint seeds, beside
    the backbone's own prior (the ceiling) and reconstructions (the floor), each with precision and recall, too.

    With pytorch-fid's official Inception weights the results are called fid and kid, with any other network or weights
    fd and kd. --features takes any backbone, also an encoder without a head. Features are always computed in float32,
    so that distances compare with those of other machines and papers: there is no --precision here.
    Statistics are cached, so a set costs its pass through the network once. The processes of torchrun share the work.

    Examples:

      iin fid --translator runs/00003-fit-translator --n 10000 --trials 3

      iin fid -t t.safetensors --data mnist --features classifier.safetensors

      iin fid photos/ generated/ --weights inception.pth --json

      iin fid photos/ generated/ --save-stats photos.safetensors

      torchrun --nproc-per-node 8 -m iin_cli fid -t t.safetensors -n 10000
    """
    from ...commands.read.fid import PRIORS, PriorChoice, fid_of_translator
    from ...commands.read.fid import fid as run
    from ...fid.feature_networks import FeatureChoice
    from ...interpretation.data_choice import DataChoice

    network, report = FeatureChoice(features, weights, batch), reporter(quiet)
    if translator is None:
        only = {"data": data, "reference": reference, "trials": trials, "prior": prior, "truncation": truncation}
        first, second = _check_pair(a, b, [name for name, value in only.items() if value not in (None, [])])
        choice = DataChoice(None, data_root, split, n, seed, skip_bad=skip_bad)
        result = run(
            first, second, choice, network, backbone=backbone, device=device, save_stats=save_stats, report=report
        )
    else:
        _check_alone([value for value in (a, b) if value is not None], split, save_stats)
        choice = DataChoice(data, data_root, reference or "test", n, seed, skip_bad=skip_bad)
        priors = PriorChoice(prior or PRIORS, 1.0 if truncation is None else truncation)
        result = fid_of_translator(
            translator, choice, network, priors, trials=trials or 3, backbone=backbone, device=device, report=report
        )
    print_result(result, json)


def _check_pair(a: str | None, b: str | None, foreign: list[str]) -> tuple[str, str]:
    if a is None or b is None:
        missing = "A and B are" if a is None else "the second set, 'B', is"
        raise UsageError(f"{missing} missing: write iin fid A B, or iin fid --translator CKPT")
    if foreign:
        raise UsageError(f"--{foreign[0]} goes with --translator CKPT, not with two sets: leave it out")
    return a, b


def _check_alone(sets: list[str], split: str, save_stats: Path | None) -> None:
    if sets:
        raise UsageError(f"give two sets or --translator, not both: leave out {' and '.join(sets)}, or --translator")
    if split != "test":
        raise UsageError(f"--split {split}: with --translator the split of the data is --reference {split}")
    if save_stats is not None:
        raise UsageError("--save-stats goes with two sets A B: with --translator leave it out")
