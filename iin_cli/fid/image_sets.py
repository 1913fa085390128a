"""Sets of images: items of a dataset, what a prior draws, reconstructions; read one image at a time, of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Self

import numpy as np

from ..data.folder import FolderDataset
from ..editing.priors import BackbonePrior, Prior, TranslatorPrior, generate
from ..errors import DataError
from ..interpretation.data_choice import split_items
from ..interpretation.network import Network
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.pieces import image_rows, piece_rows
from ..io import checkpoint
from ..io.image_files import in_threads
from ..latents.cache import index_digest
from ..plugin_api import Dataset, Interpolation

__all__ = ["ImageSet", "Stored", "drawn", "reconstructions"]

READ_TOGETHER = 64


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
class Stored:
    """Items `indices` of a dataset."""

    dataset: Dataset
    indices: np.ndarray

    @classmethod
    def of(cls, dataset: Dataset, split: str = "test", n: int | None = None, seed: int = 0) -> Self:
        """Choose the items of a split (train, test or all), of a folder all its images; `n` of them by `seed`.

        Raises UsageError for an unknown split, DataError for fewer than `n` images.
        """
        whole = split == "all" or isinstance(dataset, FolderDataset)
        items = split_items(dataset, "all" if whole else split)
        if n is None or n == len(items):
            return cls(dataset, items)
        if n > len(items):
            where = "" if whole else f" in its split {split}"
            raise DataError(f"{dataset.name} has {len(items)} images{where}, fewer than --n {n}: give a smaller --n")
        return cls(dataset, np.sort(np.random.default_rng(seed).choice(items, n, replace=False)))

    def images(self, size: int | None, interpolation: Interpolation = "bicubic") -> ImageSet:
        """Return the images at side `size`, as training sees them; None: as stored, whatever their shapes."""
        if size is None and isinstance(self.dataset, FolderDataset):
            at, read = None, partial(_as_stored, self.dataset, self.indices)
        else:
            at = size or self.dataset.native_size
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

    def images_for(self, network: Network) -> ImageSet:
        """Return the images as `network` sees them."""
        return self.images(network.backbone.image_size, network.backbone.interpolation)


def drawn(opened: OpenTranslator, prior: Prior, seeds: Sequence[int]) -> ImageSet:
    """Return the images that G of the translator's network draws from what `prior` makes of each seed's noise.

    An image depends on its seed alone. Raises UsageError for a classifier, or a translator without a network.
    """
    network = opened.require_network().require_images()
    origin = _origin(opened, network, prior)
    identity = None if origin is None else {**origin, "seed": seeds[0], "count": len(seeds)}
    read = _reader(
        lambda start, stop: generate(network.backbone, prior, seeds[start:stop], network.device, READ_TOGETHER),
        piece_rows(network.device),
    )
    return ImageSet(prior.name, len(seeds), identity, read, network.backbone.image_size)


def reconstructions(network: Network, stored: Stored) -> ImageSet:
    """Return G(E(x)) of stored images x, of a stochastic encoder the posterior's mean: the best that G can draw."""
    backbone = network.require_images().backbone
    originals = stored.images_for(network)
    together = max(READ_TOGETHER, piece_rows(network.device))

    def redrawn(start: int, stop: int) -> Iterator[np.ndarray]:
        for piece in _pieces(stored.indices[start:stop], together):
            pixels = stored.dataset.images(piece, backbone.image_size, backbone.interpolation)
            yield network.draw(network.encode_pixels(pixels))

    identity = {**(originals.identity or {}), "redrawn_by": network.sha256}
    if network.precision != "float32":
        identity["precision"] = network.precision
    if (height := image_rows(network.device, backbone.image_size)) != piece_rows(network.device):
        # Earlier versions encoded large images in taller pieces, with other last bits.
        identity["encoded_at_once"] = height
    return ImageSet("reconstructions", originals.count, identity, _reader(redrawn, together), backbone.image_size)


def _origin(opened: OpenTranslator, network: Network, prior: Prior) -> dict[str, str | int | float | None] | None:
    """Return what fixes the images of a prior besides their seeds; None where that is not known."""
    backbone = {"backbone": network.sha256}
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

    The last bits of what a network gives may depend on a row's place in the batch; they must not depend on which rank
    reads it.
    """

    def read(start: int, stop: int) -> Iterator[np.ndarray]:
        early = start % aligned
        return islice(chain.from_iterable(batches(start - early, stop)), early, None) if start < stop else iter(())

    return read


def _pieces(indices: np.ndarray, size: int = READ_TOGETHER) -> list[np.ndarray]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def _as_stored(dataset: FolderDataset, indices: np.ndarray, start: int, stop: int) -> Iterator[np.ndarray]:
    # In pieces, so that no more than these wait in memory.
    for piece in _pieces(indices[start:stop]):
        yield from in_threads(dataset.whole_image, piece.tolist())
