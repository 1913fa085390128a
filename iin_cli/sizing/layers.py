"""Score every concept at every layer of a network, in one pass over the images: which layer knows what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import DataError, UsageError
from ..figures.layers import plot_layers
from ..interpretation.encoding import PIXELS_AT_ONCE
from ..interpretation.grouping import circumstances, grouped
from ..interpretation.network import Network
from ..latents.dominance import Dominance, find_dominance, names_of_rows, variant_of
from ..latents.pairs import step_generator
from ..metrics.bootstrap import FEW_ITEMS, Resampling
from ..plugin_api import ConceptProvider, Dataset, Groups, Relation
from ..progress import Reporter
from ..results import Result, Table
from ..translator.dims import Estimator
from .evidence import SHUFFLES, Evidence, curve_of, thin, weigh
from .layer_features import LayerFeatures, read_layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LayerFinding", "LayerSweep", "require_layers", "sweep_layers"]

# Half as many as for a single latent: there are many layers.
RESAMPLES = 250


@dataclass(frozen=True)
class LayerFinding:
    """What was found at one layer.

    Attributes:
        width: of its latent.
        evidence: concept -> evidence.
        failed: concept -> why it could not be scored.
        dominance: the few items that make much of the variance, if there are any.
    """

    width: int
    evidence: dict[str, Evidence]
    failed: dict[str, str]
    dominance: Dominance | None


@dataclass(frozen=True)
class LayerSweep(Result):
    """What was found at every layer.

    Attributes:
        network: the backbone's name; `backbone`: where it comes from.
        n: items per concept at most.
        concepts: their names.
        layers: what was found at each, in the order of computation.
        out: the folder or file written; None where nothing was.
    """

    network: str
    backbone: str
    data: str
    n: int
    seed: int
    estimator: Estimator
    concepts: tuple[str, ...]
    layers: dict[str, LayerFinding]
    out: str | None = None

    @property
    def widths(self) -> dict[str, int]:
        """Width of each layer's latent."""
        return {layer: found.width for layer, found in self.layers.items()}

    @property
    def evidence(self) -> dict[str, dict[str, Evidence]]:
        """Layer -> concept -> evidence."""
        return {layer: found.evidence for layer, found in self.layers.items()}

    @property
    def failed(self) -> dict[str, dict[str, str]]:
        """Layer -> concept -> why it could not be scored, of layers where there are such."""
        return {layer: found.failed for layer, found in self.layers.items() if found.failed}

    @property
    def dominance(self) -> dict[str, Dominance]:
        """Layer -> the few items that make much of the variance, of layers where there are such."""
        return {layer: found.dominance for layer, found in self.layers.items() if found.dominance is not None}

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        evidence = {
            layer: {name: found.as_dict() for name, found in concepts.items()}
            for layer, concepts in self.evidence.items()
        }
        return {
            "out": self.out,
            "backbone": self.backbone,
            "data": self.data,
            "n": self.n,
            "seed": self.seed,
            "estimator": self.estimator,
            "widths": self.widths,
            # As a list too: JSON objects have no order that a reader must keep.
            "layers": list(self.layers),
            "evidence": evidence,
            "failed": self.failed,
            "dominance": {layer: found.as_dict() for layer, found in self.dominance.items()},
        }

    def tables(self) -> list[Table]:
        """Return (title, rows): one row per layer and concept."""
        rows = [
            {"layer": layer, "width": at.width, "concept": name, "score": found.score.value, **found.as_row()}
            for layer, at in self.layers.items()
            for name, found in at.evidence.items()
        ]
        return [("layers", rows)]

    def plot(self) -> Figure:
        """Draw one line per concept over the layers."""
        curves = {
            name: curve_of([found.evidence.get(name) for found in self.layers.values()]) for name in self.concepts
        }
        title = f"{self.network} on {Path(self.data).name}: at most {self.n} items per concept"
        return plot_layers(list(self.layers), curves, title)


@dataclass(frozen=True)
class _Rendering:
    """Items (B,) of the dataset: the images themselves, or variant `variant` as `provider` draws it."""

    provider: ConceptProvider | None
    variant: int
    items: np.ndarray


@dataclass(frozen=True)
class _Items:
    """Items of one concept: rows of the features, their groups and the images they show, all (M,)."""

    name: str
    relation: Relation
    rows: np.ndarray
    groups: np.ndarray
    sources: np.ndarray


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
) -> LayerSweep:
    """Score the concepts of `providers` at every layer of `network`.

    Args:
        n: training items per concept at most, drawn by `seed`.
        resampling: of the evidence; None draws 250 resamples and 199 shuffles by `seed`.
        after_layer: told after each layer what is known by then.

    A layer that cannot be scored is recorded with its reason. Raises UsageError for a network with one latent only,
    DataError as the concepts do.
    """
    layers = require_layers(network)
    items, renderings = _choose(network, dataset, providers, n, seed, report)
    names = tuple(concept.name for concept in items)
    sweep = LayerSweep(network.name, network.source, dataset.name, n, seed, estimator, names, {})
    called = names_of_rows(
        dataset,
        [drawn.items for drawn in renderings],
        [variant_of(drawn.provider, drawn.variant) for drawn in renderings],
    )
    resampling = resampling or Resampling(RESAMPLES, SHUFFLES, seed)
    with (
        report.task("reading layers", sum(len(drawn.items) for drawn in renderings), "images") as reading,
        read_layers(network, layers, _batches(network, dataset, renderings), reading) as features,
        report.task("weighing concepts", len(features.widths), "layers") as weighing,
    ):
        for layer, found in _findings(features, items, estimator, resampling, called, report):
            sweep = replace(sweep, layers={**sweep.layers, layer: found})
            if after_layer is not None:
                after_layer(sweep)
            weighing.advance()
    _warn_of_dominance(sweep, report)
    return sweep


def require_layers(network: Network) -> tuple[str, ...]:
    """Return the layers of a network; UsageError where it has one latent only."""
    layers = network.layers()
    if not layers:
        raise UsageError(f"--all-layers: {network.name} has one latent only; leave --all-layers out")
    return layers


def _choose(
    network: Network, dataset: Dataset, providers: Sequence[ConceptProvider], n: int, seed: int, report: Reporter
) -> tuple[list[_Items], list[_Rendering]]:
    """Choose the items of every concept, and list what has to be drawn for them, each image once."""
    indices = np.asarray(dataset.splits["train"])
    groups = grouped(dataset, indices, providers, circumstances(network, seed, report))
    chosen = [_thinned(provider, own, n, seed, report) for provider, own in zip(providers, groups, strict=True)]
    renderings = _renderings(providers, chosen)
    items = [
        _Items(
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
    items: Sequence[_Items],
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
            found = LayerFinding(values.shape[1], evidence, failed, dominance)
        before = values
        yield layer, found


def _warn_of_dominance(sweep: LayerSweep, report: Reporter) -> None:
    if sweep.dominance:
        layer = max(sweep.dominance, key=lambda name: sweep.dominance[name].share)
        report.warn(
            f"the scores of {len(sweep.dominance)} of {len(sweep.layers)} layers are dominated by few items; "
            f"{layer}: {sweep.dominance[layer]}"
        )
