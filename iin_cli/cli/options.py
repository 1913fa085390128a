"""The options of every command: each a type with a name, declared once."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .addresses import FROM_HUB
from .early import known_data, known_device, known_log, known_network, known_translator

__all__ = [
    "BackboneOpt",
    "BatchOpt",
    "CenterOpt",
    "ComparedOpt",
    "ComparedSeedOpt",
    "ConceptOpt",
    "DataOpt",
    "DataRootOpt",
    "DebugOpt",
    "DeviceOpt",
    "DpiOpt",
    "DryRunOpt",
    "FactorOpt",
    "FormatOpt",
    "GammaOpt",
    "JsonOpt",
    "KnownConceptsOpt",
    "LatentsOpt",
    "LayerOpt",
    "LogOpt",
    "MaxSecondsOpt",
    "MovedBackboneOpt",
    "NewFileOpt",
    "OutOpt",
    "PrecisionOpt",
    "QuietOpt",
    "ResumeOpt",
    "SeedOpt",
    "SkipBadOpt",
    "SourceOpt",
    "SplitOpt",
    "StepsOpt",
    "TargetOpt",
    "TranslatorOpt",
    "VerifyOpt",
    "WalkSigmaOpt",
    "WeightsOpt",
    "parse_assignments",
    "parse_seeds",
    "parse_sigma",
]

MOST_SEEDS = 10_000_000


def _remember_debug(value: bool) -> bool:
    if value:
        os.environ["IIN_DEBUG"] = "1"
    return value


def _remember_verify(value: bool) -> bool:
    # Read in data/known_files.py, at whatever depth a folder is opened.
    if value:
        os.environ["IIN_VERIFY"] = "1"
    return value


BackboneOpt = Annotated[
    str,
    typer.Option(
        "--backbone",
        "-b",
        help="A trained backbone: checkpoint, run folder, or registered name.",
        metavar="CKPT|NAME",
        callback=known_network,
    ),
    FROM_HUB,
]
ConceptOpt = Annotated[
    list[str],
    typer.Option("--concept", "-c", help="A concept, NAME or NAME:ARGUMENT; repeat for several.", metavar="NAME[:ARG]"),
]
DataOpt = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        help="A dataset's name or a folder of images; default: the backbone's own.",
        metavar="NAME|DIR",
        callback=known_data,
    ),
]
DataRootOpt = Annotated[
    Path | None,
    typer.Option(
        "--data-root", help="Folder of datasets; default: $IIN_DATA_ROOT, else the cache folder.", metavar="DIR"
    ),
]
SkipBadOpt = Annotated[bool, typer.Option("--skip-bad", help="Leave out images that cannot be read, and say which.")]
VerifyOpt = Annotated[
    bool,
    typer.Option(
        "--verify", help="Read every image file again, also those that have not changed.", callback=_remember_verify
    ),
]
TranslatorOpt = Annotated[
    Path,
    typer.Option(
        "--translator",
        "-t",
        help="A translator checkpoint, its run folder, or hf:owner/name.",
        metavar="CKPT",
        callback=known_translator,
    ),
    FROM_HUB,
]
MovedBackboneOpt = Annotated[
    Path | None,
    typer.Option(
        "--backbone",
        "-b",
        help="The translator's backbone or its weights file, if it was moved.",
        metavar="CKPT",
    ),
    FROM_HUB,
]
OutOpt = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="New or empty folder (or new file); default: a numbered folder in runs/.", metavar="PATH"
    ),
]
NewFileOpt = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="New .safetensors file; default: in a numbered folder in runs/.", metavar="FILE"),
]
LatentsOpt = Annotated[
    Path, typer.Option("--latents", "-l", help="A .safetensors file of latents, from any program.", metavar="FILE")
]
LayerOpt = Annotated[
    str | None,
    typer.Option("--layer", help="Where to cut the network; default: before its last linear layer.", metavar="NAME"),
]
PrecisionOpt = Annotated[
    str,
    typer.Option(
        "--precision",
        help="Of the latents: float32, bfloat16, or auto: bfloat16 where that is fast and the network's answers stay.",
        metavar="auto|float32|bfloat16",
    ),
]
WeightsOpt = Annotated[
    str,
    typer.Option(
        "--weights",
        help="Weights of a registered backbone: default, none (random), package (an installed one), or a file.",
        metavar="WEIGHTS",
    ),
]
SeedOpt = Annotated[
    int | None,
    typer.Option("--seed", help="Seed of everything random; drawn and recorded when absent.", min=0, max=2**63 - 1),
]
# The real images that an edit is seen beside.
ComparedOpt = Annotated[int, typer.Option("--search", help="Training images compared with at most.", min=2)]
ComparedSeedOpt = Annotated[
    int, typer.Option("--seed", help="Which training images are compared with.", min=0, max=2**63 - 1)
]
DeviceOpt = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.", metavar="DEVICE", callback=known_device)
]
StepsOpt = Annotated[int | None, typer.Option("--steps", help="Optimisation steps; default: inferred.", min=1)]
MaxSecondsOpt = Annotated[
    float | None,
    typer.Option("--max-seconds", help="Finish within so many seconds, encoding aside; default: none.", min=1),
]
BatchOpt = Annotated[int, typer.Option("--batch", help="Images per batch.", min=1)]
FormatOpt = Annotated[
    str | None,
    typer.Option("--format", help="Of figures; default: as the file is called, else png.", metavar="png|pdf|svg"),
]
DpiOpt = Annotated[
    int | None, typer.Option("--dpi", help="Dots per inch of figures; default: for a screen.", min=30, max=600)
]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
QuietOpt = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
DebugOpt = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of an error.", callback=_remember_debug, is_eager=True)
]
DryRunOpt = Annotated[bool, typer.Option("--dry-run", help="Print the inferred plan and stop.")]
FactorOpt = Annotated[
    list[str], typer.Option("--factor", "-f", help="A factor of the translator; repeat for several.", metavar="NAME")
]
KnownConceptsOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--concept",
        "-c",
        help="Concept of a factor whose name does not say it (rotation:45); repeatable.",
        metavar="NAME[:ARGUMENT]",
    ),
]
TargetOpt = Annotated[
    list[Path] | None,
    typer.Option("--target", help="Image or folder to start from; repeatable; default: the data's.", metavar="IMG"),
]
SourceOpt = Annotated[
    list[Path] | None,
    typer.Option(
        "--source", help="Image or folder to take factors from; repeatable; default: the data's.", metavar="IMG"
    ),
]
SplitOpt = Annotated[str, typer.Option("--split", help="Which part of the data: train, test or all.", metavar="NAME")]
GammaOpt = Annotated[float, typer.Option("--gamma", help="Random walks' rate of return to their centre, in (0, 1].")]
WalkSigmaOpt = Annotated[
    float | None,
    typer.Option("--walk-sigma", help="Random walks' step size; default: the one that keeps N(0, 1).", min=0),
]
CenterOpt = Annotated[str, typer.Option("--center", help="Random walks' centre: origin or input.", metavar="WHERE")]
LogOpt = Annotated[
    str | None,
    typer.Option(
        "--log",
        help="tensorboard: write event files for TensorBoard, too (needs iin-cli[tensorboard]).",
        metavar="tensorboard",
        callback=known_log,
    ),
]
ResumeOpt = Annotated[bool, typer.Option("--resume", help="Resume the interrupted run in --out.")]


def parse_seeds(text: str) -> list[int]:
    """Turn `0-3,8` into [0, 1, 2, 3, 8]. UsageError for anything else, duplicates included.

    >>> parse_seeds("0-3,8")
    [0, 1, 2, 3, 8]
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if match is None:
            raise UsageError(f"--seeds {text!r}: {part!r} is neither a number nor a range; write 0-9999 or 1,5,20-29")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise UsageError(f"--seeds {text!r}: the range {part.strip()} runs backwards; write {last}-{first}")
        if last >= 2**63 or len(seeds) + last - first >= MOST_SEEDS:
            raise UsageError(f"--seeds {text!r}: write at most {MOST_SEEDS:,} seeds, all below 2^63")
        seeds.extend(range(first, last + 1))
    if len(set(seeds)) != len(seeds):
        raise UsageError(f"--seeds {text!r} names a seed twice: write it once")
    return seeds


