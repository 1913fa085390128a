"""The schema of every kind of metadata, and the one function that checks text against it.

What a reader takes from metadata has passed here, so that a file with values of other types is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from ..errors import CheckpointError

__all__ = [
    "BackboneMetadata",
    "Described",
    "Digests",
    "Manifest",
    "Metadata",
    "Plan",
    "Positive",
    "ShardRecord",
    "TranslatorConfig",
    "TranslatorMetadata",
    "checked",
    "checked_plain",
    "damaged",
    "read_json",
    "schema_of",
]

# No name, path or message of a checkpoint comes near these; a text of megabytes would fill the terminal.
LONGEST_TEXT, DEEPEST = 2**16, 100

Positive = Annotated[int, Meta(ge=1, le=2**31)]
Count = Annotated[int, Meta(ge=0, le=2**31)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Checked = TypeVar("Checked")


class Digests(Struct, forbid_unknown_fields=True):
    """The sha256 of a file's tensors, and of its metadata without this entry's own `metadata`."""

    tensors: Sha256
    metadata: Sha256


class Factor(Struct, forbid_unknown_fields=True):
    """One factor as a checkpoint stores it."""

    name: Name
    dim: Positive
    sigma: Annotated[float, Meta(ge=0, lt=1)] = 0.9
    relation: Literal["share", "differ", "rest"] = "share"


class Origin(Struct):
    """The network that a translator or latents belong to."""

    source: Name
    sha256: str
    name: str | None = None
    weights: str = "default"
    layer: str | None = None
    precision: Literal["float32", "bfloat16"] = "float32"


class Data(Struct):
    """The data that something was fitted to."""

    name: str | None = None
    root: str | None = None
    fingerprint: str | None = None


class Described(Struct, kw_only=True):
    """What every kind may hold."""

    kind: Name
    format_version: Positive
    digest: Digests | None = None
    backbone: Origin | None = None
    data: Data | None = None
    training: dict[str, Any] | None = None
    versions: dict[str, str] | None = None


class Metadata(Described, kw_only=True):
    """What `iin info` shows, also of kinds that it does not know."""

    name: Annotated[str, Meta(max_length=200)] | None = None
    config: dict[str, Any] | None = None
    factors: list[Factor] | None = None


class TranslatorConfig(Struct, forbid_unknown_fields=True):
    """Arguments that rebuild a translator."""

    dim: Annotated[int, Meta(ge=2, le=2**31)]
    blocks: Count
    hidden: Positive
    depth: Count
    linear_start: bool = False
    within: Annotated[list[Positive], Meta(min_length=1)] | None = None
    gaussianise: bool = False
    added: list[TranslatorConfig] = []

    def all(self) -> list[TranslatorConfig]:
        """Return this and those added to it."""
        return [self, *(each for added in self.added for each in added.all())]


class TranslatorMetadata(Described, kw_only=True):
    """A translator's metadata."""

    name: str | None = None
    config: TranslatorConfig
    factors: Annotated[list[Factor], Meta(min_length=1)]


class BackboneMetadata(Described, kw_only=True):
    """A backbone's metadata; only the backbone itself knows what its `config` holds."""

    name: Name
    config: dict[str, Any]
    factors: list[Factor] | None = None
    latent_dim: Positive | None = None
    image_size: Positive | None = None
    classes: list[str] | None = None


class LatentsMetadata(Metadata, kw_only=True):
    """The metadata of a file of latents."""

    split: str | None = None
    concepts: list[str] | None = None
    renderings: list[str] | None = None
    label_names: dict[str, list[str]] | None = None


class StatisticsMetadata(Metadata, kw_only=True):
    """The metadata of statistics of a set of images."""

    n: Count | None = None
    weights_sha256: str | None = None
    resize: str | None = None
    image_size: Positive | None = None
    source: str | None = None


class TrainingMetadata(Metadata, kw_only=True):
    """The metadata of a training's state."""

    tree: dict[str, Any]


class Plan(Struct):
    """What is taken from `plan.json`; the rest is only compared."""

    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Manifest(Struct):
    """The manifest of a folder of samples."""

    format_version: Literal[1]
    settings: dict[str, Any]
    seeds: list[tuple[int, int]]


class ShardRecord(Struct):
    """The record of one shard of samples: its seeds, and the sha256 of its files."""

    seeds: list[tuple[int, int]]
    files: dict[str, Sha256]


SCHEMAS: dict[str, type[Described]] = {
    "translator": TranslatorMetadata,
    "backbone": BackboneMetadata,
    "latents": LatentsMetadata,
    "statistics": StatisticsMetadata,
    "training": TrainingMetadata,
}


def schema_of(kind: str) -> type[Described]:
    """Return the schema of a kind; of a plugin's kind what every kind has."""
    return SCHEMAS.get(kind, Metadata)


def checked_plain(text: str, file: Path) -> dict[str, Any]:
    """Return the JSON object under `iin` in `file`. CheckpointError for anything else, and for what is endless."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise damaged(file, str(error)) from error
    except RecursionError:
        raise damaged(file, "it is nested too deeply") from None
    if not isinstance(found, dict):
        raise damaged(file, "it is no JSON object")
    for problem in _endless(found):
        raise damaged(file, problem)
    return found


def checked(values: Any, schema: type[Checked], file: Path) -> Checked:
    """Return `values`, JSON of `file`, as `schema` describes them. CheckpointError naming what does not fit."""
    try:
        return msgspec.convert(values, schema)
    except (msgspec.ValidationError, RecursionError) as error:
        raise damaged(file, str(error)) from error


def read_json(file: Path, schema: type[Checked]) -> Checked:
    """Read a JSON file of this program, `plan.json`, as `schema` describes it.

    Raises CheckpointError for a file that is damaged, OSError for one that cannot be read.
    """
    try:
        # Not msgspec's decoder: plans may hold Infinity, as Python's own JSON writes it.
        found = json.loads(file.read_text(encoding="utf-8"))
        return msgspec.convert(found, schema)
    # msgspec's errors are ValueErrors in newer versions only.
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise CheckpointError(f"{file} is damaged: {str(error)[:200]}; use another copy, or make it again") from error


def damaged(file: Path, why: str) -> CheckpointError:
    """Return the error for damaged metadata."""
    return CheckpointError(f"{file} has damaged metadata under 'iin': {why}; use another copy of it, or make it again")


def _endless(values: Any) -> Iterator[str]:
    """Yield what no file of this program holds: texts of megabytes, and deep nesting."""
    level = [values]
    for _ in range(DEEPEST):
        texts = [part for part in level if isinstance(part, str)]
        if (longest := max(map(len, texts), default=0)) > LONGEST_TEXT:
            yield f"a text of {longest:,} characters"
        level = [
            inner
            for part in level
            for inner in (part if isinstance(part, list) else [*part, *part.values()] if isinstance(part, dict) else [])
        ]
        if not level:
            return
    yield "it is nested too deeply"
