"""Copies of checkpoints and plans without the paths of this machine: whoever reads a repository would read them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..interpretation.opening import BESIDE
from ..io import checkpoint
from ..io.rundir import PLAN_NAME, read_plan, write_plan
from .contents import Contents

__all__ = ["without_places", "write_copies"]

# What users name themselves; a class may be called `/`.
NAMES = ("classes", "factors", "label_names", "concepts", "digest")


def write_copies(contents: Contents, folder: Path) -> dict[str, Path]:
    """Write what is published of a run into `folder`; return name -> file.

    Tensors stay as they are. The network of a translator is recorded as the file beside it, by the digest of its copy.
    """
    written: dict[str, Path] = {}
    sha256: str | None = None
    if contents.network is not None and contents.network.file is not None:
        written[BESIDE] = _copy(contents.network.file, folder / BESIDE, None)
        sha256 = checkpoint.digest(folder / BESIDE)
    name = f"{contents.kind}.safetensors"
    written = {name: _copy(contents.main, folder / name, sha256), **written}
    if contents.plan is not None:
        write_plan(folder / PLAN_NAME, _rewritten(read_plan(contents.plan.parent), sha256))
        written[PLAN_NAME] = folder / PLAN_NAME
    return written


def without_places(value: Any) -> Any:
    """Return JSON values with names for absolute paths: `/home/me/faces` becomes `faces`, a root becomes null.

    >>> without_places({"data": {"name": "/home/me/faces", "root": "/data"}, "classes": ["/"]})
    {'data': {'name': 'faces', 'root': None}, 'classes': ['/']}
    """
    if isinstance(value, Mapping):
        return {
            _name(key): entry if key in NAMES else None if key == "root" else without_places(entry)
            for key, entry in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [without_places(entry) for entry in value]
    # Arguments of concepts may be several paths: `sketch:/a/round.png,/a/angular.png`.
    return "".join(map(_name, re.split(r"([,=]|(?<!\b[A-Za-z]):)", value))) if isinstance(value, str) else value


def _copy(file: Path, to: Path, sha256: str | None) -> Path:
    found = checkpoint.load(file)
    metadata = {key: entry for key, entry in found.metadata.items() if key not in ("digest", "format_version")}
    checkpoint.save(to, found.tensors, _rewritten(metadata, sha256))
    return to


def _rewritten(described: Mapping[str, Any], sha256: str | None) -> dict[str, Any]:
    """Return the metadata or the plan of something that `sha256`, the copy of its network, lies beside."""
    clean = without_places(json.loads(json.dumps(described)))
    if sha256 is not None and clean.get("backbone") is not None:
        clean["backbone"] = {**clean["backbone"], "source": BESIDE, "sha256": sha256}
    return clean


def _name(text: str) -> str:
    # What stands behind the colon of a URL begins with two strokes.
    path = PurePosixPath(text) if text.startswith("/") else PureWindowsPath(text)
    return path.name if path.is_absolute() and path.name and not text.startswith("//") else text
