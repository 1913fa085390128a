"""Sample images: z̃ ~ N(0, 1), x = G(T⁻¹(z̃)) (Eq 13)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...distributed import choose_device, is_main_rank
from ...editing.partial_sampling import PartialPrior
from ...editing.sample import SampleFolder, Sampling, open_prior, settings_of
from ...interpretation.opening import open_translator
from ...io.rundir import write_result
from ...progress import Reporter, Silent
from ...results import Result

__all__ = ["SampleResult", "sample"]


@dataclass(frozen=True)
class SampleResult(Result):
    """What was drawn.

    Attributes:
        out: the folder the images are in.
        count: images of all processes together, those of earlier runs included.
        skipped: how many of them earlier runs had left there, whole.
        seconds: wall time of drawing, decoding and writing the others.
        images_per_second: of these others.
        decode_share: fraction of that time spent drawing and decoding, mean of the processes; the rest is waiting for
            the files. None where nothing was drawn.
        fixed: factor -> image that it comes from, in partial sampling.
        varied: the factors drawn at random, in partial sampling.
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


def sample(
    translator: Path,
    seeds: Sequence[int],
    out: Path | None = None,
    sampling: Sampling | None = None,
    *,
    batch: int = 64,
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> SampleResult:
    """Draw the image of each seed and write it; under torchrun every process draws its share.

    Args:
        out: new or empty folder, or that of an earlier call, which is completed: seeds may be added after those of the
            earlier call, nothing else may differ. None makes a numbered one.
        batch: images handed to the writers together; changes no image.
        backbone: where the translator's backbone lies now, if it was moved.

    Raises UsageError for a classifier, unknown factors, or a folder with anything else in it; DataError for a damaged
    image, CheckpointError for damaged files, ResourceError for a full disk.
    """
    report, sampling = report or Silent(), sampling or Sampling()
    opened = open_translator(translator, choose_device(device), backbone, report=report)
    prior = open_prior(sampling, opened)
    parts = prior.parts if isinstance(prior, PartialPrior) else None
    with SampleFolder.open(out, sampling, settings_of(sampling, opened, prior), seeds, report) as folder:
        started, rest = time.monotonic(), folder.images_missing
        share = folder.fill(opened.require_network(), prior, batch, report)
        seconds = time.monotonic() - started
        result = SampleResult(
            out=str(out or folder.path),
            count=len(seeds),
            skipped=len(seeds) - rest,
            seconds=round(seconds, 3),
            images_per_second=round(rest / seconds, 2),
            decode_share=round(share, 3) if share is not None else None,
            format=sampling.format,
            translator=opened.called,
            prior=sampling.prior,
            truncation=sampling.truncation,
            fixed={name: str(path) for name, path in parts.images.items()} if parts else {},
            varied=parts.varied if parts else (),
        )
        record = folder.path / "sample.json"
        if is_main_rank() and (rest or not record.exists()):
            write_result(record, result.as_dict())
    return result
