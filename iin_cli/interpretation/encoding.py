"""Encode items of a dataset once: the latents of equal images by an equal network are found again in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
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
LEAST_AT_ONCE = 16
# Images that bfloat16 is tried on.
TRIED = 64


def is_encoded(
    network: Network, dataset: Dataset, indices: np.ndarray, provider: ConceptProvider | None = None, variant: int = 0
) -> bool:
    """Say whether `encode_items` has encoded each of these items before, and they are kept."""
    if isinstance(dataset, MemoryDataset):
        return True
    settle_precision(network, dataset, Silent())
    return cache.is_cached(_identity(network, dataset, provider, variant), indices)


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

    What was encoded before, with whatever other items, is read. Images in memory are never cached on disk; DataError
    where they are to be drawn otherwise for a network that takes no pictures.
    """
    if isinstance(dataset, MemoryDataset):
        return _in_memory(network, dataset, indices, provider, variant)
    settle_precision(network, dataset, report)
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
    identity = _identity(network, dataset, provider, variant)
    if leads_with(network, dataset.whole or dataset) and not cache.is_cached(identity, indices):
        alongside(_help, network, dataset, indices, provider, variant, network.precision)
    size, interpolation = network.backbone.image_size, network.backbone.interpolation

    def read(items: np.ndarray) -> np.ndarray:
        if provider is None:
            return dataset.images(items, size, interpolation)
        return provider.draw(dataset, items, size, interpolation, variant)

    batch = max(LEAST_AT_ONCE, min(500, PIXELS_AT_ONCE // size**2))
    on_cpu = network.device.type == "cpu"
    least = LEAST_AT_ONCE if on_cpu else batch
    is_concurrent = on_cpu and network.backbone.is_concurrent
    # A few images have work for every core, too.
    at_once = max(least, batch // torch.get_num_threads()) if is_concurrent else batch
    name = dataset.name if variant == 0 or provider is None else f"{dataset.name}, {provider.concept}"
    return cache.cached(
        identity,
        indices,
        read,
        _in_full_batches(network, least),
        batch=batch,
        at_once=at_once,
        is_concurrent=is_concurrent,
        device=network.device,
        report=report,
        description=f"encoding {Path(name).name}{f' ({part})' if part else ''}",
        called=dataset.path,
        about={"data": name, "network": network.source or network.name},
    )


def _in_full_batches(network: Network, least: int) -> cache.Encode:
    """Return what encodes images (B, 3, S, S), fewer than `least` beside blank ones, so that none depends on others.

    Products of few rows are computed otherwise, with other last bits. On a CPU those of `LEAST_AT_ONCE` are the same as
    those of more; a GPU may choose another way for each number.
    """

    def encode(images: Tensor) -> tuple[Tensor, Tensor | None]:
        count, filled = len(images), images
        if count < least:
            # In the layout of `as_images`: convolutions round otherwise in another.
            layout = torch.channels_last
            filled = torch.empty(least, *images.shape[1:], device=images.device, memory_format=layout).zero_()
            filled[:count] = images
        mean, log_variance = network.encoder.posterior(filled)
        return mean[:count], None if log_variance is None else log_variance[:count]

    return encode


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


def _identity(network: Network, dataset: Dataset, provider: ConceptProvider | None, variant: int) -> dict[str, Any]:
    """Return everything that decides the latents of an item, besides its number."""
    # Left out of float32's, so that what earlier versions encoded is found.
    precision = {} if network.precision == "float32" else {"precision": network.precision}
    return {
        **precision,
        "backbone": network.sha256,
        "layer": network.layer,
        "data": dataset.fingerprint,
        "rendering": f"{provider.fingerprint}/{variant}" if provider is not None and variant else "identity",
        "size": network.backbone.image_size,
        "interpolation": network.backbone.interpolation,
    }
