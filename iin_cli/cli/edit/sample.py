"""`iin sample`: draw images from the interpretable representation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ...errors import UsageError
from ..options import (
    BatchOpt,
    DebugOpt,
    DeviceOpt,
    DryRunOpt,
    JsonOpt,
    MovedBackboneOpt,
    QuietOpt,
    TranslatorOpt,
    parse_seeds,
)
from ..output import print_result, reporter

if TYPE_CHECKING:
    from ...editing.sampling import Format, PriorName

__all__ = ["parse_fixed", "sample"]

SeedsOpt = Annotated[str, typer.Option("--seeds", help="One image each: 0-9999, or 1,5,20-29.", metavar="SEEDS")]
SampleOutOpt = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="New or empty folder, or that of an earlier run to complete; default: a numbered folder in runs/.",
        metavar="DIR",
    ),
]
FormatOpt = Annotated[
    str,
    typer.Option(
        "--format",
        help="png or (lossless) webp: 000123.png is seed 123; npz or safetensors: images-00007.npz holds 256 images.",
        metavar="FORMAT",
    ),
]
SubdirsOpt = Annotated[bool, typer.Option("--subdirs", help="A folder for every thousand seeds: 000000/000123.png.")]
PriorOpt = Annotated[
    str,
    typer.Option("--prior", help="translator, or backbone: z ~ N(0, 1) without the translator.", metavar="PRIOR"),
]
TruncationOpt = Annotated[
    float,
    typer.Option(
        "--truncation", help="Above 0, at most 1: how far from the mean to draw; less is plainer.", metavar="PSI"
    ),
]
FixOpt = Annotated[
    list[str] | None,
    typer.Option("--fix", help="Take a factor from an image and draw the others; repeatable.", metavar="FACTOR=IMG"),
]
VaryOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        help="Draw this factor alone, and take the rest from the (first) --fix image; repeatable.",
        metavar="FACTOR",
    ),
]


def sample(
    translator: TranslatorOpt,
    seeds: SeedsOpt,
    out: SampleOutOpt = None,
    fix: FixOpt = None,
    vary: VaryOpt = None,
    prior: PriorOpt = "translator",
    truncation: TruncationOpt = 1.0,
    format: FormatOpt = "png",
    subdirs: SubdirsOpt = False,
    batch: BatchOpt = 64,
    backbone: MovedBackboneOpt = None,
    device: DeviceOpt = "auto",
    dry_run: DryRunOpt = False,
    json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Draw new images, one for each seed (Eq 13).

    An image depends on its seed only: the same seed gives the same file, whatever the batch and the other seeds, alone
    or under torchrun.

    The same command run again goes on where it was stopped: it checks the files that are there, draws those that are
    missing or damaged, and skips the rest. Seeds may be added after the earlier ones; other settings are refused.

    Examples:

      iin sample --translator runs/00003-fit-translator --seeds 0-9999 --out samples

      iin sample -t t.safetensors --seeds 0-49999 --format npz --out samples --json

      iin sample -t t.safetensors --seeds 0-15 --fix residual=face.png --vary digit

      torchrun --nproc-per-node 8 -m iin_cli sample -t t.safetensors --seeds 0-49999 --subdirs --out samples
    """
    from ...editing.sampling import Sampling

    # It refuses other words.
    words = cast("PriorName", prior), cast("Format", format)
    sampling = Sampling(words[0], truncation, tuple(parse_fixed(fix or ())), tuple(vary or ()), words[1], subdirs)
    numbers = parse_seeds(seeds)
    if dry_run:
        from ...commands.edit.sample_plan import plan_sample

        print_result(plan_sample(translator, numbers, out, sampling, backbone), json)
        return
    from ...commands.edit.sample import sample as run

    result = run(
        translator,
        numbers,
        out,
        sampling,
        batch=batch,
        backbone=backbone,
        device=device,
        report=reporter(quiet),
    )
    print_result(result, json)


def parse_fixed(texts: list[str] | tuple[()]) -> list[tuple[str, Path]]:
    """Turn each `residual=face.png` into ("residual", Path("face.png")). UsageError for anything else.

    >>> parse_fixed(["residual=a=b.png"])
    [('residual', PosixPath('a=b.png'))]
    """
    found = []
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name.strip() and equals and path):
            raise UsageError(f"--fix {text!r} is not FACTOR=IMG: write --fix residual=face.png")
        found.append((name.strip(), Path(path)))
    return found
