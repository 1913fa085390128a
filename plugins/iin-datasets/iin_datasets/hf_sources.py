"""Find what `hf:NAME_OR_PATH[:CONFIG][@REVISION]` names, and have the library `datasets` bring it into its cache.

Only formats that hold data are read: no program of a data set runs, and no pickle is loaded. Nothing is fetched for
local files, and nothing at all where HF_HUB_OFFLINE is set.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iin_cli.errors import DataError, IinError, ResourceError, UsageError
from iin_cli.printable import printable
from iin_cli.progress import Reporter

from .shard_names import Named, files_named, parts_of

__all__ = ["Wanted", "is_own", "splits_of_source"]

# Modules of the library that read formats without code; `cache` is what it finds in its own cache without the Hub.
MODULES = ("parquet", "arrow", "imagefolder", "webdataset", "json", "csv", "text", "cache")
FILES = {".parquet": "parquet", ".arrow": "arrow"}
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
FAILED = re.compile(r"Failed to read (?:file|schema from) '(.+?)' with")
COMMIT = re.compile(r"[0-9a-f]{40}")
# What `save_to_disk` writes: several splits, or one.
SAVED = (("dataset_dict.json",), ("dataset_info.json", "state.json"))
# What the library says where a configuration has to be named, or is not there.
NO_CONFIG = ("onfig name is missing", "BuilderConfig", "configurations in the cache")
POLL_SECONDS = 1.0


class _Said(logging.Handler):
    """Keeps the library's errors, which name the file that they are about, as what it raises does not."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is said."""
        self.text = record.getMessage()


_said = _Said()


@dataclass(frozen=True)
class Wanted:
    """What the user named.

    Attributes:
        name: how a checkpoint names it, paths absolute.
        local: the files or the folder, where it is on this machine.
        hub: the name on the Hub, else None.
        config, revision: what follows the name.
    """

    name: str
    local: Named | None
    hub: str | None = None
    config: str | None = None
    revision: str | None = None

    @classmethod
    def of(cls, argument: str | None, root: Path | None) -> Wanted:
        """Read `NAME_OR_PATH[:CONFIG][@REVISION]`; what is on this machine comes before a name of the Hub.

        Raises UsageError for nothing or an impossible name, DataError for a path that leads nowhere.
        """
        if not argument:
            raise UsageError("hf: name a data set of the Hub, or a folder or file: hf:owner/name, hf:./faces.parquet")
        if (named := _local(argument, root)) is not None:
            return cls(printable(f"hf:{named.word}"), named)
        before, colon, config = argument.rpartition(":")
        if colon and config and (named := _local(before, root)) is not None:
            return cls(printable(f"hf:{named.word}:{config}"), named, None, config)
        if argument.startswith((".", "/", "~")) or "{" in argument or Path(argument).suffix in FILES:
            files_named(argument, root, "file", tuple(FILES))
        start, at, revision = argument.rpartition("@") if "@" in argument else (argument, "", "")
        if at and _local(start, root) is not None:
            raise UsageError(f"hf:{printable(argument)}: only data sets of the Hub have revisions: leave it out")
        hub, _, config = start.partition(":")
        if HUB_NAME.fullmatch(hub) is None:
            raise UsageError(
                f"hf:{printable(argument)} is neither on this machine nor a name of the Hub, which reads owner/name"
            )
        return cls(printable(f"hf:{argument}"), None, hub, config or None, revision or None)


def splits_of_source(wanted: Wanted, report: Reporter) -> Mapping[str, Any]:
    """Return the data sets (`datasets.Dataset`) of the splits of what is wanted, by the names of the splits.

    Raises DataError where it cannot be read, UsageError for a configuration that it has not.
    """
    library = _library()
    with _explained(wanted):
        if wanted.local is not None and (saved := _saved_folder(wanted.local)) is not None:
            if wanted.config is not None:
                raise UsageError(f"{wanted.name}: a folder of save_to_disk has no configurations: leave it out")
            loaded = library.load_from_disk(str(saved))
        else:
            if wanted.hub is not None and not _is_offline():
                # It is asked several times before it counts as silent.
                report.note(f"{wanted.name}: the Hub is asked")
            builder = _builder(library, wanted)
            _require_data_only(builder, wanted)
            _tell_offline(builder, wanted, report)
            with report.task(f"prepare {wanted.name}", None, "MB") as task, _growth(builder, task):
                builder.download_and_prepare()
            loaded = builder.as_dataset()
    return loaded if isinstance(loaded, dict) else {str(loaded.split or "train"): loaded}


def is_own(file: Path) -> bool:
    """Say whether a file lies in the cache of the library."""
    from datasets import config

    return file.is_relative_to(config.HF_DATASETS_CACHE)


