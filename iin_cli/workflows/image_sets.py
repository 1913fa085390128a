"""Sets of images by name: a folder, a dataset, or what a translator generates; read one image at a time, any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..data import open_dataset
from ..data.folder import FolderDataset
from ..data.latents import index_digest
from ..errors import CheckpointError, DataError, UsageError
from ..io import checkpoint
from ..plugin_api import Dataset
from ..progress import Reporter
from ..registry import names
from .generation import TranslatorPrior, generate
from .opening import open_translator

__all__ = ["GenerateImages", "Generated", "ImageSet", "Stored", "open_named", "translator_images"]

READ_TOGETHER = 64
GenerateImages = Callable[[Path, Sequence[int]], Iterator[np.ndarray]]


@dataclass(frozen=True)
class ImageSet:
    """Images yet to be read.

    Attributes:
        name: what to call them in a message.
        count: how many there are.
        identity: JSON values; equal identities mean equal images.
        read: yields them as uint8 (H, W, 3), each of its own size.
    """

    name: str
    count: int
    identity: dict[str, str | int | None]
    read: Callable[[], Iterator[np.ndarray]]


@dataclass(frozen=True)
class Generated:
    """A translator, which can generate any number of images."""

    path: Path
    backbone: Path | None = None

    def images(self, count: int, seed: int, generate: GenerateImages) -> ImageSet:
        """Return the images of the seeds `seed` to `seed + count − 1` (Eq 13)."""
        seeds = range(seed, seed + count)
        # Metadata fixes the backbone, but not of a translator fitted to latents, for which the user vouches.
        backbone = checkpoint.digest(checkpoint.locate(self.backbone, "backbone")) if self.backbone else None
        identity = {"translator": checkpoint.digest(self.path), "backbone": backbone, "seed": seed, "count": count}
        read = partial(_one_by_one, partial(generate, self.path, seeds))
        return ImageSet(str(self.path), count, identity, read)

    def side(self, generate: GenerateImages) -> int:
        """Return the side of its images in pixels."""
        return next(generate(self.path, [0])).shape[1]


@dataclass(frozen=True)
class Stored:
    """Items `indices` of a dataset."""

    dataset: Dataset
    indices: np.ndarray

    def images(self, size: int | None) -> ImageSet:
        """Return the images at side `size`, as training sees them; None: as stored, whatever their shapes."""
        pieces = [self.indices[start : start + READ_TOGETHER] for start in range(0, len(self.indices), READ_TOGETHER)]
        if size is None and isinstance(self.dataset, FolderDataset):
            read = partial(_as_stored, self.dataset, self.indices)
        else:
            at = size or self.dataset.native_size
            read = partial(_one_by_one, lambda: (self.dataset.images(piece, at) for piece in pieces))
        identity = {
            "dataset": self.dataset.fingerprint,
            "indices": index_digest(self.indices),
            "size": size,
        }
        return ImageSet(self.dataset.name, len(self.indices), identity, read)


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


def _one_by_one(batches: Callable[[], Iterator[np.ndarray]]) -> Iterator[np.ndarray]:
    return chain.from_iterable(batches())


def _as_stored(dataset: Dataset, indices: np.ndarray) -> Iterator[np.ndarray]:
    files = [dataset.path(int(index)) for index in indices]
    with ThreadPoolExecutor() as pool:
        # In pieces, so that no more than these wait in memory.
        for start in range(0, len(files), READ_TOGETHER):
            yield from pool.map(_read_file, files[start : start + READ_TOGETHER])


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
