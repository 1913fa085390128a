"""`iin push`: send a checkpoint to the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options
from ..output import print_result, reporter

__all__ = ["push"]

RunArg = Annotated[
    Path, typer.Argument(help="A run folder, or a translator's or backbone's file.", metavar="RUN", show_default=False)
]
RepoArg = Annotated[
    str, typer.Argument(help="The repository on the Hub, owner/name.", metavar="REPO", show_default=False)
]
AuditOpt = Annotated[
    Path | None,
    typer.Option("--audit", help="The folder of an audit, for the card; default: RUN/audit.", metavar="DIR"),
]
LicenseOpt = Annotated[
    str | None, typer.Option("--license", help="Under which others may use it: mit, cc-by-4.0, …", metavar="ID")
]
TagOpt = Annotated[list[str] | None, typer.Option("--tag", help="A tag of the card; repeatable.", metavar="WORD")]
PicturesOpt = Annotated[
    bool, typer.Option(help="Show swapped test images in the card, where the network draws; everyone can see them.")
]
PrivateOpt = Annotated[bool, typer.Option("--private", help="Let only people see it whom you invite.")]
CardOpt = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="New folder for the card; default: a numbered one in runs/.", metavar="DIR"),
]
SeedOpt = Annotated[int, typer.Option("--seed", help="Which test images the pictures show.", min=0, max=2**63 - 1)]
DryOpt = Annotated[bool, typer.Option("--dry-run", help="Write the card, list the files, and send nothing.")]


def push(
    run: RunArg,
    repo: RepoArg,
    audit: AuditOpt = None,
    license: LicenseOpt = None,
    tag: TagOpt = None,
    pictures: PicturesOpt = True,
    private: PrivateOpt = False,
    backbone: options.MovedBackboneOpt = None,
    data: options.DataOpt = None,
    data_root: options.DataRootOpt = None,
    seed: SeedOpt = 0,
    out: CardOpt = None,
    device: options.DeviceOpt = "auto",
    dry_run: DryOpt = False,
    json: options.JsonOpt = False,
    quiet: options.QuietOpt = False,
    debug: options.DebugOpt = False,
) -> None:
    """Send a checkpoint with a card to the Hub.

    A translator goes with its backbone, where that is one of iin's, and its plan. The card says what the factors are,
    what an audit found, and how to load it; afterwards every command takes hf:owner/name for a checkpoint. HF_TOKEN
    says who you are. All files appear together, or none.

    Examples:

      iin push runs/00003-fit-translator me/digits --dry-run

      iin push runs/00003-fit-translator me/digits --license mit --audit runs/00004-audit --private
    """
    from ...hub.address import HubAddress
    from ...hub.sending import require_sender

    if not dry_run:
        # Said at once, not after the seconds in which torch is imported.
        require_sender(HubAddress.repository_of(repo))
    from ...commands.files.push import CardChoice
    from ...commands.files.push import push as send
    from ...interpretation.data_choice import DataChoice

    result = send(
        run,
        repo,
        CardChoice(license, tag or (), audit, pictures),
        out,
        choice=DataChoice(data, data_root, seed=seed),
        backbone=backbone,
        device=device,
        private=private,
        dry=dry_run,
        report=reporter(quiet),
    )
    print_result(result, json)
