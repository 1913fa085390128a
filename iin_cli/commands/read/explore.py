"""Open a translator, read its images, and serve the page until it is stopped."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ...distributed import choose_device
from ...errors import UsageError
from ...explorer.explorer import Explorer, Told
from ...explorer.serving import PORT, Served, is_loopback, keep_token, read_token, require_installed, serve
from ...explorer.uploads import Uploads
from ...explorer.verdicts import read_verdicts
from ...interpretation.data_choice import DataChoice
from ...interpretation.opening import open_translator
from ...interpretation.reading import ChosenData
from ...io.paths import cache_dir
from ...measures.edited.surroundings import SEARCHED, Surroundings
from ...progress import Reporter, Silent
from ...stopping import ending_at_once

__all__ = ["Serving", "explore"]


@dataclass(frozen=True)
class Serving:
    """How the page is served.

    Attributes:
        host: the address that is listened at; another than this machine alone needs `token_file`.
        port: the first that is tried.
        token_file: holds the page's token, so that it stays the same; made where there is none.

    Raises UsageError for a host that others can reach without a token file.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    token_file: Path | None = None

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and self.token_file is None:
            raise UsageError(
                f"--host {self.host} can be reached from other machines: give --token-file FILE, which holds the token "
                "that the page's address needs, or forward the port, as ssh -L 8420:localhost:8420 does"
            )


def explore(
    translator: Path,
    choice: DataChoice,
    serving: Serving,
    started: Callable[[Served], None],
    *,
    search: int = SEARCHED,
    audit: Path | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> None:
    """Serve the page of a translator until a signal ends the program.

    Args:
        started: called once, when the page can be opened.
        search: how many training images edits are compared with.
        audit: what `iin audit` wrote of the translator, for the factors' verdicts.

    Raises UsageError, DataError and CheckpointError where translator, backbone or port cannot be opened.
    """
    require_installed()
    report = report or Silent()
    token = read_token(serving.token_file)
    opened = open_translator(translator, choose_device(device), backbone, report=report)
    verdicts = read_verdicts(opened, audit)
    data = None if opened.network is None else ChosenData(opened, choice, report)
    surroundings = Surroundings(opened, data, report, search)
    options = _options(opened.require_path(), choice, search, backbone, device)
    words = ["iin", "explore", *options[1:]]
    told = Told(shlex.join(words), options, verdicts)
    explorer = Explorer(opened, data, surroundings, Uploads(cache_dir() / "explorer" / "uploads"), told)
    explorer.prepare()
    if not is_loopback(serving.host):
        report.warn("the page is not encrypted: in a network that others can listen to, forward the port by ssh -L")
    with serve(explorer, serving.host, serving.port, token, report) as served:
        # A command that fails before leaves no file.
        keep_token(serving.token_file, token)
        # Started again by this line, the server is where the page that shows it looks.
        explorer.told = replace(told, start=shlex.join([*words, *_address(serving, served.port, audit)]))
        started(served)
        with ending_at_once():
            threading.Event().wait()


def _address(serving: Serving, port: int, audit: Path | None) -> tuple[str, ...]:
    """Return the words of `iin explore` that say where the page is and who may look, for `port` that was free."""
    given: Iterable[tuple[str, object, object]] = (
        ("--host", serving.host, Serving.host),
        ("--port", port, PORT),
        ("--token-file", None if serving.token_file is None else serving.token_file.resolve(), None),
        ("--audit", None if audit is None else audit.resolve(), None),
    )
    return tuple(str(word) for option, value, usual in given if value != usual for word in (option, value))


def _options(translator: Path, choice: DataChoice, search: int, backbone: Path | None, device: str) -> tuple[str, ...]:
    """Return the words that say of every `iin edit` line which translator and data are meant, wherever it is typed."""
    words: list[object] = ["--translator", translator.resolve()]
    data = choice.data
    if data is not None and Path(data).expanduser().exists():
        data = Path(data).expanduser().resolve()
    given: Iterable[tuple[str, object, object]] = (
        ("--backbone", None if backbone is None else backbone.resolve(), None),
        ("--data", data, None),
        ("--data-root", None if choice.root is None else choice.root.resolve(), None),
        ("--seed", choice.seed, 0),
        ("--search", search, SEARCHED),
        ("--device", device, "auto"),
    )
    for option, value, usual in given:
        words += [option, value] if value != usual else []
    return (*map(str, words), *(["--skip-bad"] if choice.skip_bad else []))
