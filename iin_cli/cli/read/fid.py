"""`iin fid`: the Fréchet distance between two sets of images, or of a translator between its floor and its ceiling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ...errors import UsageError
from ..options import (
    BatchOpt,
    DataOpt,
    DataRootOpt,
    DebugOpt,
    DeviceOpt,
    JsonOpt,
    MovedBackboneOpt,
    QuietOpt,
    SplitOpt,
)
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
]
PriorsOpt = Annotated[
    list[str] | None,
    typer.Option("--prior", help="Of --translator: translator or backbone; repeatable; default: both.", metavar="NAME"),
]
TrialsOpt = Annotated[
    int | None, typer.Option("--trials", help="Of --translator: sets drawn of each prior; default: 3.", min=1)
]
ReferenceOpt = Annotated[
    str | None,
    typer.Option("--reference", help="Of --translator: its data's train, test or all; default: test.", metavar="SPLIT"),
]
TruncationOpt = Annotated[
    float | None,
    typer.Option("--truncation", help="Of --translator: at most 1, the default; see `iin sample`.", metavar="PSI"),
]
FeaturesOpt = Annotated[
    str | None,
    typer.Option("--features", help="The feature network: E of a backbone; default: Inception.", metavar="CKPT|NAME"),
]
CountOpt = Annotated[
    int | None,
    typer.Option(
        "--n",
        # Older Pythons' torchrun takes --n for the beginning of an option of its own.
        "-n",
        help="Images of each set; default: all, of a translator as many as the other has.",
        min=2,
    ),
]
FeatureWeightsOpt = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        help="Its weights (.pth, .safetensors), where it is no checkpoint; default: the official.",
        metavar="FILE",
    ),
]
ChoiceSeedOpt = Annotated[
    int,
    typer.Option(
        "--seed", help="First seed of the images generated; also chooses --n of more images.", min=0, max=10**15
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
    data: DataOpt = None,
    reference: ReferenceOpt = None,
    n: CountOpt = None,
    trials: TrialsOpt = None,
    prior: PriorsOpt = None,
    truncation: TruncationOpt = None,
    features: FeaturesOpt = None,
    weights: FeatureWeightsOpt = None,
    split: SplitOpt = "test",
    save_stats: SaveStatsOpt = None,
    data_root: DataRootOpt = None,
    backbone: MovedBackboneOpt = None,
    seed: ChoiceSeedOpt = 0,
    device: DeviceOpt = "auto",
    batch: BatchOpt = 50,
    json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Measure the Fréchet distance between two sets of images, alone or under torchrun.

    With --translator: its images against its data, mean ± standard deviation over trials with disjoint seeds, beside
    the backbone's own prior (the ceiling) and reconstructions (the floor), each with precision and recall.

    With pytorch-fid's official Inception weights the result is called fid, with any other network or weights fd.
    Statistics are cached, so a set costs its pass through the network once.

    Examples:

      iin fid --translator runs/00003-fit-translator --n 10000 --trials 3

      iin fid -t t.safetensors --data mnist --features classifier.safetensors

      iin fid photos/ generated/ --weights inception.pth --json

      iin fid photos/ generated/ --save-stats photos.safetensors

      torchrun --nproc-per-node 8 -m iin_cli fid -t t.safetensors -n 10000
    """
    of_protocol = {"data": data, "reference": reference, "trials": trials, "prior": prior, "truncation": truncation}
    shared = {"n": n, "features": features, "weights": weights, "data_root": data_root, "backbone": backbone}
    shared |= {"seed": seed, "device": device, "batch": batch, "reporter": reporter(quiet)}
    if translator is None:
        _check_pair(a, b, [name for name, value in of_protocol.items() if value not in (None, [])])
        _print_pair(a, b, json, split=split, save_stats=save_stats, **shared)
    else:
        _check_alone([value for value in (a, b) if value is not None], split, save_stats)
        _print_protocol(translator, json, of_protocol, shared)


def _check_pair(a: str | None, b: str | None, foreign: list[str]) -> None:
    if a is None or b is None:
        missing = "A and B are" if a is None else "the second set, 'B', is"
        raise UsageError(f"{missing} missing: write iin fid A B, or iin fid --translator CKPT")
    if foreign:
        raise UsageError(f"--{foreign[0]} goes with --translator CKPT, not with two sets: leave it out")


def _check_alone(sets: list[str], split: str, save_stats: Path | None) -> None:
    if sets:
        raise UsageError(f"give two sets or --translator, not both: leave out {' and '.join(sets)}, or --translator")
    if split != "test":
        raise UsageError(f"--split {split}: with --translator the split of the data is --reference {split}")
    if save_stats is not None:
        raise UsageError("--save-stats goes with two sets A B: with --translator leave it out")


def _print_pair(a: str, b: str, json: bool, **wishes: Any) -> None:
    from dataclasses import asdict

    from ...fid.distance import compute_fid

    print_result(asdict(compute_fid(a, b, **wishes)), json)


def _print_protocol(translator: Path, json: bool, given: dict[str, Any], shared: dict[str, Any]) -> None:
    from ...fid.protocol import compute_protocol

    chosen = {
        ("priors" if name == "prior" else name): value for name, value in given.items() if value not in (None, [])
    }
    result = compute_protocol(translator, **chosen, **shared)
    print_result(result.as_dict(), json, result.tables())
