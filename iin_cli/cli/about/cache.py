"""`iin cache`: what is kept to be found again, and removing it."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import DebugOpt, JsonOpt, QuietOpt
from ..output import print_result, reporter

__all__ = ["cache"]

ActionArg = Annotated[
    str, typer.Argument(help="ls: list it; rm: remove NAMEs; prune: remove what is old.", metavar="ls|rm|prune")
]
NamesArg = Annotated[
    list[str] | None,
    typer.Argument(help="rm: what `iin cache ls` shows, a kind (latents), or all.", metavar="NAME"),
]
OlderOpt = Annotated[
    str | None, typer.Option("--older-than", help="prune: what was not used for so long.", metavar="30d")
]
SizeOpt = Annotated[
    str | None,
    typer.Option("--max-size", help="prune: the longest unused, until so much is left.", metavar="10GB"),
]
DryOpt = Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")]


def cache(
    action: ActionArg = "ls",
    names: NamesArg = None,
    older_than: OlderOpt = None,
    max_size: SizeOpt = None,
    dry_run: DryOpt = False,
    json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """List what is kept in the cache, or remove some of it.

    Latents, statistics and stylizers are computed once and found again; what is removed is computed again when it is
    needed. What a running command uses stays. Links are not followed; datasets, and files that iin did not make, stay.
    Without a limit, prune removes only what killed runs left half written.

    Examples:

      iin cache ls

      iin cache rm latents/3fa92c01d7e5 --dry-run

      iin cache prune --older-than 30d --max-size 10GB
    """
    from ...commands.about.cache import ACTIONS
    from ...commands.about.cache import cache as run
    from ...errors import UsageError, one_of
    from ...upkeep.amounts import parse_age, parse_size

    action, given = one_of("iin cache", action, ACTIONS), names or []
    if (action == "rm") != bool(given):
        raise UsageError("iin cache rm NAME…: name what to remove, as `iin cache ls` shows it; ls and prune take none")
    if action != "prune" and (older_than or max_size):
        raise UsageError("--older-than and --max-size go with prune: iin cache prune --older-than 30d")
    result = run(
        action,
        given,
        older_than=None if older_than is None else parse_age("--older-than", older_than),
        max_size=None if max_size is None else parse_size("--max-size", max_size),
        dry=dry_run,
        report=reporter(quiet),
    )
    print_result(result, json)
