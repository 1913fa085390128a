"""Which layer knows what: the score of every concept at every layer of a backbone, in one pass over the images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..distributed import choose_device, draw_seed
from ..errors import DataError, UsageError
from ..figures.layers import Curve, plot_layers
from ..figures.plots import save_figure
from ..interpretation.encoding import PIXELS_AT_ONCE
from ..interpretation.grouping import circumstances, find_providers, grouped
from ..interpretation.network import Network
from ..interpretation.opening import open_network
from ..io.rundir import write_json
from ..latents.dominance import Dominance, find_dominance, names_of_rows, variant_of
from ..latents.pairs import step_generator
from ..metrics.bootstrap import FEW_ITEMS
from ..plugin_api import ConceptProvider, Dataset, Relation
from ..progress import Reporter, Silent
from ..translator.dims import Estimator, as_estimator
from .evidence import Evidence, thin, weigh
from .layer_features import LayerFeatures, read_layers

__all__ = ["LayerSweep", "sweep_layers"]

N = 2000
# Half as many as of a single latent: there are many layers.
RESAMPLES = 250


@dataclass(frozen=True)
class LayerSweep:
    """What was found at every layer.

    Attributes:
        out: the folder or file written.
        widths: of each layer's latent, in the order of computation.
        evidence: layer -> concept -> evidence; `failed`: layer -> concept -> why it could not be scored.
        dominance: layer -> the few items that make much of the variance, of layers where there are such.
    """

    out: str
    backbone: str
    data: str
    n: int
    seed: int
    estimator: str
    widths: dict[str, int]
    evidence: dict[str, dict[str, Evidence]]
    failed: dict[str, dict[str, str]]
    dominance: dict[str, Dominance]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        evidence = {
            layer: {name: found.as_dict() for name, found in concepts.items()}
            for layer, concepts in self.evidence.items()
        }
        # As a list too: JSON objects have no order that a reader must keep.
        dominance = {layer: found.as_dict() for layer, found in self.dominance.items()}
        return {**vars(self), "layers": list(self.widths), "evidence": evidence, "dominance": dominance}

    def tables(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return (title, rows): one row per layer and concept."""
        rows = [
            {"layer": layer, "width": self.widths[layer], "concept": name, "score": found.score.value, **found.as_row()}
            for layer, concepts in self.evidence.items()
            for name, found in concepts.items()
        ]
        return [("layers", rows)]


@dataclass(frozen=True)
class _Items:
    """Items of one concept: rows of the features, their groups and the images they show, all (M,)."""

    name: str
    relation: Relation
    rows: np.ndarray
    groups: np.ndarray
    sources: np.ndarray


# Which concept draws which of its variants of which items; None and 0: the images themselves.
_Rendering = tuple[ConceptProvider | None, int, np.ndarray]


