"""Sample images: z̃ ~ N(0, 1), x = G(T⁻¹(z̃)) (Eq 13); image i depends on seed i only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self, get_args

import numpy as np

from ..distributed import choose_device, gather, is_main_rank, rank, shard, world_size
from ..errors import UsageError
from ..io.rundir import open_run, write_json
from ..progress import Reporter, Silent
from .generation import TranslatorPrior, generate
from .image_files import ArrayFile, PngFolder
from .opening import open_translator

__all__ = ["Format", "SampleResult", "sample"]

Format = Literal["png", "npz", "safetensors"]


@dataclass(frozen=True)
class SampleResult:
    """What was drawn.

    Attributes:
        count: images of all ranks together.
        seconds: wall time of drawing, decoding and writing them.
        out: the folder they are in.
    """

    out: str
    count: int
    seconds: float
    images_per_second: float
    format: str
    translator: str

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)


class _Sink(Protocol):
    def add(self, seeds: Sequence[int], pixels: np.ndarray) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *failure: Any) -> None: ...


def sample(
    translator: Path,
    seeds: Sequence[int],
    out: Path | None = None,
    *,
    batch: int = 64,
    format: Format = "png",
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> SampleResult:
    """Draw the image of each seed and write it; under torchrun every process draws its share.

    Args:
        translator: checkpoint or run folder.
        out: new or empty folder; None makes a numbered one.
        batch: images written together; changes no image.
        format: `png` writes `000123.png` for seed 123; `npz` and `safetensors` write one file per process with
            `images` uint8 (M, S, S, 3) and `seeds` int64 (M,).
        backbone: where the translator's backbone lies now, if it was moved.

    Raises UsageError for a classifier, CheckpointError for unfit files.
    """
    report = report or Silent()
    if format not in get_args(Format):
        raise UsageError(f"--format {format!r}: choose from {', '.join(get_args(Format))}")
    opened = open_translator(translator, choose_device(device), backbone)
    network = opened.image_backbone
    mine = shard(seeds)
    with ExitStack() as stack:
        # Only the main process may make the folder: to the others it is no longer new.
        folder = stack.enter_context(open_run(out, "sample")) if is_main_rank() else None
        folder = Path(gather(folder and str(folder.absolute()))[0])
        if out is None:
            report.note(f"run folder {folder}")
        started = time.monotonic()
        with (
            _sink(folder, format, len(mine), network.image_size) as sink,
            report.task("sampling", len(mine), "images") as task,
        ):
            done = 0
            for pixels in generate(network, TranslatorPrior(opened), mine, opened.device, batch):
                sink.add(mine[done : done + len(pixels)], pixels)
                done += len(pixels)
                task.advance(len(pixels))
        count = sum(gather(done))
        seconds = time.monotonic() - started
        result = SampleResult(
            str(out or folder), count, round(seconds, 3), round(count / seconds, 2), format, str(opened.path)
        )
        if is_main_rank():
            write_json(folder / "sample.json", result.as_dict())
    return result


def _sink(folder: Path, format: Format, count: int, size: int) -> _Sink:
    if format == "png":
        return PngFolder(folder)
    part = f"-{rank():05d}-of-{world_size():05d}" if world_size() > 1 else ""
    return ArrayFile(folder / f"images{part}.{format}", count, size)