def parse_assignments(text: str | None, option: str) -> dict[str, int]:
    """Turn `digit=13,color=17` into {"digit": 13, "color": 17}. UsageError for anything else.

    >>> parse_assignments("digit=13,color=17", "--dims")
    {'digit': 13, 'color': 17}
    """
    values: dict[str, int] = {}
    for part in text.split(",") if text else []:
        name, equals, number = part.strip().partition("=")
        if not (name and equals and number.isdecimal() and int(number) > 0):
            raise UsageError(f"{option} {text!r}: {part!r} is not NAME=SIZE; write digit=13,color=17")
        if name in values:
            raise UsageError(f"{option} {text!r} names {name} twice: write it once")
        values[name] = int(number)
    return values


def parse_sigma(text: str | None) -> float | dict[str, float] | None:
    """Turn `0.9` into 0.9 and `digit=0.95,color=0.9` into a dict. UsageError for anything else or outside [0, 1).

    >>> parse_sigma("0.9"), parse_sigma("digit=0.95,color=0.9")
    (0.9, {'digit': 0.95, 'color': 0.9})
    """
    if text is None:
        return None
    values: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.strip().rpartition("=")
        try:
            values[name] = float(number)
        except ValueError:
            values[name] = -1.0
        if not 0 <= values[name] < 1:
            raise UsageError(
                f"--sigma {text!r}: {number!r} is not a number in [0, 1); write 0.9, or digit=0.95,color=0.9"
            )
    if len(values) != text.count(",") + 1 or ("" in values and len(values) > 1):
        raise UsageError(f"--sigma {text!r}: write one number for all, or one per concept: digit=0.95,color=0.9")
    return values.get("", values)
