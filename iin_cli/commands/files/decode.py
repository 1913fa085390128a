"""Decode a file of latents: to images, or with a classifier to logits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ...distributed import choose_device
from ...errors import DataError
from ...figures.grids import Sheet
from ...figures.saving import save_page
from ...interpretation.answers import Classes
from ...interpretation.network import Network
from ...interpretation.opening import open_network, versions
from ...interpretation.pieces import to_pixels
from ...io import checkpoint
from ...io.images import PngFolder
from ...io.output import Output
from ...io.tables import write_table
from ...latents.files import read_rest, read_rows, verified
from ...progress import Reporter, Silent
from ...results import Result

__all__ = ["DecodeResult", "decode"]

# Nobody looks at a grid of more images.
LARGEST_GRID = 1024


@dataclass(frozen=True)
class DecodeResult(Result):
    """What was decoded: `count` rows to `holds` (images or logits), into the file or folder `out`."""

    out: str
    count: int
    holds: str
    backbone: str
    seconds: float


def decode(
    backbone: str,
    latents: Path,
    out: Path | None = None,
    *,
    weights: str = "default",
    layer: str | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> DecodeResult:
    """Read `z` (M, N) of a safetensors file and write what the backbone makes of it.

    Images go into a folder (row i as `00000i.png`), into one `.png` as a grid, or into `.safetensors` as `images` uint8
    (M, S, S, 3). Logits go into `.safetensors` as `logits` (M, classes), or into `.json` or `.csv` with the class
    predicted and the log-probabilities; into a folder as both. All other tensors are passed through to `.safetensors`.

    Args:
        backbone: checkpoint, run folder or registered name.
        latents: the file.
        out: new folder or new file; None makes a numbered folder.

    Raises DataError for a missing tensor, another N, or numbers that are not finite; CheckpointError for damaged files.
    """
    report, started = report or Silent(), time.monotonic()
    network = open_network(backbone, choose_device(device), weights, layer, report).require_head()
    z = read_rows(verified(latents, report), "z")
    if z.shape[1] != network.latent_dim:
        raise DataError(f"{latents}: z has N = {z.shape[1]}, {network.source} decodes {network.latent_dim}")
    writer = (_Logits if isinstance(network.answer, Classes) else _Images)(network, latents)
    with Output.open(out, f"decode-{latents.stem}", writer.endings, writer.holds) as output:
        if out is None:
            report.note(f"run folder {output.path}")
        writer.write(_decoded(network, z, report), output)
        seconds = round(time.monotonic() - started, 3)
        result = DecodeResult(str(output.path), len(z), writer.holds, network.source, seconds)
        if not output.is_file:
            output.write_json("decode.json", result.as_dict())
    return result


def _decoded(network: Network, z: Tensor, report: Reporter) -> Iterator[Tensor]:
    with report.task("decoding", len(z), "rows") as task:
        for piece in network.decoded(z):
            yield piece
            task.advance(len(piece))


@dataclass(frozen=True)
class _Writer:
    """Writes what a network makes of a file of latents: what it is called, and the endings of files that hold it."""

    network: Network
    latents: Path
    holds: ClassVar[str]
    endings: ClassVar[Sequence[str]]

    def save(self, file: Path, found: Tensor) -> None:
        """Write `found` beside the other tensors of the file of latents."""
        rest = read_rest(self.latents, ("z", "z_tilde", "log_det", "log_variance", self.holds))
        metadata = {"kind": "decoded", "backbone": self.network.provenance, "versions": versions()}
        checkpoint.save(file, {**rest, self.holds: found}, metadata)


class _Images(_Writer):
    holds = "images"
    endings = (".png", ".safetensors")

    def write(self, pieces: Iterator[Tensor], output: Output) -> None:
        drawn = map(to_pixels, pieces)
        if not output.is_file:
            done = 0
            with PngFolder(output.path) as folder:
                for pixels in drawn:
                    folder.add(range(done, done + len(pixels)), pixels)
                    done += len(pixels)
        elif output.is_figure:
            save_page(output.path, _square(np.concatenate(list(drawn))), output.figures.dpi)
        else:
            self.save(output.path, torch.from_numpy(np.concatenate(list(drawn))))


class _Logits(_Writer):
    holds = "logits"
    endings = (".safetensors", ".json", ".csv")

    def write(self, pieces: Iterator[Tensor], output: Output) -> None:
        answer, logits = self.network.answer, torch.cat(list(pieces)).float()
        if (file := output.at("logits.safetensors")) is not None:
            self.save(file, logits)
        if output.ending != ".safetensors":
            rows = [{"row": index, **answer.row(row)} for index, row in enumerate(answer.of(logits))]
            write_table(output.path if output.is_file else output.path / "predictions.csv", rows)


def _square(pixels: np.ndarray) -> Sheet:
    """Lay images (M, S, S, 3) out row by row, as square as their number allows."""
    if len(pixels) > LARGEST_GRID:
        raise DataError(
            f"{len(pixels)} images are too many for one grid of at most {LARGEST_GRID}: name a folder as --out"
        )
    columns = ceil(sqrt(len(pixels)))
    rows = ceil(len(pixels) / columns)
    cells = np.full((rows * columns, *pixels.shape[1:]), 255, np.uint8)
    cells[: len(pixels)] = pixels
    return Sheet(cells.reshape(rows, columns, *pixels.shape[1:]))
