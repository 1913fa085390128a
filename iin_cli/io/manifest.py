"""The record of a folder of many files, shard by shard, so that the same command run again resumes where it stopped.

`manifest.json` holds the request: the settings that decide every file, and the seeds. `manifest/00007.json` appears
after the files of shard 7 and holds the sha256 of each. Shards are cut from the list of seeds alone, so that they, and
every byte in the folder, are the same for any number of processes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, UsageError
from . import schema
from .atomic import as_write_error, write_text
from .checkpoint import digest
from .schema import read_json

__all__ = ["SHARD_SEEDS", "Manifest", "Shard", "cut", "is_begun", "runs_of"]

FORMAT_VERSION = 1
# A multiple of every number of latents that is decoded at once, and small enough that many processes all get a shard.
SHARD_SEEDS = 256
FILE, FOLDER, UNFINISHED = "manifest.json", "manifest", ".part"
# Digests are shown in messages, where their beginning is enough to tell two apart.
SHOWN_DIGITS = 12


@dataclass(frozen=True)
class Shard:
    """Consecutive seeds of the list, made and recorded together; `number` counts the shards from 0."""

    number: int
    seeds: Sequence[int]


def cut(seeds: Sequence[int]) -> list[Shard]:
    """Cut a list of seeds into shards of `SHARD_SEEDS`, the last one shorter.

    >>> [(shard.number, len(shard.seeds)) for shard in cut(range(600))]
    [(0, 256), (1, 256), (2, 88)]
    """
    starts = range(0, len(seeds), SHARD_SEEDS)
    return [Shard(number, seeds[start : start + SHARD_SEEDS]) for number, start in enumerate(starts)]


def runs_of(seeds: Iterable[int]) -> list[list[int]]:
    """Write a list of seeds as runs [first, last], as manifests hold it.

    >>> runs_of([0, 1, 2, 7])
    [[0, 2], [7, 7]]
    """
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return runs


def is_begun(folder: Path | None) -> bool:
    """Say whether `folder` has a manifest; a partial one, left by a killed process, is removed."""
    if folder is None or not folder.is_dir():
        return False
    if (folder / FILE).is_file():
        return True
    for leftover in folder.glob(f".{FILE}.*{UNFINISHED}"):
        leftover.unlink(missing_ok=True)
    return False


def goes_on(out: Path | None) -> bool:
    """Say whether an earlier run began in `out`; UsageError where it holds anything else."""
    begun = is_begun(out)
    if out is not None and out.is_dir() and any(out.iterdir()) and not begun:
        raise UsageError(f"--out {out} is not empty and holds no samples to go on with: name a new folder")
    return begun


class Manifest:
    """The manifest of `folder`; every process of a run may hold one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, settings: Mapping[str, Any], seeds: Sequence[int]) -> bool:
        """Write the request, or compare it with that of an earlier run; return whether there was an earlier run.

        Args:
            settings: JSON values that decide every file; those of an earlier run must be the same.
            seeds: those of an earlier run, and any more after them.

        Raises UsageError naming what differs, CheckpointError for a manifest that is damaged.
        """
        asked = {"format_version": FORMAT_VERSION, "settings": dict(settings), "seeds": runs_of(seeds)}
        there = self.folder / FILE
        if not there.is_file():
            write_text(there, json.dumps(asked, indent=2, sort_keys=True) + "\n")
            return False
        found = read_json(there, schema.Manifest)
        runs = [list(run) for run in found.seeds]
        self._require_same(found.settings, settings)
        self._require_extended(runs, seeds)
        self._remove_unfinished()
        if runs != asked["seeds"]:
            write_text(there, json.dumps(asked, indent=2, sort_keys=True) + "\n")
        return True

    def is_complete(self, shard: Shard, names: Sequence[str]) -> bool:
        """Say whether the shard is recorded with these seeds and files, and every file holds the recorded bytes."""
        try:
            record = read_json(self._record(shard), schema.ShardRecord)
            same = [*map(list, record.seeds)] == runs_of(shard.seeds) and set(record.files) == set(names)
            return same and all(digest(self.folder / name) == record.files[name] for name in names)
        except (OSError, CheckpointError):
            return False

    def record(self, shard: Shard, digests: Mapping[str, str]) -> None:
        """Record that the files of a shard are whole: name -> sha256."""
        record = {"seeds": runs_of(shard.seeds), "files": dict(digests)}
        write_text(self._record(shard), json.dumps(record, sort_keys=True) + "\n")

    def _record(self, shard: Shard) -> Path:
        return self.folder / FOLDER / f"{shard.number:05d}.json"

    def _require_same(self, found: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        different = [
            f"{name} {_shown(found.get(name))} there, {_shown(asked.get(name))} asked"
            for name in sorted({*found, *asked})
            if found.get(name) != asked.get(name)
        ]
        if different:
            raise UsageError(f"{self.folder} holds another run ({'; '.join(different)}): name a new folder")

    def _require_extended(self, found: Sequence[Sequence[int]], asked: Sequence[int]) -> None:
        there = sum(last - first + 1 for first, last in found)
        if runs_of(asked[:there]) != found:
            begin = ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in found[:3])
            more = ",…" if len(found) > 3 else ""
            raise UsageError(
                f"{self.folder} holds the seeds {begin}{more}: give the same seeds, or the same and more after them, "
                "or name a new folder"
            )

    def _remove_unfinished(self) -> None:
        """Remove the partial files of a killed run."""
        try:
            for folder, _, files in os.walk(self.folder):
                for name in files:
                    if name.endswith(UNFINISHED):
                        os.unlink(os.path.join(folder, name))
        except OSError as error:
            raise as_write_error(self.folder, error) from error


def _shown(value: Any) -> str:
    if isinstance(value, str) and len(value) > 5 * SHOWN_DIGITS:
        return f"{value[:SHOWN_DIGITS]}…"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_shown(entry)}" for name, entry in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value)) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