def _library() -> Any:
    """Import the library; it says and counts nothing of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import datasets
        from datasets import config
    config.HF_UPDATE_DOWNLOAD_COUNTS = False
    datasets.logging.set_verbosity_error()
    logging.getLogger("datasets").handlers = [_said]
    datasets.disable_progress_bars()
    from huggingface_hub.utils import disable_progress_bars
    from huggingface_hub.utils import logging as hub_logging

    hub_logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        disable_progress_bars()
    return datasets


def _local(argument: str, root: Path | None) -> Named | None:
    """Return the files or the folder of this name; None where there are none."""
    for base in (Path(), root):
        if base is not None and (path := base / Path(argument).expanduser()).is_dir():
            return Named(os.path.abspath(path), [Path(os.path.abspath(path))])
    try:
        return files_named(argument, root, "file", tuple(FILES))
    except IinError:
        return None


def _saved_folder(named: Named) -> Path | None:
    folder = named.files[0]
    is_saved = any(all((folder / file).is_file() for file in files) for files in SAVED)
    return folder if is_saved else None


def _builder(library: Any, wanted: Wanted) -> Any:
    if wanted.local is None:
        return library.load_dataset_builder(wanted.hub, wanted.config, revision=wanted.revision)
    files = wanted.local.files
    if files[0].is_dir():
        return library.load_dataset_builder(str(files[0]), wanted.config)
    kinds = {FILES.get(file.suffix.lower()) for file in files}
    if len(kinds) != 1 or None in kinds:
        raise UsageError(f"{wanted.name}: files must all end in .parquet, or all in .arrow")
    if wanted.config is not None:
        raise UsageError(f"{wanted.name}: a file has no configurations: leave :{printable(wanted.config)} out")
    said = parts_of(files)
    # Without a name for every file they are one set.
    is_split = "train" in said and None not in said
    splits: dict[str, list[str]] = {}
    for file, part in zip(files, said, strict=True):
        splits.setdefault(part if is_split and part else "train", []).append(glob.escape(str(file)))
    (kind,) = kinds
    return library.load_dataset_builder(kind, data_files=splits)


def _require_data_only(builder: Any, wanted: Wanted) -> None:
    """Raise DataError for a format whose reader may run code, or holds no images."""
    home = "datasets.packaged_modules."
    own = [kind.__module__ for kind in type(builder).__mro__ if kind.__module__.startswith(home)]
    module = own[0].removeprefix(home).partition(".")[0] if own else type(builder).__module__
    if module not in MODULES:
        raise DataError(
            f"{wanted.name} is read by {module}, and only these formats are read: {', '.join(MODULES[:-1])}; no code "
            "of a data set is run"
        )


def _tell_offline(builder: Any, wanted: Wanted, report: Reporter) -> None:
    """Say where the copy in the library's cache stands for what is on the Hub, perhaps at another revision."""
    if ".cache." not in f".{type(builder).__module__}." or wanted.hub is None:
        return
    report.warn(f"{wanted.name}: the Hub is not asked, or does not answer: what its cache has is read")
    if wanted.revision is None or wanted.revision in str(builder.cache_dir):
        return
    if COMMIT.fullmatch(wanted.revision):
        raise DataError(
            f"{wanted.name}: the cache has another revision, and the Hub is not asked: unset HF_HUB_OFFLINE"
        )
    report.warn(f"{wanted.name}: whether the copy is of revision {printable(wanted.revision)} is not known")


@contextlib.contextmanager
def _explained(wanted: Wanted) -> Iterator[None]:
    """Turn what the library raises into one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _said.text = ""
            yield
    except (IinError, MemoryError):
        raise
    # Every format has a reader with errors of its own.
    except Exception as error:
        text = _why(error)
        if isinstance(error, ValueError) and any(sign in text for sign in NO_CONFIG):
            raise UsageError(f"{wanted.name}: {text.partition(' Please')[0]}: write hf:NAME:CONFIG") from error
        hint = ": fetch it first, or unset HF_HUB_OFFLINE" if _is_offline() and wanted.hub is not None else ""
        if wanted.local is not None and set("[]*?") & set(wanted.local.word):
            hint = ": the library takes [, ], * and ? in a path for wildcards, so rename it"
        failed = FAILED.search(_said.text)
        broken = failed[1] if failed is not None else _broken(wanted)
        text = f"{printable(broken)}: {text}" if broken else text
        if getattr(_bottom(error), "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "Not enough disk space" in text:
            raise ResourceError(
                f"no space for {wanted.name} in the library's cache: free some, or set HF_HOME"
            ) from error
        raise DataError(f"{wanted.name} cannot be opened ({text}){hint}") from error


def _broken(wanted: Wanted) -> str | None:
    """Return the first local file of Parquet that cannot be read; the library does not always say which it is."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    for named in wanted.local.files if wanted.local is not None else ():
        for file in sorted(named.rglob("*.parquet")) if named.is_dir() else [named]:
            try:
                with ParquetFile(file) as opened:
                    for _ in opened.iter_batches():
                        pass
            except (OSError, ArrowException):
                return str(file)
    return None


def _bottom(error: BaseException) -> BaseException:
    while (below := error.__cause__) is not None:
        error = below
    return error


def _why(error: BaseException) -> str:
    """Return the message of what lies at the bottom of an error, in one line."""
    error = _bottom(error)
    text = printable(" ".join(str(error).split())) or type(error).__name__
    # The library reads as many rows at a time as the first group has.
    text = "it has no images: it has 0 rows" if text == "BatchSize must be greater than 0, got 0" else text
    return text if len(text) <= 300 else f"{text[:297]}..."


def _is_offline() -> bool:
    from datasets import config

    return bool(config.HF_HUB_OFFLINE)


@contextlib.contextmanager
def _growth(builder: Any, task: Any) -> Iterator[None]:
    """Report the megabytes that a download and its preparation write, as their folders grow."""
    from datasets import config
    from huggingface_hub.constants import HF_HUB_CACHE

    hub = f"datasets--{builder.repo_id.replace('/', '--')}" if builder.repo_id else None
    places = [Path(builder.cache_dir), Path(f"{builder.cache_dir}.incomplete")]
    places += [Path(HF_HUB_CACHE) / hub / "blobs"] if hub else [Path(config.HF_DATASETS_CACHE) / "downloads"]
    stop = threading.Event()

    def watch() -> None:
        reported = _size(places)
        while not stop.wait(POLL_SECONDS):
            now = max(reported, _size(places))
            task.advance((now - reported) / 1e6)
            reported = now

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _size(places: list[Path]) -> int:
    total = 0
    for place in places:
        with contextlib.suppress(OSError):
            for entry in os.scandir(place):
                with contextlib.suppress(OSError):
                    total += entry.stat().st_size
    return total
