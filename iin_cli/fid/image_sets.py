"""Sets of images: a folder, a dataset, what a prior generates, reconstructions; read one image at a time, any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..data import open_dataset
from ..data.folder import FolderDataset
from ..editing.priors import BackbonePrior, Prior, TranslatorPrior, generate
from ..errors import CheckpointError, DataError, UsageError
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.opening import open_translator
from ..interpretation.pieces import piece_rows
from ..io import checkpoint
from ..latents.cache import index_digest
from ..plugin_api import Dataset, Interpolation
from ..progress import Reporter
from ..registry import names

__all__ = [
    "GenerateImages",
    "Generated",
    "ImageSet",
    "Stored",
    "drawn",
    "open_named",
    "reconstructions",
    "translator_images",
]

READ_TOGETHER = 64
# A multiple of `piece_rows` on every device.
MOST_PIECE_ROWS = 256
GenerateImages = Callable[[Path, Sequence[int]], Iterator[np.ndarray]]


@dataclass(frozen=True)
class ImageSet:
    """Images yet to be read.

    Attributes:
        name: what to call them in a message.
        count: how many there are.
        identity: JSON values; equal identities mean equal images. None where nothing is known that fixes them.
        read: (start, stop) -> yields these of them as uint8 (H, W, 3), each of its own size.
        image_size: side of them all in pixels, where it is known before they are read.
    """

    name: str
    count: int
    identity: dict[str, str | int | float | None] | None
    read: Callable[[int, int], Iterator[np.ndarray]]
    image_size: int | None = None


@dataclass(frozen=True)
class Generated:
    """A translator, which can generate any number of images."""

    path: Path
    backbone: Path | None = None

    def images(self, count: int, seed: int, generate: GenerateImages, side: int | None = None) -> ImageSet:
        """Return the images of the seeds `seed` to `seed + count − 1` (Eq 13); `side` is theirs, where it is known."""
        seeds = range(seed, seed + count)
        # Metadata fixes the backbone, but not of a translator fitted to latents, for which the user vouches.
        backbone = checkpoint.digest(checkpoint.locate(self.backbone, "backbone")) if self.backbone else None
        identity = {"translator": checkpoint.digest(self.path), "backbone": backbone, "seed": seed, "count": count}
        read = _reader(lambda start, stop: generate(self.path, seeds[start:stop]), MOST_PIECE_ROWS)
        return ImageSet(str(self.path), count, identity, read, side)

    def side(self, generate: GenerateImages) -> int:
        """Return the side of its images in pixels."""
        return next(generate(self.path, [0])).shape[1]


@dataclass(frozen=True)
class Stored:
    """Items `indices` of a dataset."""

    dataset: Dataset
    indices: np.ndarray

    def images(self, size: int | None, interpolation: Interpolation = "bicubic") -> ImageSet:
        """Return the images at side `size`, as training sees them; None: as stored, whatever their shapes."""
        as_stored = size is None and isinstance(self.dataset, FolderDataset)
        at = None if as_stored else size or self.dataset.native_size
        if as_stored:
            read = partial(_as_stored, self.dataset, self.indices)
        else:
            read = _reader(
                lambda start, stop: (
                    self.dataset.images(piece, at, interpolation) for piece in _pieces(self.indices[start:stop])
                )
            )
        identity = {
            "dataset": self.dataset.fingerprint,
            "indices": index_digest(self.indices),
            "size": size,
            "interpolation": interpolation,
        }
        return ImageSet(self.dataset.name, len(self.indices), identity, read, at)


def drawn(opened: OpenTranslator, prior: Prior, seeds: Sequence[int]) -> ImageSet:
    """Return the images that G of the translator's backbone draws of what `prior` makes of each seed's noise."""
    backbone = opened.image_backbone
    origin = _origin(opened, prior)
    identity = None if origin is None else {**origin, "seed": seeds[0], "count": len(seeds)}
    read = _reader(
        lambda start, stop: generate(backbone, prior, seeds[start:stop], opened.device, READ_TOGETHER),
        piece_rows(opened.device),
    )
    return ImageSet(prior.name, len(seeds), identity, read, backbone.image_size)


def reconstructions(opened: OpenTranslator, stored: Stored) -> ImageSet:
    """Return G(E(x)) of stored images x, of a stochastic encoder the posterior's mean: the best that G can draw."""
    backbone, device = opened.image_backbone, opened.device
    originals = stored.images(backbone.image_size, backbone.interpolation)
    together = max(READ_TOGETHER, piece_rows(device))

    def redrawn(start: int, stop: int) -> Iterator[np.ndarray]:
        for piece in _pieces(stored.indices[start:stop], together):
            pixels = stored.dataset.images(piece, backbone.image_size, backbone.interpolation)
            yield decode_pixels(backbone, encode_pixels(backbone, pixels, device), device)

    identity = {**(originals.identity or {}), "redrawn_by": opened.network.sha256}
    return ImageSet("reconstructions", originals.count, identity, _reader(redrawn, together), backbone.image_size)


