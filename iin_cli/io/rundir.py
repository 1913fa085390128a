"""Run folders: a new or empty `--out`, else the next numbered folder under `runs/`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, overload

from ..errors import CheckpointError, UsageError
from ..results import with_left_out
from .atomic import as_write_error, write_text
from .holding import hold, hold_file, remove_unfinished, unfinished

__all__ = [
    "EVENTS_NAME",
    "LOG_NAME",
    "PLAN_NAME",
    "RESULT_NAME",
    "begun_alone",
    "new_file",
    "open_run",
    "read_plan",
    "recorded_seed",
    "remove_begun",
    "write_json",
    "write_plan",
    "write_result",
]

# What a training inferred and was asked for.
PLAN_NAME = "plan.json"
# What it reports as it goes: a file, and a folder of TensorBoard's.
LOG_NAME = "log.jsonl"
EVENTS_NAME = "tensorboard"
# What it writes once it has finished.
RESULT_NAME = "result.json"


@overload
def open_run(out: Path | None, label: str, resume: bool = False) -> AbstractContextManager[Path]: ...
@overload
def open_run(out: Path | None, label: str, resume: bool, dry: bool) -> AbstractContextManager[Path | None]: ...
@contextmanager
def open_run(out: Path | None, label: str, resume: bool = False, dry: bool = False) -> Iterator[Path | None]:
    """Yield the folder of this run, None for a `dry` one; a folder made here goes if the run fails and leaves it empty.

    The folder is held against other runs until the end. What a run that was killed left half written is removed, its
    plan too where it saved nothing else: such a folder counts as new.

    Args:
        out: the user's `--out`; None makes `runs/00007-<label>`.
        label: what the run is (`fit-translator-resnet50-roundness`).
        resume: accept a folder that holds files.

    Raises UsageError when `out` is a file, is not empty (without `resume`), cannot be written, or another run is
    writing into it.
    """
    if dry:
        yield None
        return
    existed = out is not None and out.exists()
    folder = _made(out) if out is not None else _next_numbered(Path("runs"), label)
    with hold(folder):
        _claim(folder, resume)
        try:
            yield folder
        except BaseException:
            if not existed and folder.is_dir() and not any(folder.iterdir()):
                shutil.rmtree(folder, ignore_errors=True)
            raise


@contextmanager
def new_file(out: Path | None, label: str, default_name: str) -> Iterator[Path]:
    """Yield the path of a new result file: `out`, or `default_name` in a run folder; its name is held meanwhile.

    Raises UsageError if `out` exists, or another run is writing it.
    """
    if out is None:
        folder = _next_numbered(Path("runs"), label)
        try:
            yield folder / default_name
        except BaseException:
            with suppress(OSError):
                # Only an empty folder goes.
                folder.rmdir()
            raise
        return
    _require_new(out)
    _require_writable(out.parent)
    with hold_file(out):
        # The run that held it until now has finished.
        _require_new(out)
        yield out


def _require_new(out: Path) -> None:
    if out.exists():
        raise UsageError(f"--out {out} exists already: choose another name or remove it")


def recorded_seed(folder: Path, given: int | None) -> int:
    """Return the seed of the interrupted run in `folder`.

    Raises UsageError without one or if `given` differs, CheckpointError where its `plan.json` is damaged.
    """
    from .schema import Plan, read_json

    try:
        recorded = read_json(folder / PLAN_NAME, Plan).seed
        read_plan(folder)
    except OSError as error:
        raise UsageError(f"--resume: there is no interrupted run in {folder}; leave --resume out") from error
    if given is not None and given != recorded:
        raise UsageError(f"--resume: the run in {folder} has seed {recorded}, not {given}; leave --seed out")
    return recorded


def write_plan(path: Path, plan: Mapping[str, Any]) -> None:
    """Write the plan of a training with a digest of it: a resumed run takes its seed from there."""
    write_json(path, {**plan, "digest": _digest(plan)})


def read_plan(folder: Path) -> dict[str, Any]:
    """Read the plan in `folder`. CheckpointError for one that is not as it was saved, OSError where there is none."""
    from .schema import read_json

    plan = read_json(folder / PLAN_NAME, dict[str, Any])
    # Runs of 0.1 have none.
    if plan.pop("digest", None) not in (None, _digest(plan)):
        raise CheckpointError(
            f"{folder / PLAN_NAME} is damaged: it is not as it was saved; use another copy, or start the run again"
        )
    return plan


def _digest(plan: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_result(path: Path, value: Mapping[str, Any]) -> None:
    """Write the JSON of a result as `write_json`, with the files that the command left out of its data."""
    write_json(path, with_left_out(value))


def _made(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file: name a new or empty folder")
    _require_writable(out)
    return out


def _claim(folder: Path, resume: bool) -> None:
    """Remove what killed runs left in `folder`, which this run holds; UsageError where more than that is in it."""
    rest = set(folder.iterdir()) - set(unfinished(folder))
    begun = begun_alone(folder) and _is_plan(folder / PLAN_NAME)
    if rest and not begun and not resume:
        raise UsageError(f"--out {folder} is not empty: name a new folder, or --resume a run in it")
    try:
        remove_unfinished(folder)
        if begun and not resume:
            remove_begun(folder)
    except OSError as error:
        raise as_write_error(folder, error) from error


def begun_alone(folder: Path) -> bool:
    """Say whether `folder` holds what a training writes before it saves anything, its plan and its log, and no more."""
    rest = {entry.name for entry in folder.iterdir()} - {entry.name for entry in unfinished(folder)}
    return PLAN_NAME in rest and rest <= {PLAN_NAME, LOG_NAME, EVENTS_NAME}


def remove_begun(folder: Path) -> None:
    """Remove what `begun_alone` counts."""
    for name in (LOG_NAME, PLAN_NAME):
        (folder / name).unlink(missing_ok=True)
    if (folder / EVENTS_NAME).is_dir():
        shutil.rmtree(folder / EVENTS_NAME)


def _is_plan(file: Path) -> bool:
    """Say whether `file` is a plan as a training writes it, with the seed that it was to have."""
    try:
        plan = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(plan, dict) and isinstance(plan.get("seed"), int)


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise as_write_error(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write into {folder}: permission denied")


def _next_numbered(parent: Path, label: str) -> Path:
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip("-")[:80]
    _require_writable(parent)
    taken = [int(match[1]) for entry in parent.iterdir() if (match := re.match(r"(\d{5})-", entry.name))]
    number = max(taken, default=-1) + 1
    while True:
        folder = parent / f"{number:05d}-{safe}"
        try:
            # mkdir is the lock: two runs started together get two numbers.
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1
