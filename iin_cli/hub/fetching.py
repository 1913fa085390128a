"""Fetch the checkpoints of a repository once: they stay in the cache of the Hub's library, by commit.

Only files of iin's own names are fetched, `.safetensors` and JSON; nothing of a repository is ever run or unpickled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from ..errors import CheckpointError
from ..progress import Reporter, Silent, Task
from .address import HubAddress, is_address
from .faults import is_offline, require_library, said_plainly

__all__ = ["CHECKPOINTS", "fetched", "local", "pinned"]

# What a translator or a network is opened from.
CHECKPOINTS = ("translator.safetensors", "backbone.safetensors")
OTHERS = ("plan.json",)
SECONDS_TO_STOP = 2.0
PIECE = 2**20
# How the library's cache is laid out; no name on the Hub holds two dashes.
SNAPSHOT = re.compile(r"/models--(?P<owner>.+?)--(?P<name>[^/]+)/snapshots/(?P<commit>[0-9a-f]+)(?:/(?P<path>.+))?$")


def local(path: str | Path, report: Reporter | None = None) -> Path:
    """Return where a checkpoint or run folder lies on this machine: an address is fetched, a path stays as it is."""
    return fetched(HubAddress.parse(path), report) if is_address(path) else Path(path)


def fetched(address: HubAddress, report: Reporter | None = None) -> Path:
    """Fetch the checkpoints at `address`, unless they are in the cache; return their folder, or the file that it names.

    With `HF_HUB_OFFLINE`, or where the Hub cannot be reached, the cache alone is looked at. `HF_TOKEN`, `HF_ENDPOINT`
    and `HF_HOME` mean what they mean elsewhere.

    Raises NotInstalledError without the library, CheckpointError for what is not there, private or out of reach.
    """
    report = report or Silent()
    wanted = [address.beside(name) for name in (*CHECKPOINTS, *OTHERS)]
    if address.is_file:
        # The network of a translator lies beside it.
        wanted = [address.path, address.beside("backbone.safetensors")]
    library = require_library()
    with said_plainly(str(address)), _progress(f"fetching {address}", report, library) as bars:
        snapshot = _stoppable(
            lambda: library.snapshot_download(
                address.repository,
                revision=address.revision,
                allow_patterns=[re.sub(r"([*?[])", r"[\1]", name) for name in wanted],
                tqdm_class=bars,
            ),
            bars,
        )
    if not bars.seen and not is_offline():
        report.note(f"the Hub cannot be reached: {address} is what the cache has of it")
    path = Path(snapshot) / address.path
    there = [path] if address.is_file else [path / name for name in CHECKPOINTS]
    if not any(file.is_file() for file in there):
        what = "no such file" if address.is_file else f"neither {' nor '.join(CHECKPOINTS)}"
        raise CheckpointError(f"{address}: the repository has {what}; write hf:owner/name/folder if it is in a folder")
    return path


def pinned(path: Path) -> HubAddress | None:
    """Return the address that leads to these very bytes for good, of something fetched; None of any other path.

    >>> str(pinned(Path("/cache/models--me--digits/snapshots/0a1b/old/t.safetensors")))
    'hf:me/digits@0a1b/old/t.safetensors'
    """
    found = SNAPSHOT.search(path.absolute().as_posix())
    return HubAddress(f"{found['owner']}/{found['name']}", found["commit"], found["path"] or "") if found else None


def _stoppable(work: Callable[[], str], bars: Any) -> str:
    """Return what `work` does in another thread; a signal ends it with its next bytes, not when all have come."""
    done: Future[str] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        # Raised again where it is waited for.
        except BaseException as error:
            done.set_exception(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        return done.result()
    except BaseException:
        bars.stopped = True
        thread.join(SECONDS_TO_STOP)
        raise


@contextmanager
def _progress(description: str, report: Reporter, library: Any) -> Iterator[Any]:
    """Yield a class of bars for the library that shows nothing, and tells `report` how many bytes came."""
    unseen = library.utils.are_progress_bars_disabled()
    library.utils.disable_progress_bars()
    # It tells how far it is, and can be ended, only between pieces, which are 10 MB otherwise.
    piece, library.constants.DOWNLOAD_CHUNK_SIZE = library.constants.DOWNLOAD_CHUNK_SIZE, PIECE
    # The library learns the sizes one by one.
    with report.task(description, None, "MB") as task:
        try:
            yield _bars(library.utils.tqdm, task)
        finally:
            library.constants.DOWNLOAD_CHUNK_SIZE = piece
            if not unseen:
                library.utils.enable_progress_bars()


def _bars(base: Any, task: Task) -> Any:
    class Bars(base):
        """Bars that are not drawn."""

        seen = stopped = False

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            Bars.seen = True
            # Bytes on the wire are counted in another bar.
            self._counts = kwargs.get("unit") == "B" and "transfer" not in str(kwargs.get("name"))
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            """Tell the reporter, or end the transfer that tells this."""
            if Bars.stopped:
                raise InterruptedError("stopped")
            if self._counts:
                task.advance((n or 0) / 1e6)

    return Bars
