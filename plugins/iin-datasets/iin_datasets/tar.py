"""`tar:shards-{000..099}.tar`: the images of WebDataset's shards, read at their places in the files.

Every shard is read once; what it holds is kept in the cache, so that it is not read again until it changes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from iin_cli.errors import DataError, UsageError
from iin_cli.io.paths import data_root as resolve_root
from iin_cli.leading import led
from iin_cli.printable import printable
from iin_cli.progress import Reporter, Silent
from iin_cli.results import note_left_out

from .records import Origin, Records, open_records
from .shard_index import Shard, known_shard, read_shard
from .shard_names import files_named, parts_of

__all__ = ["open_tar"]

MB = 1e6
# Programs and addresses that WebDataset would start or fetch.
ELSEWHERE = ("pipe:", "http:", "https:", "s3:", "gs:", "hf:", "ftp:")


def open_tar(
    data_root: Path | None = None,
    argument: str | None = None,
    report: Reporter | None = None,
    skip_bad: bool = False,
) -> Records:
    """Open shards: a path, several by braces or wildcards, or a folder; relative to here, else to the data root.

    Labels are the contents of `.cls`, `.txt` and the like, and the fields of `.json`. Shards called train, val and test
    are the splits; else a tenth of the images is the test split, chosen by their content.

    Raises UsageError for no name or one of a program or address, DataError for a shard that is missing, no tar file,
    compressed or cut off, and for images that cannot be read. With `skip_bad` these images, and what follows a cut,
    are left out.
    """
    report = report or Silent()
    wanted = argument or ""
    if wanted.startswith(ELSEWHERE) or "://" in wanted or "::" in wanted:
        raise UsageError(f"tar:{printable(wanted)}: only files of this machine are read, several as a-{{0..9}}.tar")
    named = files_named(wanted, resolve_root(data_root), "shard", (".tar",))
    name = printable(f"tar:{named.word}")
    shards = led(f"records {name}", lambda: _read_all(named.files, report))
    cut = {printable(str(shard.path)): shard.cut for shard in shards if shard.cut}
    if cut:
        _tell_cut(cut, report, skip_bad)
    if unclosed := [shard for shard in shards if not shard.is_closed and not shard.cut]:
        path, many = printable(str(unclosed[0].path)), f"{len(unclosed):,} of {len(shards):,} shards"
        report.warn(f"{name}: {many} have no mark of their end, and may be cut off, such as {path}")
    _tell_others(name, shards, report)
    skipped = {field: why for shard in shards for field, why in shard.skipped.items()}
    if not any(len(shard.names) for shard in shards):
        raise DataError(f"{name} has no images: no key has a member that Pillow reads, such as .jpg or .png")
    return open_records(Origin(name, shards, skipped, cut), report, skip_bad)


def _read_all(files: Sequence[Path], report: Reporter) -> list[Shard]:
    """Return what the shards hold; those that are not known, or have changed, are read."""
    splits = parts_of(files)
    known = {file: known_shard(file, split) for file, split in zip(files, splits, strict=True)}
    unread = [file for file, shard in known.items() if shard is None]
    if unread:
        with report.task("read shards", sum(map(os.path.getsize, unread)) / MB, "MB") as task:
            for file, split in zip(files, splits, strict=True):
                if known[file] is None:
                    known[file] = read_shard(file, split, lambda done: task.advance(done / MB))
    return [shard for shard in known.values() if shard is not None]


def _tell_cut(cut: dict[str, str], report: Reporter, skip_bad: bool) -> None:
    path, why = next(iter(cut.items()))
    more = f" ({len(cut)} shards are)" if len(cut) > 1 else ""
    if not skip_bad:
        raise DataError(f"shard {path} is not whole{more}: {why}, or read what there is with --skip-bad")
    report.warn(f"shard {path} is not whole{more}, and what follows is left out: {why}")
    note_left_out(cut)


def _tell_others(name: str, shards: Sequence[Shard], report: Reporter) -> None:
    others = Counter[str]()
    for shard in shards:
        others.update(shard.others)
    if others:
        said = ", ".join(f"{count:,} {printable(kind)}" for kind, count in others.most_common(6))
        report.note(f"{name}: not used: {said}")
