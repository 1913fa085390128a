"""Score every concept at every layer of a network, in one pass over the images: which layer knows what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..errors import DataError, UsageError
from ..interpretation.encoding import PIXELS_AT_ONCE
from ..interpretation.grouping import circumstances, grouped
from ..interpretation.network import Network
from ..interpretation.random_weights import LEAST_IMAGES, with_random_weights
from ..latents.cache import as_images
from ..latents.dominance import find_dominance, names_of_rows, variant_of
from ..latents.pairs import step_generator
from ..latents.thinning import thin
from ..metrics.bootstrap import FEW_ITEMS, Resampling
from ..plugin_api import ConceptProvider, Dataset, Groups
from ..progress import Reporter
from ..translator.dims import Estimator
from .cue_decisions import decide
from .evidence import SHUFFLES, weigh
from .layer_features import LayerFeatures, read_layers
from .layer_results import LayerFinding, LayerSweep
from .layer_sizes import PairedItems, layer_sizes

__all__ = ["require_layers", "sweep_layers"]

# Half as many as for a single latent: there are many layers.
RESAMPLES = 250


@dataclass(frozen=True)
class _Rendering:
    """Items (B,) of the dataset: the images themselves, or variant `variant` as `provider` draws it."""

    provider: ConceptProvider | None
    variant: int
    items: np.ndarray


def sweep_layers(
    network: Network,
    dataset: Dataset,
    providers: Sequence[ConceptProvider],
    estimator: Estimator,
    n: int,
    seed: int,
    report: Reporter,
    resampling: Resampling | None = None,
    after_layer: Callable[[LayerSweep], None] | None = None,
    null: str | None = None,
    layers: Sequence[str] | None = None,
) -> LayerSweep:
    """Score the concepts of `providers` at every layer of `network`.

    Args:
        n: training items per concept at most, drawn by `seed`.
        resampling: of the evidence; None draws 250 resamples and 199 shuffles by `seed`.
        after_layer: told after each layer what is known by then.
        null: `random-weights` scores the same images in the same architecture with random weights, too.
        layers: which of the network's layers; None takes all.

    A layer that cannot be scored is recorded with its reason. Where two concepts are cues that contradict each other
    (labels with the same names), the network's answers to the same images say which of them decides. Raises UsageError
    for a network with one latent only, or one that cannot be built again; DataError as the concepts do.
    """
    layers = require_layers(network) if layers is None else tuple(layers)
    items, renderings = _choose(network, dataset, providers, n, seed, report)
    untrained = None if null is None else _untrained(network, dataset, renderings, seed)
    names = tuple(concept.name for concept in items)
    resampling = resampling or Resampling(RESAMPLES, SHUFFLES, seed)
    shown = np.unique(np.concatenate([drawn.items for drawn in renderings if drawn.provider is None]))
    decisions = decide(network, dataset, shown, names, resampling, report)
    sweep = LayerSweep(
        network.name, network.source, dataset.name, n, seed, estimator, names, {}, null, decisions=decisions
    )
    called = names_of_rows(
        dataset,
        [drawn.items for drawn in renderings],
        [variant_of(drawn.provider, drawn.variant) for drawn in renderings],
    )
    for part, of in (("layers", network), ("random", untrained)):
        if of is None:
            continue
        kind = " of random weights" if part == "random" else ""
        with (
            report.task(f"reading layers{kind}", sum(len(drawn.items) for drawn in renderings), "images") as reading,
            read_layers(of, layers, _batches(of, dataset, renderings), reading) as features,
            report.task(f"weighing concepts{kind}", len(features.widths), "layers") as weighing,
        ):
            for layer, found in _findings(features, items, estimator, resampling, called, report):
                sweep = replace(sweep, **{part: {**getattr(sweep, part), layer: found}})
                if after_layer is not None:
                    after_layer(sweep)
                weighing.advance()
    _warn_of_dominance(sweep, report)
    return sweep


def _untrained(network: Network, dataset: Dataset, renderings: Sequence[_Rendering], seed: int) -> Network:
    """Return the network with random weights, its normalisation set by some of the images."""
    items = next(drawn.items for drawn in renderings if drawn.provider is None)
    chosen = np.sort(step_generator(seed, 3000, 1).permutation(items)[:LEAST_IMAGES])
    pixels = dataset.images(chosen, network.backbone.image_size, network.backbone.interpolation)
    return with_random_weights(network, as_images(pixels), seed)


def require_layers(network: Network) -> tuple[str, ...]:
    """Return the layers of a network; UsageError where it has one latent only."""
    layers = network.layers()
    if not layers:
        raise UsageError(f"--all-layers: {network.name} has one latent only; leave --all-layers out")
    return layers


def _choose(
    network: Network, dataset: Dataset, providers: Sequence[ConceptProvider], n: int, seed: int, report: Reporter
) -> tuple[list[PairedItems], list[_Rendering]]:
    """Choose the items of every concept, and list what has to be drawn for them, each image once."""
    indices = np.asarray(dataset.splits["train"])
    groups = grouped(dataset, indices, providers, circumstances(network, seed, report))
    chosen = [_thinned(provider, own, n, seed, report) for provider, own in zip(providers, groups, strict=True)]
    renderings = _renderings(providers, chosen)
    items = [
        PairedItems(
            provider.concept,
            provider.relation,
            _rows(provider, own, renderings),
            own.group_ids,
            dataset.sources[own.indices],
        )
        for provider, own in zip(providers, chosen, strict=True)
    ]
    return items, renderings


def _thinned(provider: ConceptProvider, own: Groups, n: int, seed: int, report: Reporter) -> Groups:
    # One draw for all: concepts of the same items take the same ones.
    kept = thin(own.group_ids, n, step_generator(seed, 3000, 0))
    if not len(kept):
        raise DataError(f"concept {provider.concept} makes no pair of the {n} items drawn: raise --n")
    if len(kept) < FEW_ITEMS:
        report.warn(f"concept {provider.concept}: intervals from {len(kept)} items are rough")
    return Groups(own.indices[kept], own.variants[kept], own.group_ids[kept])


def _renderings(providers: Sequence[ConceptProvider], chosen: Sequence[Groups]) -> list[_Rendering]:
    """List every rendering with the items that some concept needs of it; all concepts share the images themselves."""
    wanted: dict[tuple[ConceptProvider | None, int], list[np.ndarray]] = {}
    for provider, own in zip(providers, chosen, strict=True):
        for variant in np.unique(own.variants):
            key = (provider if variant else None, int(variant))
            wanted.setdefault(key, []).append(own.indices[own.variants == variant])
    return [_Rendering(*key, np.unique(np.concatenate(parts))) for key, parts in wanted.items()]


def _rows(provider: ConceptProvider, own: Groups, renderings: Sequence[_Rendering]) -> np.ndarray:
    """Say which row of the features each item of a concept is."""
    rows, start = np.empty(len(own.indices), np.int64), 0
    for drawn in renderings:
        if drawn.provider in (None, provider):
            mine = own.variants == drawn.variant
            rows[mine] = start + np.searchsorted(drawn.items, own.indices[mine])
        start += len(drawn.items)
    return rows


def _batches(network: Network, dataset: Dataset, renderings: Sequence[_Rendering]) -> Iterator[np.ndarray]:
    """Draw the images of all renderings in turn, uint8 (B, S, S, 3)."""
    size, interpolation = network.backbone.image_size, network.backbone.interpolation
    at_once = max(1, min(500, PIXELS_AT_ONCE // size**2))
    for drawn in renderings:
        for start in range(0, len(drawn.items), at_once):
            part = drawn.items[start : start + at_once]
            if drawn.provider is None:
                yield dataset.images(part, size, interpolation)
            else:
                yield drawn.provider.draw(dataset, part, size, interpolation, drawn.variant)


def _findings(
    features: LayerFeatures,
    items: Sequence[PairedItems],
    estimator: Estimator,
    resampling: Resampling,
    called: Callable[[int], str],
    report: Reporter,
) -> Iterator[tuple[str, LayerFinding]]:
    """Weigh every concept at every layer; `called` names rows of the features."""
    before, found = None, None
    for layer in features.widths:
        values = features[layer]
        # The last part of a block gives what the block gives.
        if found is None or before is None or not np.array_equal(values, before):
            z = torch.from_numpy(values)
            evidence, failed = {}, {}
            for own in items:
                try:
                    evidence[own.name] = weigh(
                        z[own.rows], own.groups, own.sources, own.relation, estimator, resampling
                    )
                except DataError as error:
                    failed[own.name] = str(error)
                    report.warn(f"layer {layer}, concept {own.name}: {error}")
            dominance = find_dominance(z.__getitem__, np.arange(len(z)), called)
            found = LayerFinding(values.shape[1], evidence, failed, dominance, layer_sizes(z, items))
        before = values
        yield layer, found


def _warn_of_dominance(sweep: LayerSweep, report: Reporter) -> None:
    if sweep.dominance:
        layer = max(sweep.dominance, key=lambda name: sweep.dominance[name].share)
        report.warn(
            f"the scores of {len(sweep.dominance)} of {len(sweep.layers)} layers are dominated by few items; "
            f"{layer}: {sweep.dominance[layer]}"
        )
