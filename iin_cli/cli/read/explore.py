"""`iin explore`: a page in the browser to look at factors and to change them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import options
from ..addresses import FROM_HUB
from ..output import print_result, reporter

if TYPE_CHECKING:
    from ...explorer.serving import Served

__all__ = ["explore"]

TranslatorArg = Annotated[
    Path,
    typer.Argument(
        help="A translator checkpoint, its run folder, or hf:owner/name.",
        metavar="CKPT",
        show_default=False,
        callback=options.known_translator,
    ),
    FROM_HUB,
]
HostOpt = Annotated[
    str, typer.Option("--host", help="Address to listen at; other than this machine's own needs --token-file.")
]
PortOpt = Annotated[int, typer.Option("--port", help="First port tried; the next free one is taken.", min=0, max=65535)]
TokenOpt = Annotated[
    Path | None,
    typer.Option(
        "--token-file", help="File of the page's token; made, mode 0600, where there is none.", metavar="FILE"
    ),
]
BrowserOpt = Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")]
AuditOpt = Annotated[
    Path | None,
    typer.Option(
        "--audit", help="The audit.json of the translator, for verdicts; default: one beside it.", metavar="FILE"
    ),
]


def explore(
    translator: TranslatorArg,
    host: HostOpt = "127.0.0.1",
    port: PortOpt = 8420,
    token_file: TokenOpt = None,
    browser: BrowserOpt = True,
    audit: AuditOpt = None,
    search: options.ComparedOpt = 5000,
    seed: options.ComparedSeedOpt = 0,
    backbone: options.MovedBackboneOpt = None,
    data: options.DataOpt = None,
    data_root: options.DataRootOpt = None,
    skip_bad: options.SkipBadOpt = False,
    verify: options.VerifyOpt = False,
    device: options.DeviceOpt = "auto",
    json: options.JsonOpt = False,
    quiet: options.QuietOpt = False,
    debug: options.DebugOpt = False,
) -> None:
    """Look at factors and change them, in a browser.

    Serves one page on this machine until Ctrl-C: images and their factors, each on a pad to drag it, to swap it from
    another image, to draw it again; what the network answers before and after, beside random edits; and the `iin edit`
    line that makes the same. Nothing is loaded from elsewhere, and nobody without the printed address gets in.

    Examples:

      iin explore runs/00003-fit-translator

      iin explore t.safetensors --no-browser --port 9000

      iin explore t.safetensors --host 0.0.0.0 --token-file ~/.iin-token
    """
    from ...explorer.serving import require_installed

    # Said before anything is read.
    require_installed()
    from ...commands.read.explore import Serving
    from ...commands.read.explore import explore as run
    from ...interpretation.data_choice import DataChoice

    def started(served: Served) -> None:
        print_result({"url": served.url, "port": served.port}, json)
        reporter(quiet).note("Ctrl-C ends it")
        if browser and not _open(served.url):
            reporter(quiet).note("no browser can be opened here: open the address in one that reaches this machine")

    run(
        translator,
        DataChoice(data, data_root, "test", None, seed, skip_bad=skip_bad),
        Serving(host, port, token_file),
        started,
        search=search,
        audit=audit,
        backbone=backbone,
        device=device,
        report=reporter(quiet),
    )


def _open(url: str) -> bool:
    """Open `url` in the user's browser; False where there is none, or only one that would take the terminal."""
    import os
    import sys
    import webbrowser

    if sys.platform.startswith("linux") and not {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys():
        return False
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
