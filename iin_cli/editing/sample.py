"""Sample images: z̃ ~ N(0, 1), x = G(T⁻¹(z̃)) (Eq 13); image i depends on seed i only."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ..distributed import choose_device, gather, is_main_rank, rank, world_size
from ..errors import UsageError
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.opening import open_translator
from ..io import checkpoint
from ..io.images import WRITERS
from ..io.manifest import SHARD_SEEDS, Manifest, Shard, cut, hold, is_begun
from ..io.rundir import open_run, write_json
from ..io.shards import Format, ShardFiles
from ..progress import Reporter, Silent, Task
from .partial_sampling import PartialPrior, choose_parts
from .priors import BackbonePrior, Prior, TranslatorPrior, generate

__all__ = ["Format", "PriorName", "SampleResult", "sample"]

PriorName = Literal["translator", "backbone"]


@dataclass(frozen=True)
class SampleResult:
    """What was drawn.

    Attributes:
        out: the folder they are in.
        count: images of all ranks together, those of earlier runs included.
        skipped: how many of them earlier runs had left there, whole.
        seconds: wall time of drawing, decoding and writing the others.
        images_per_second: of these others.
        decode_share: fraction of that time spent drawing and decoding, mean of the ranks; the rest is waiting for the
            files. None where nothing was drawn.
        fixed: factor -> image that it comes from, of partial sampling.
        varied: the factors drawn anew, of partial sampling.
    """

    out: str
    count: int
    skipped: int
    seconds: float
    images_per_second: float
    decode_share: float | None
    format: str
    translator: str
    prior: str
    truncation: float
    fixed: dict[str, str]
    varied: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)


def sample(
    translator: Path,
    seeds: Sequence[int],
    out: Path | None = None,
    *,
    batch: int = 64,
    format: Format = "png",
    subdirs: bool = False,
    prior: PriorName = "translator",
    truncation: float = 1.0,
    fix: Sequence[tuple[str, Path]] = (),
    vary: Sequence[str] = (),
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> SampleResult:
    """Draw the image of each seed and write it; under torchrun every process draws its share.

    The same call into the same folder goes on where an earlier one was stopped: what is there and whole is left as it
    is. Seeds may be added after those of the earlier call, nothing else may differ.

    Args:
        translator: checkpoint or run folder.
        out: new or empty folder, or that of an earlier call; None makes a numbered one.
        batch: images handed to the writers together; changes no image.
        format, subdirs: see `ShardFiles`; a file of arrays holds 256 images.
        prior: `backbone` draws z ~ N(0, 1) without the translator.
        truncation: ψ in (0, 1], the standard deviation of what is drawn.
        fix, vary: partial sampling, see `choose_parts`.
        backbone: where the translator's backbone lies now, if it was moved.

    Raises UsageError for a classifier, unknown factors, or a folder with anything else in it; DataError for an unfit
    image, CheckpointError for unfit files, ResourceError for a full disk.
    """
    report = report or Silent()
    _check(format, subdirs, prior, truncation, bool(fix or vary))
    opened = open_translator(translator, choose_device(device), backbone)
    source = _prior(opened, prior, truncation, fix, vary)
    partial = source if isinstance(source, PartialPrior) else None
    settings = {**_settings(opened, partial), "prior": prior, "truncation": truncation}
    settings.update(format=format, subdirs=subdirs)
    with _folder(out, settings, seeds, report) as (folder, goes_on):
        files, shards = ShardFiles(Manifest(folder), format, subdirs), cut(seeds)
        missing = _missing(files, shards, report) if goes_on else shards
        rest = sum(len(shard.seeds) for shard in missing)
        if goes_on:
            report.note(f"{len(seeds) - rest:,} of {len(seeds):,} images are there and whole: {rest:,} to draw")
        started = time.monotonic()
        share = _draw(files, missing[rank() :: world_size()], opened, source, batch, report)
        shares = [share for share in gather(share) if share is not None]
        seconds = time.monotonic() - started
        result = SampleResult(
            out=str(out or folder),
            count=len(seeds),
            skipped=len(seeds) - rest,
            seconds=round(seconds, 3),
            images_per_second=round(rest / seconds, 2),
            decode_share=round(sum(shares) / len(shares), 3) if shares else None,
            format=format,
            translator=str(opened.path),
            prior=prior,
            truncation=truncation,
            fixed={name: str(path) for name, path in partial.parts.images.items()} if partial else {},
            varied=partial.parts.varied if partial else (),
        )
        record = folder / "sample.json"
        if is_main_rank() and (rest or not record.exists()):
            write_json(record, result.as_dict())
    return result


def _check(format: str, subdirs: bool, prior: str, truncation: float, partial: bool) -> None:
    """Raise UsageError for options that cannot be used, alone or together."""
    if format not in get_args(Format):
        raise UsageError(f"--format {format!r}: choose from {', '.join(get_args(Format))}")
    if subdirs and format != "png":
        raise UsageError(f"--subdirs sorts PNG files into folders; --format {format} writes few: leave --subdirs out")
    if prior not in get_args(PriorName):
        raise UsageError(f"--prior {prior!r}: choose from {', '.join(get_args(PriorName))}")
    if not 0 < truncation <= 1:
        raise UsageError(f"--truncation {truncation:g}: give a number above 0 and at most 1, which is all of the prior")
    if partial and prior == "backbone":
        raise UsageError("--fix and --vary need the translator's factors: leave out --prior backbone")


def _prior(
    opened: OpenTranslator, name: PriorName, truncation: float, fix: Sequence[tuple[str, Path]], vary: Sequence[str]
) -> Prior:
    if name == "backbone":
        return BackbonePrior(opened.image_backbone, truncation)
    # A classifier is refused before any image is read.
    parts = choose_parts(opened, fix, vary) if opened.image_backbone else None
    return TranslatorPrior(opened, truncation) if parts is None else PartialPrior(opened, parts, truncation)


def _settings(opened: OpenTranslator, partial: PartialPrior | None) -> dict[str, Any]:
    """Return what decides an image besides its seed and the options that say so."""
    return {
        "translator": checkpoint.digest(opened.path),
        "backbone": opened.network.sha256 if opened.network else None,
        "image_size": opened.image_backbone.image_size,
        # Not to the last bit the same on all.
        "device": opened.device.type,
        "shard_seeds": SHARD_SEEDS,
        "fix": partial.digests if partial else {},
        "vary": list(partial.parts.varied) if partial else [],
    }


@contextmanager
def _folder(
    out: Path | None, settings: dict[str, Any], seeds: Sequence[int], report: Reporter
) -> Iterator[tuple[Path, bool]]:
    """Yield the run's folder, the same to all ranks, and whether an earlier run began in it."""
    with ExitStack() as stack:
        begun = None
        # Only the main process may make the folder: to the others it is no longer new.
        if is_main_rank():
            goes_on = is_begun(out)
            if out is not None and out.is_dir() and any(out.iterdir()) and not goes_on:
                raise UsageError(f"--out {out} is not empty and holds no samples to go on with: name a new folder")
            folder = stack.enter_context(open_run(out, "sample", resume=goes_on))
            stack.enter_context(hold(folder))
            if out is None:
                report.note(f"run folder {folder}")
            begun = str(folder.absolute()), Manifest(folder).begin(settings, seeds)
        where, goes_on = gather(begun)[0]
        yield Path(where), goes_on


