"""Encode items of a dataset once: the latents of equal images by an equal network are found again in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..acceleration.choosing import choose_precision
from ..acceleration.encoder import Precision
from ..crew import alongside, leads_with
from ..errors import DataError
from ..latents import cache
from ..latents.cache import Latents
from ..plugin_api import ConceptProvider, Dataset
from ..progress import Reporter, Silent
from .memory import MemoryDataset
from .network import Network

__all__ = ["PIXELS_AT_ONCE", "encode_items", "is_encoded", "settle_precision"]

# Images encoded at once are 500 of 64².
PIXELS_AT_ONCE = 2**21
# Images that bfloat16 is tried on.
TRIED = 64


def is_encoded(
    network: Network, dataset: Dataset, indices: np.ndarray, provider: ConceptProvider | None = None, variant: int = 0
) -> bool:
    """Say whether `encode_items` of these items was done before and is kept, or of all training items with them."""
    if isinstance(dataset, MemoryDataset):
        return True
    settle_precision(network, dataset, Silent())
    if cache.is_cached(_identity(network, dataset, indices, provider, variant)):
        return True
    everything = _training_items(dataset)
    return bool(np.isin(indices, everything).all()) and cache.is_cached(
        _identity(network, dataset, everything, provider, variant)
    )


def encode_items(
    network: Network,
    dataset: Dataset,
    indices: np.ndarray,
    provider: ConceptProvider | None = None,
    variant: int = 0,
    *,
    report: Reporter,
    part: str = "",
) -> Latents:
    """Encode items `indices` of `dataset`, as they are or as `provider` draws them, once.

    Args:
        part: which of several things to encode this is, as `2 of 4`, for the progress.

    Training items are read from what a fit has cached of all of them, if it has. Images in memory are never cached on
    disk; DataError where they are to be drawn otherwise for a network that takes no pictures.
    """
    if isinstance(dataset, MemoryDataset):
        return _in_memory(network, dataset, indices, provider, variant)
    settle_precision(network, dataset, report)
    everything = _training_items(dataset)
    is_part = len(indices) < len(everything)
    if is_part and cache.is_cached(_identity(network, dataset, everything, provider, variant)):
        order = np.argsort(everything, kind="stable")
        rows = order[np.minimum(np.searchsorted(everything, indices, sorter=order), len(order) - 1)]
        if np.array_equal(everything[rows], indices):
            return _cached(network, dataset, everything, provider, variant, report, part).rows(rows)
    return _cached(network, dataset, indices, provider, variant, report, part)


def _cached(
    network: Network,
    dataset: Dataset,
    indices: np.ndarray,
    provider: ConceptProvider | None,
    variant: int,
    report: Reporter,
    part: str,
) -> Latents:
    identity = _identity(network, dataset, indices, provider, variant)
    if leads_with(network, dataset.whole or dataset) and not cache.is_cached(identity):
        alongside(_help, network, dataset, indices, provider, variant, network.precision)
    size, interpolation = network.backbone.image_size, network.backbone.interpolation

    def read(positions: np.ndarray) -> np.ndarray:
        if provider is None:
            return dataset.images(indices[positions], size, interpolation)
        return provider.draw(dataset, indices[positions], size, interpolation, variant)

    name = dataset.name if variant == 0 or provider is None else f"{dataset.name}, {provider.concept}"
    return cache.cached(
        identity,
        len(indices),
        read,
        network.encoder.posterior,
        batch=max(16, min(500, PIXELS_AT_ONCE // size**2)),
        device=network.device,
        report=report,
        description=f"encoding {Path(name).name}{f' ({part})' if part else ''}",
        called=lambda position: dataset.path(int(indices[position])),
        about={"data": name, "network": network.source or network.name},
    )


def _help(
    network: Network,
    dataset: Dataset,
    indices: np.ndarray,
    provider: ConceptProvider | None,
    variant: int,
    precision: Precision,
) -> None:
    """Encode beside the main process, in the precision that it has settled."""
    network.settle(precision)
    _cached(network, dataset, indices, provider, variant, Silent(), "")


def settle_precision(network: Network, dataset: Dataset, report: Reporter) -> None:
    """Settle the precision of the latents by some training images, once; errors as `choose_precision`."""
    if network.settled:
        return

    def images() -> Tensor:
        items = _training_items(dataset)
        if not len(items):
            items = np.arange(len(dataset.sources))
        items = items[np.unique(np.linspace(0, len(items) - 1, TRIED).round().astype(int))]
        read = dataset.images(items, network.image_size, network.backbone.interpolation)
        return cache.as_images(read).to(network.device)

    identity = {"backbone": network.sha256, "layer": network.layer, "data": dataset.fingerprint}
    identity |= {"device": network.device.type}
    backbone, wanted = network.backbone, network.wanted_precision
    pixels = len(_training_items(dataset)) * network.image_size**2
    network.settle(choose_precision(backbone, wanted, images, identity, pixels, network.device, report))


def _training_items(dataset: Dataset) -> np.ndarray:
    """Return the training items of the whole dataset, all of which a fit encodes."""
    return np.asarray((dataset.whole or dataset).splits["train"])


def _in_memory(
    network: Network, dataset: MemoryDataset, indices: np.ndarray, provider: ConceptProvider | None, variant: int
) -> Latents:
    if provider is None or not variant:
        return Latents(dataset.latents(network)[indices].numpy(), None)
    if not network.takes_pictures:
        raise DataError(f"{dataset.name} have no second rendering that differs in {provider.concept}")
    pixels = provider.draw(dataset, indices, network.image_size, network.backbone.interpolation, variant)
    return Latents(network.encode_pixels(pixels).numpy(), None)


def _identity(
    network: Network, dataset: Dataset, indices: np.ndarray, provider: ConceptProvider | None, variant: int
) -> dict[str, Any]:
    """Return everything that decides the latents of items."""
    # Left out of float32's, so that what earlier versions encoded is found.
    precision = {} if network.precision == "float32" else {"precision": network.precision}
    return {
        **precision,
        "backbone": network.sha256,
        "layer": network.layer,
        "data": dataset.fingerprint,
        "items": cache.index_digest(indices),
        "rendering": f"{provider.fingerprint}/{variant}" if provider is not None and variant else "identity",
        "size": network.backbone.image_size,
        "interpolation": network.backbone.interpolation,
    }
