"""Fill a folder with sampled images (Eq 13): image i depends on seed i only, work is shared by all processes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..distributed import gather, is_main_rank, rank, world_size
from ..errors import UsageError
from ..interpretation.network import Network
from ..interpretation.open_translator import OpenTranslator
from ..io import checkpoint
from ..io.images import WRITERS
from ..io.manifest import SHARD_SEEDS, Manifest, Shard, cut, goes_on
from ..io.rundir import open_run
from ..io.shards import Format, ShardFiles
from ..progress import Reporter, Task
from .partial_sampling import PartialPrior
from .priors import BackbonePrior, Prior, TranslatorPrior, generate
from .sampling import PriorName, Sampling, choose_parts

__all__ = ["Format", "PriorName", "SampleFolder", "Sampling", "open_prior", "settings_of"]


def open_prior(sampling: Sampling, opened: OpenTranslator) -> Prior:
    """Return the prior to draw from. UsageError for a classifier or unknown factors, DataError for a bad image."""
    # A classifier is refused before any image is read.
    network = opened.require_network().require_images()
    if sampling.prior == "backbone":
        return BackbonePrior(network.backbone, sampling.truncation)
    parts = choose_parts(opened.factors, sampling.fix, sampling.vary)
    if parts is None:
        return TranslatorPrior(opened, sampling.truncation)
    return PartialPrior(opened, parts, sampling.truncation)


def settings_of(sampling: Sampling, opened: OpenTranslator, prior: Prior) -> dict[str, Any]:
    """Return what the folder's manifest records: everything that decides an image besides its seed."""
    if opened.path is None:
        raise UsageError(f"{opened.called} has no checkpoint for a manifest to name: save it first")
    network = opened.require_network()
    partial = prior if isinstance(prior, PartialPrior) else None
    return {
        "translator": checkpoint.digest(opened.path),
        "backbone": network.sha256,
        "image_size": network.backbone.image_size,
        # Devices differ in the last bits.
        "device": opened.device.type,
        "shard_seeds": SHARD_SEEDS,
        **{name: getattr(sampling, name) for name in ("prior", "truncation", "format", "subdirs")},
        "fix": partial.digests if partial else {},
        "vary": list(partial.parts.varied) if partial else [],
    }


@dataclass(frozen=True)
class SampleFolder:
    """A folder of samples, new or begun by an earlier run; all processes of a run hold the same.

    Attributes:
        missing: shards whose files are not all there and whole; `images_missing`: how many images that are.
    """

    path: Path
    files: ShardFiles
    missing: list[Shard]
    images_missing: int

    @classmethod
    @contextmanager
    def open(
        cls, out: Path | None, sampling: Sampling, settings: dict[str, Any], seeds: Sequence[int], report: Reporter
    ) -> Iterator[SampleFolder]:
        """Claim the folder, and find what an earlier run left in it.

        Raises UsageError for a folder that holds anything else, or was begun with other `settings` or seeds.
        """
        with ExitStack() as stack:
            begun = None
            # Only the main process may make the folder: to the others it is no longer new.
            if is_main_rank():
                folder = stack.enter_context(open_run(out, "sample", resume=goes_on(out)))
                if out is None:
                    report.note(f"run folder {folder}")
                begun = str(folder.absolute()), Manifest(folder).begin(settings, seeds)
            where, resumed = gather(begun)[0]
            files = ShardFiles(Manifest(Path(where)), sampling.format, sampling.subdirs)
            missing = _missing(files, cut(seeds), report) if resumed else cut(seeds)
            rest = sum(len(shard.seeds) for shard in missing)
            if resumed:
                report.note(f"{len(seeds) - rest:,} of {len(seeds):,} images are there and whole: {rest:,} to draw")
            yield cls(Path(where), files, missing, rest)

    def fill(self, network: Network, prior: Prior, batch: int, report: Reporter) -> float | None:
        """Draw and write what is missing; every process does its share, and all wait for the last.

        Returns the fraction of the time spent drawing and decoding, the mean of the processes that drew; None where
        nothing was missing.
        """
        mine, spent, started = self.missing[rank() :: world_size()], [], time.monotonic()
        if mine:
            count = sum(len(shard.seeds) for shard in mine)
            with self.files.expecting(count), report.task("sampling", count, "images") as task:
                for shard in mine:
                    batches = generate(network.backbone, prior, shard.seeds, network.device, batch)
                    self.files.write(shard, _watched(batches, task, spent))
        shares = gather(sum(spent) / (time.monotonic() - started) if mine else None)
        drew = [share for share in shares if share is not None]
        return sum(drew) / len(drew) if drew else None


def _missing(files: ShardFiles, shards: Sequence[Shard], report: Reporter) -> list[Shard]:
    """Return the shards whose files are not all there and whole; the processes share the reading."""
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
