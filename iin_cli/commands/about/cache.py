"""`iin cache`: look through the cache → choose → remove."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...errors import IinError, UsageError
from ...io.atomic import as_write_error
from ...progress import Reporter, Silent
from ...results import Result, Table
from ...upkeep.amounts import shown_age, shown_size
from ...upkeep.entries import CacheEntry, CacheFolder, read_cache
from ...upkeep.in_use import WRITTEN, InUse
from ...upkeep.removing import named, outdated, remove

__all__ = ["ACTIONS", "CacheResult", "cache"]

ACTIONS = ("ls", "rm", "prune")


@dataclass(frozen=True)
class CacheResult(Result):
    """What is in the cache, or what was removed from it.

    Attributes:
        bytes: of the entries that are there now, or would be.
        entries: for `ls` all, else those that were removed, or would be.
        kept: those that were to go and are in use, and why.
        others: what iin did not make; left alone.
        data_bytes: of the datasets in the cache folder, which are not iin's to remove.
    """

    folder: str
    action: str
    dry_run: bool
    bytes: int
    removed_bytes: int
    entries: tuple[dict[str, Any], ...]
    kept: tuple[dict[str, Any], ...]
    others: tuple[str, ...]
    data_bytes: int

    def tables(self) -> list[Table]:
        """Return the entries, and what is kept, as tables."""
        title = "cache" if self.action == "ls" else "would be removed" if self.dry_run else "removed"
        tables = [(title, [_row(entry) for entry in self.entries])]
        tables.append(("kept", [{"name": entry["name"], "why": entry["in_use"]} for entry in self.kept]))
        return [(title, rows) for title, rows in tables if rows]

    def facts(self) -> dict[str, Any]:
        """Return the sizes."""
        facts: dict[str, Any] = {"folder": self.folder, "in it": shown_size(self.bytes)}
        if self.action != "ls":
            facts["to be removed" if self.dry_run else "removed"] = shown_size(self.removed_bytes)
        if self.data_bytes:
            facts["datasets there"] = f"{shown_size(self.data_bytes)}, yours to remove"
        if self.others:
            facts["not iin's"] = f"{', '.join(self.others[:5])}{', …' if len(self.others) > 5 else ''}"
        return facts


def cache(
    action: str,
    names: Sequence[str] = (),
    *,
    older_than: float | None = None,
    max_size: int | None = None,
    dry: bool = False,
    report: Reporter | None = None,
) -> CacheResult:
    """List the cache, or remove from it what no running command uses.

    Args:
        action: `ls`, `rm` (what `names` say) or `prune` (leftovers of killed runs, and what the limits say).
        older_than: seconds since the last use; `max_size`: bytes that may stay.
        dry: say what would go, and remove nothing.

    Raises UsageError for a name of nothing and for one entry that is in use.
    """
    report, found = report or Silent(), read_cache()
    use = InUse(found.path)
    if action == "ls":
        return _result(found, action, dry, found.entries, (), use)
    chosen = named(found, names) if action == "rm" else outdated(found, older_than, max_size)
    if action == "rm" and len(chosen) == 1 and (why := use.why(chosen[0])) is not None:
        rest = "an hour after it was killed" if why == WRITTEN else "a few seconds"
        raise UsageError(f"{chosen[0].name} stays: {why}; wait for the command, or for {rest}")
    gone: list[CacheEntry] = []
    kept: list[dict[str, Any]] = []
    with report.task("removing", len(chosen), "entries") as task:
        for entry in chosen:
            # Asked at the last moment: to remove the others took a while.
            if (why := use.why(entry)) is not None:
                kept.append(_facts(entry, why))
            else:
                gone.append(entry)
                if not dry:
                    _remove(entry)
            task.advance()
    return _result(found, action, dry, gone, kept, use)


def _remove(entry: CacheEntry) -> None:
    try:
        remove(entry)
    except FileNotFoundError:
        # Another command was quicker.
        return
    except OSError as error:
        raise _failed(entry, error) from error


def _failed(entry: CacheEntry, error: OSError) -> IinError:
    return as_write_error(entry.path, error)


def _result(
    found: CacheFolder,
    action: str,
    dry: bool,
    entries: Sequence[CacheEntry],
    kept: Sequence[dict[str, Any]],
    use: InUse,
) -> CacheResult:
    removed = sum(entry.bytes for entry in entries) if action != "ls" else 0
    return CacheResult(
        folder=str(found.path),
        action=action,
        dry_run=dry,
        bytes=found.bytes - (0 if dry else removed),
        removed_bytes=removed,
        entries=tuple(_facts(entry, use.why(entry) if action == "ls" else None) for entry in entries),
        kept=tuple(kept),
        others=found.others,
        data_bytes=found.data,
    )


def _facts(entry: CacheEntry, in_use: str | None) -> dict[str, Any]:
    when = datetime.fromtimestamp(entry.used, UTC).isoformat(timespec="seconds")
    facts = {"name": entry.name, "kind": entry.kind, "path": str(entry.path), "bytes": entry.bytes, "used": when}
    return {**facts, "about": entry.about, "in_use": in_use}


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    age = time.time() - datetime.fromisoformat(entry["used"]).timestamp()
    row = {"name": entry["name"], "size": shown_size(entry["bytes"]), "last used": f"{shown_age(age)} ago"}
    return {**row, "what": entry["about"] + (" (in use)" if entry["in_use"] else "")}