def sweep_layers(
    backbone: str,
    concepts: Sequence[str],
    out: Path | None = None,
    *,
    n: int = N,
    data: str | None = None,
    data_root: Path | None = None,
    estimator: str = "variance",
    weights: str = "default",
    seed: int | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> LayerSweep:
    """Score `concepts` at every layer of a backbone and plot which layer knows what.

    Args:
        out: new folder, for `layers.png` and `layers.json`, or new file of one of these endings.
        n: training items per concept at most, drawn by `seed`.

    Raises UsageError for a backbone with one latent only; else as `estimate_dims`. A layer that cannot be scored is
    recorded with its reason.
    """
    report, kind = report or Silent(), as_estimator(estimator)
    where, seed = choose_device(device), draw_seed(seed)
    providers = find_providers(concepts)
    opened = open_network(backbone, where, weights)
    layers = opened.backbone.layers()
    if not layers:
        raise UsageError(f"--all-layers: {opened.backbone.name} has one latent only; leave --all-layers out")
    dataset = open_data(data, opened.data, data_root, report)
    items, renderings = _choose(opened, dataset, providers, n, seed, where, report)
    with open_output(out, f"layers-{opened.backbone.name}", (".png", ".json"), "a plot") as (place, is_file):
        sweep = LayerSweep(str(place), opened.source, dataset.name, n, seed, kind, {}, {}, {}, {})
        png, table = _files(place, is_file)
        batches = _batches(opened, dataset, renderings)
        total = sum(len(indices) for _, _, indices in renderings)
        with (
            report.task("reading layers", total, "images") as task,
            read_layers(opened.backbone, layers, batches, where, task) as features,
        ):
            called = names_of_rows(
                dataset,
                [indices for _, _, indices in renderings],
                [variant_of(provider, variant) for provider, variant, _ in renderings],
            )
            _score(features, items, sweep, kind, called, table, report)
        if png is not None:
            names = [concept.name for concept in items]
            title = f"{opened.backbone.name} on {Path(dataset.name).name}: at most {n} items per concept"
            save_figure(png, plot_layers(list(sweep.widths), _curves(sweep, names), title))
    return sweep


def _files(place: Path, is_file: bool) -> tuple[Path | None, Path | None]:
    """Return where the plot goes and where the table, None for what was not asked for."""
    if not is_file:
        return place / "layers.png", place / "layers.json"
    return (place, None) if place.suffix.lower() == ".png" else (None, place)


def _choose(
    opened: Network,
    dataset: Dataset,
    providers: Sequence[ConceptProvider],
    n: int,
    seed: int,
    device: torch.device,
    report: Reporter,
) -> tuple[list[_Items], list[_Rendering]]:
    """Choose the items of every concept, and list what has to be drawn for them, each image once."""
    indices = np.asarray(dataset.splits["train"])
    chosen, wanted = [], {}
    for provider, own in zip(
        providers, grouped(dataset, indices, providers, circumstances(opened, seed, device, report)), strict=True
    ):
        # One draw for all: concepts of the same items take the same ones.
        kept = thin(own.group_ids, n, step_generator(seed, 3000, 0))
        if not len(kept):
            raise DataError(f"concept {provider.concept} makes no pair of the {n} items drawn: raise --n")
        if len(kept) < FEW_ITEMS:
            report.warn(f"concept {provider.concept}: intervals from {len(kept)} items are rough")
        chosen.append((provider, own.indices[kept], own.variants[kept], own.group_ids[kept]))
        for variant in np.unique(own.variants[kept]):
            key = (provider, int(variant)) if variant else (None, 0)
            wanted.setdefault(key, []).append(own.indices[kept][own.variants[kept] == variant])
    renderings = [(*key, np.unique(np.concatenate(parts))) for key, parts in wanted.items()]
    starts = dict(zip(wanted, np.cumsum([0, *(len(found) for _, _, found in renderings)]), strict=False))
    items = []
    for provider, numbers, variants, groups in chosen:
        rows = np.empty(len(numbers), np.int64)
        for owner, variant, there in renderings:
            mine = (variants == variant) & (owner in (None, provider))
            rows[mine] = starts[owner, variant] + np.searchsorted(there, numbers[mine])
        items.append(_Items(provider.concept, provider.relation, rows, groups, dataset.sources[numbers]))
    return items, renderings


def _batches(opened: Network, dataset: Dataset, renderings: Sequence[_Rendering]) -> Iterator[np.ndarray]:
    """Draw the images of all renderings in turn, uint8 (B, S, S, 3)."""
    size, interpolation = opened.backbone.image_size, opened.backbone.interpolation
    at_once = max(1, min(500, PIXELS_AT_ONCE // size**2))
    for provider, variant, indices in renderings:
        for start in range(0, len(indices), at_once):
            part = indices[start : start + at_once]
            if provider is None:
                yield dataset.images(part, size, interpolation)
            else:
                yield provider.draw(dataset, part, size, interpolation, variant)


def _score(
    features: LayerFeatures,
    items: Sequence[_Items],
    sweep: LayerSweep,
    estimator: Estimator,
    called: Callable[[int], str],
    table: Path | None,
    report: Reporter,
) -> None:
    """Weigh every concept at every layer; `table` has what is known after each. `called` names rows of features."""
    before, same = None, ""
    with report.task("weighing concepts", len(features.widths), "layers") as task:
        for layer, width in features.widths.items():
            values = features[layer]
            sweep.widths[layer] = width
            # The last part of a block gives what the block gives.
            if before is not None and np.array_equal(values, before):
                sweep.evidence[layer] = dict(sweep.evidence[same])
                for kept in (sweep.failed, sweep.dominance):
                    kept.update({layer: kept[same]} if same in kept else {})
            else:
                _score_layer(layer, values, items, sweep, estimator, called, report)
            before, same = values, layer
            if table is not None:
                write_json(table, sweep.as_dict())
            task.advance()
    if sweep.dominance:
        layer = max(sweep.dominance, key=lambda name: sweep.dominance[name].share)
        report.warn(
            f"the scores of {len(sweep.dominance)} of {len(sweep.widths)} layers are dominated by few items; "
            f"{layer}: {sweep.dominance[layer]}"
        )


def _score_layer(
    layer: str,
    values: np.ndarray,
    items: Sequence[_Items],
    sweep: LayerSweep,
    estimator: Estimator,
    called: Callable[[int], str],
    report: Reporter,
) -> None:
    z = torch.from_numpy(values)
    dominance = find_dominance(lambda rows: z[rows], np.arange(len(z)), called)
    if dominance is not None:
        sweep.dominance[layer] = dominance
    sweep.evidence[layer] = {}
    for own in items:
        try:
            sweep.evidence[layer][own.name] = weigh(
                z[own.rows], own.groups, own.sources, own.relation, estimator, sweep.seed, RESAMPLES
            )
        except DataError as error:
            sweep.failed.setdefault(layer, {})[own.name] = str(error)
            report.warn(f"layer {layer}, concept {own.name}: {error}")


def _curves(sweep: LayerSweep, concepts: Sequence[str]) -> dict[str, Curve]:
    curves = {}
    for name in concepts:
        along = [concepts_there.get(name) for concepts_there in sweep.evidence.values()]
        columns = np.array(
            [
                [np.nan] * 5
                if found is None
                else [found.score.value, found.score.low, found.score.high, found.null.low, found.null.high]
                for found in along
            ]
        ).T
        curves[name] = Curve(*columns, np.array([found is not None and found.found for found in along]))
    return curves