def _missing(files: ShardFiles, shards: Sequence[Shard], report: Reporter) -> list[Shard]:
    """Return the shards whose files are not all there and whole; the ranks share the reading."""
    mine, lacking = shards[rank() :: world_size()], set()
    with (
        report.task("checking", sum(len(shard.seeds) for shard in mine), "images") as task,
        ThreadPoolExecutor(WRITERS) as pool,
    ):
        for shard, whole in zip(mine, pool.map(files.are_complete, mine), strict=True):
            lacking |= set() if whole else {shard.number}
            task.advance(len(shard.seeds))
    lacking = set().union(*gather(lacking))
    return [shard for shard in shards if shard.number in lacking]


def _draw(
    files: ShardFiles, shards: Sequence[Shard], opened: OpenTranslator, prior: Prior, batch: int, report: Reporter
) -> float | None:
    """Draw and write `shards`; return the fraction of the time spent drawing, None where there was nothing to draw."""
    if not shards:
        return None
    spent: list[float] = []
    started = time.monotonic()
    with files, report.task("sampling", sum(len(shard.seeds) for shard in shards), "images") as task:
        for shard in shards:
            batches = generate(opened.image_backbone, prior, shard.seeds, opened.device, batch)
            files.write(shard, _watched(batches, task, spent))
    return sum(spent) / (time.monotonic() - started)


def _watched(batches: Iterator[np.ndarray], task: Task, spent: list[float]) -> Iterator[np.ndarray]:
    """Pass `batches` on, tell `task`, and note the seconds that each took to come."""
    while True:
        started = time.monotonic()
        pixels = next(batches, None)
        spent.append(time.monotonic() - started)
        if pixels is None:
            return
        yield pixels
        task.advance(len(pixels))