def open_named(
    name: str,
    *,
    data_root: Path | None,
    backbone: Path | None,
    split: str,
    n: int | None,
    seed: int,
    reporter: Reporter,
) -> Stored | Generated:
    """Return what `name` stands for: a translator (checkpoint or run folder), a dataset's split, or a whole folder.

    With `n`, a random choice of `n` items by `seed`. Raises CheckpointError for a checkpoint of another kind,
    UsageError for an unknown name or split, and DataError for missing images or fewer than `n`.
    """
    path = Path(name).expanduser()
    if path.suffix == ".safetensors" or _is_run(name, path):
        file = checkpoint.locate(path, "translator")
        kind = checkpoint.describe(file)["kind"]
        if kind != "translator":
            raise CheckpointError(f"{file} is a {kind}: give a translator, statistics, a dataset or a folder of images")
        return Generated(file, backbone)
    dataset = open_dataset(name, data_root, reporter)
    return Stored(dataset, _choose(dataset, split, n, seed))


def translator_images(
    path: Path, seeds: Sequence[int], device: torch.device, backbone: Path | None = None
) -> Iterator[np.ndarray]:
    """Generate the image of each seed (Eq 13), as uint8 (B, S, S, 3), batch by batch.

    `backbone` says where the translator's backbone lies now. Errors as `open_translator`; UsageError for a classifier.
    """
    opened = open_translator(path, device, backbone)
    yield from generate(opened.image_backbone, TranslatorPrior(opened), seeds, device, READ_TOGETHER)


def _is_run(name: str, path: Path) -> bool:
    # A registered dataset wins over a folder of its name, here as in open_dataset.
    return name not in names("datasets") and (path / "translator.safetensors").is_file()


def _choose(dataset: Dataset, split: str, n: int | None, seed: int) -> np.ndarray:
    everything = np.arange(len(dataset.sources))
    if isinstance(dataset, FolderDataset) or split == "all":
        items = everything
    elif split in dataset.splits:
        items = dataset.splits[split]
    else:
        raise UsageError(f"--split {split!r}: {dataset.name} has {', '.join(dataset.splits)}, and all")
    if n is None or n == len(items):
        return items
    if n > len(items):
        where = "" if items is everything else f" in its split {split}"
        raise DataError(f"{dataset.name} has {len(items)} images{where}, fewer than --n {n}: give a smaller --n")
    return np.sort(np.random.default_rng(seed).choice(items, n, replace=False))


def _origin(opened: OpenTranslator, prior: Prior) -> dict[str, str | float] | None:
    """Return what fixes the images of a prior besides their seeds; None where that is not known."""
    backbone = {"backbone": opened.network.sha256}
    # A subclass may draw something else.
    if type(prior) is TranslatorPrior and prior.translator is opened.translator:
        return {**backbone, "translator": checkpoint.digest(opened.path), "truncation": prior.truncation}
    if type(prior) is BackbonePrior:
        return {**backbone, "prior": "standard normal", "truncation": prior.truncation}
    fingerprint = getattr(prior, "fingerprint", None)
    return None if fingerprint is None else {**backbone, "prior": fingerprint}


def _reader(
    batches: Callable[[int, int], Iterator[np.ndarray]], aligned: int = 1
) -> Callable[[int, int], Iterator[np.ndarray]]:
    """Read image by image what comes in batches, each of which begins at a multiple of `aligned`.

    What a network gives may depend in its last bits on a row's place in the batch, but not on who reads it.
    """

    def read(start: int, stop: int) -> Iterator[np.ndarray]:
        early = start % aligned
        return islice(chain.from_iterable(batches(start - early, stop)), early, None) if start < stop else iter(())

    return read


def _pieces(indices: np.ndarray, size: int = READ_TOGETHER) -> list[np.ndarray]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def _as_stored(dataset: Dataset, indices: np.ndarray, start: int, stop: int) -> Iterator[np.ndarray]:
    with ThreadPoolExecutor() as pool:
        # In pieces, so that no more than these wait in memory.
        for piece in _pieces(indices[start:stop]):
            yield from pool.map(_read_file, [dataset.path(int(index)) for index in piece])


def _read_file(file: str) -> np.ndarray:
    """Read one file whole and uncut as uint8 (H, W, 3): Pillow's own RGB, as pytorch-fid reads it."""
    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))
    except MemoryError:
        raise
    # Pillow's decoders raise whatever the damage led them to.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DataError(f"image {file} cannot be read ({reason}): mend or remove it") from error
