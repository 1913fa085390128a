"""`hf:NAME_OR_PATH[:CONFIG][@REVISION]`: data sets of the library `datasets`, of the Hub or of local files.

The library is imported when such a name is opened, and not before. Its tables are mapped into memory; images are taken
from them as bytes, and decoded as everywhere in iin.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from iin_cli.data.known_files import CLOCK_NS
from iin_cli.data.scanning import image_endings
from iin_cli.errors import DataError
from iin_cli.io.image_files import open_regular, why_unreadable
from iin_cli.io.paths import data_root as resolve_root
from iin_cli.leading import led
from iin_cli.printable import printable
from iin_cli.progress import Reporter, Silent
from PIL import Image

from .columns import MISSING, Column
from .hf_sources import Wanted, is_own, splits_of_source
from .records import Origin, Records, open_records
from .seen import Content, Facts, Seen, Table, look_at, read_table, write_table
from .shard_names import part_of

__all__ = ["open_hf"]

# Names of the column of images, the likelier first.
IMAGE_NAMES = ("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "pixels", "bytes")
# How a column holds images: bytes alone, bytes or else a path, pixels.
Kind = Literal["bytes", "file", "pixels"]
PLAIN = ("bool", "string", "large_string", "string_view", "int", "uint", "float", "double", "half")
# Values of a split that are looked at to tell images from other bytes.
TRIED = 3


@dataclass(frozen=True)
class SplitPart:
    """One split.

    Attributes:
        images: the column of images, a `pyarrow.ChunkedArray`.
        known_as: name of the dataset and of the split.
        files: the files that are mapped -> their sizes in bytes.
    """

    images: Any
    kind: Kind
    known_as: str
    files: Mapping[Path, int]
    seen: Seen
    columns: Mapping[str, Column]
    split: str | None

    def require_there(self) -> None:
        """Raise DataError for a file that has become shorter, whose missing pages would end this process."""
        for file, size in self.files.items():
            # The pages of one that was removed stay.
            if file.exists() and file.stat().st_size < size:
                raise DataError(f"{printable(str(file))} became shorter while it was read: run the command again")

    def content(self, place: int) -> bytes:
        """Return the bytes of image number `place`; raises OSError, or ValueError where there are none."""
        return _content(self.images[place].as_py(), self.kind)

    def called(self, place: int) -> str:
        """Return the row that holds image number `place`, and the name that it has there."""
        value = self.images[place].as_py() if self.kind == "file" else None
        name = (value or {}).get("path")
        return printable(f"{self.known_as}[{place}]" + (f" {name}" if name else ""))


def open_hf(
    data_root: Path | None = None,
    argument: str | None = None,
    report: Reporter | None = None,
    skip_bad: bool = False,
) -> Records:
    """Open a data set of the Hub, a folder or a file of Parquet or Arrow, a folder of `save_to_disk`, or of images.

    Its column of images is found; columns of one value per image become labels. Splits are named train, validation and
    test in any spelling; without a test split a tenth of the images is one, chosen by their content.

    Raises UsageError for an impossible name, DataError for what cannot be opened, has no images, or has images that
    cannot be read; with `skip_bad` these are left out.
    """
    report = report or Silent()
    wanted = Wanted.of(argument, resolve_root(data_root))
    splits = dict(splits_of_source(wanted, report))
    splits = {split: rows for split, rows in splits.items() if len(rows)}
    if not splits:
        raise DataError(f"{wanted.name} has no images: it has 0 rows")
    said = _parts(wanted.name, splits, report)
    column, kind = _image_column(wanted.name, {split: splits[split] for split in said}, report)
    values = {split: _values(wanted.name, splits[split], column) for split in said}
    said = _labelled(wanted.name, said, values, report)
    chunks = {split: _whole(wanted.name, splits[split], column) for split in said}
    seen = led(f"records {wanted.name}", lambda: _look(splits, chunks, kind, report))
    parts = []
    for split, part in said.items():
        where = f"{wanted.name} {split}", _sizes(splits[split])
        parts.append(SplitPart(chunks[split], kind, *where, seen[split], values[split], part))
    skipped = {}
    for split in said:
        skipped |= _skipped(splits[split], column, values[split])
    return open_records(Origin(wanted.name, parts, skipped, {}), report, skip_bad)


def _files(rows: Any) -> list[Path]:
    return [Path(file["filename"]) for file in rows.cache_files]


def _sizes(rows: Any) -> dict[Path, int]:
    return {file: file.stat().st_size for file in _files(rows)}


def _parts(name: str, splits: Mapping[str, Any], report: Reporter) -> dict[str, str | None]:
    """Return which part of the set each split is; without one called train all are drawn from together."""
    said = {split: part_of(split) for split in splits}
    if "train" not in said.values():
        return dict.fromkeys(said)
    if others := [split for split, part in said.items() if part is None]:
        report.note(f"{name}: its splits {', '.join(map(printable, others))} are neither train nor test: left out")
    return {split: part for split, part in said.items() if part is not None}


def _labelled(
    name: str, said: Mapping[str, str | None], values: Mapping[str, Mapping[str, Column]], report: Reporter
) -> dict[str, str | None]:
    """Leave out splits whose classes are withheld, as those of many a competition are."""
    known = {
        column
        for split in said
        for column, found in values[split].items()
        if found.is_class and (found.codes != MISSING).any()
    }
    kept = dict(said)
    for split, part in said.items():
        hidden = [column for column in sorted(known) if _is_withheld(values[split].get(column))]
        if hidden and part != "train":
            report.note(f"{name}: its split {printable(split)} has no {printable(hidden[0])}: left out")
            del kept[split]
    return kept


def _is_withheld(column: Column | None) -> bool:
    return column is not None and bool((column.codes == MISSING).all())


# ------------------------------------------------------------------------------------------------------------ images
def _image_column(name: str, splits: Mapping[str, Any], report: Reporter) -> tuple[str, Kind]:
    """Return the column of images and how it holds them. Raises DataError naming the columns where there is none."""
    features = next(iter(splits.values())).features
    declared = {column: kind for column, kind in features.items() if type(kind).__name__ == "Image"}
    found: dict[str, Kind] = dict.fromkeys(declared, "file")
    if not found:
        for column, feature in features.items():
            if (kind := _kind_of(name, feature, next(iter(splits.values())), column)) is not None:
                found[column] = kind
    if not found:
        have = ", ".join(f"{printable(column)} ({_type_of(feature)})" for column, feature in features.items())
        raise DataError(f"{name} has no column of images; it has: {have or 'none'}")
    chosen = next((column for wish in IMAGE_NAMES for column in found if column.lower() == wish), next(iter(found)))
    if len(found) > 1:
        others = ", ".join(printable(column) for column in found if column != chosen)
        report.note(f"{name}: the images are those of {printable(chosen)}, not of {others}")
    if lacking := [split for split, rows in splits.items() if chosen not in rows.features]:
        raise DataError(f"{name}: its split {printable(lacking[0])} has no column {printable(chosen)}")
    return chosen, found[chosen]


def _kind_of(name: str, feature: Any, rows: Any, column: str) -> Kind | None:
    """Say how a column that is not declared to hold images does so; None where it holds none."""
    kind: Kind | None = None
    called, stored = type(feature).__name__, str(getattr(feature, "dtype", ""))
    if isinstance(feature, dict) and {"bytes", "path"} <= feature.keys():
        kind = "file"
    elif called == "Value" and "binary" in stored:
        kind = "bytes"
    elif called in ("Array2D", "Array3D") and stored == "uint8":
        kind = "pixels"
    if kind is None:
        return None
    for value in _whole(name, rows, column)[:TRIED]:
        try:
            with Image.open(io.BytesIO(_content(value.as_py(), kind))):
                return kind
        except (OSError, ValueError):
            continue
    return None


def _content(value: Any, kind: Kind) -> bytes:
    """Return the bytes of an image; raises OSError, or ValueError where there are none."""
    if value is None:
        raise ValueError("it has no image")
    if kind == "bytes":
        return value
    if kind == "pixels":
        return _as_file(np.array(value, np.uint8))
    if value.get("bytes") is not None:
        return value["bytes"]
    path = value.get("path")
    if not path:
        raise ValueError("it has no image")
    # A table from elsewhere names whatever it likes: only files that may be images are opened, and none is fetched.
    if "://" in path or Path(path).suffix.lower() not in image_endings():
        raise ValueError("its image is not in the table, and its path is none of an image on this machine")
    with open_regular(Path(path)) as opened:
        return opened.read()


def _as_file(pixels: np.ndarray) -> bytes:
    """Return pixels (H, W), (H, W, 1 or 3) or (1 or 3, H, W) as a file of Netpbm."""
    if pixels.ndim == 3 and pixels.shape[2] not in (1, 3) and pixels.shape[0] in (1, 3):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(f"pixels of shape {pixels.shape}")
    magic = "P5" if pixels.ndim == 2 else "P6"
    return f"{magic} {pixels.shape[1]} {pixels.shape[0]} 255\n".encode() + pixels.tobytes()


def _look(splits: Mapping[str, Any], chunks: Mapping[str, Any], kind: Kind, report: Reporter) -> dict[str, Seen]:
    """Look at every image of every split once, unless it is known from before."""
    seen: dict[str, Seen] = {}
    for split, images in chunks.items():
        now = time.time_ns()
        files = _files(splits[split])
        # The library's own files are made in one go, and never written again.
        now += CLOCK_NS if all(map(is_own, files)) else 0
        known_by = f"hf {splits[split]._fingerprint} {kind} {' '.join(map(str, files))}"
        facts = _facts(files, images, kind, now)
        table = None if facts is None else read_table(known_by, facts)
        if table is not None and len(table.arrays["digests"]) == len(images):
            seen[split] = table.seen()
            continue
        with report.task(f"check images of {split}", len(images), "images") as task:
            seen[split] = look_at(_contents(images, kind), len(images), task.advance)
        # A file that changed meanwhile is looked at again.
        if facts is not None and facts == _facts(files, images, kind, now):
            write_table(known_by, facts, Table.of(seen[split]))
    return seen


def _facts(files: Sequence[Path], images: Any, kind: Kind, now_ns: int) -> Facts | None:
    """Return what the system says of the files that hold images; None where there are none, or one is not there."""
    paths: list[str] = []
    if kind == "file":
        for chunk in images.chunks:
            outside = chunk.filter(chunk.field("bytes").is_null()) if len(chunk) else chunk
            paths += [path for path in outside.field("path").to_pylist() if path]
    try:
        return Facts.of([*files, *map(Path, paths)], now_ns) if files else None
    except OSError:
        return None


def _contents(images: Any, kind: Kind) -> Iterator[Content]:
    for value in images:
        try:
            yield _content(value.as_py(), kind)
        except (OSError, ValueError) as cause:
            yield why_unreadable(cause)


# ------------------------------------------------------------------------------------------------------------ labels
def _values(called: str, rows: Any, images: str) -> dict[str, Column]:
    """Return the columns that have one plain value per row; DataError for a damaged one."""
    columns: dict[str, Column] = {}
    for name, feature in rows.features.items():
        if name == images:
            continue
        stored = _whole(called, rows, name)
        if type(feature).__name__ == "ClassLabel":
            codes = stored.fill_null(MISSING).to_numpy().astype(np.int32)
            # Competitions withhold classes by −1.
            codes = np.where((codes < 0) | (codes >= len(feature.names)), MISSING, codes).astype(np.int32)
            columns[name] = Column(codes, list(feature.names), is_class=True)
        elif _is_plain(feature):
            columns[name] = _encoded(stored)
    return columns


def _whole(called: str, rows: Any, name: str) -> Any:
    """Return a column once its parts agree with each other: pyarrow follows a damaged one wherever it leads."""
    from pyarrow import ArrowException

    column = rows.data.column(name)
    try:
        column.validate(full=True)
    except ArrowException as cause:
        raise DataError(f"{called}: its column {printable(name)} is damaged ({printable(str(cause))})") from cause
    return column


def _encoded(stored: Any) -> Column:
    """Return a column of plain values as codes."""
    encoded = stored.dictionary_encode().unify_dictionaries()
    if encoded.num_chunks == 0:
        return Column.empty(0)
    distinct = encoded.chunk(0).dictionary.to_pylist()
    codes = np.concatenate([chunk.indices.fill_null(MISSING).to_numpy() for chunk in encoded.chunks]).astype(np.int32)
    # What is no number is no value.
    nothing = [code for code, value in enumerate(distinct) if value is None or value != value]
    return Column(np.where(np.isin(codes, nothing), MISSING, codes).astype(np.int32), distinct)


def _is_plain(feature: Any) -> bool:
    return type(feature).__name__ == "Value" and feature.dtype.rstrip("0123456789") in PLAIN


def _skipped(rows: Any, images: str, values: Mapping[str, Column]) -> dict[str, str]:
    others = {name: feature for name, feature in rows.features.items() if name != images and name not in values}
    return {name: "other images" if type(f).__name__ == "Image" else _type_of(f) for name, f in others.items()}


def _type_of(feature: Any) -> str:
    if isinstance(feature, (list, dict)) or type(feature).__name__ in ("List", "LargeList", "Sequence"):
        return "lists or parts of their own"
    return str(getattr(feature, "dtype", None) or type(feature).__name__)
