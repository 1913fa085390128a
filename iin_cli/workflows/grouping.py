"""Group and encode: from a backbone, data and concepts to latents in memory-mapped blocks and pairs of their rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from ..data import latents
from ..data.latents import Latents
from ..data.pairs import PairSampler, step_generator
from ..errors import DataError, UsageError, nearest
from ..plugin_api import Circumstances, ConceptProvider, Dataset, Groups, Relation
from ..progress import Reporter
from ..registry import find
from ..translator.dims import Estimator, score
from .opening import OpenBackbone
from .outliers import Dominance, find_dominance, names_of_rows, variant_of, warn_of_dominance

__all__ = [
    "ConceptPairs",
    "LatentTable",
    "as_estimator",
    "check_dominance",
    "circumstances",
    "encode_items",
    "find_providers",
    "group",
    "grouped",
    "held_out_mask",
    "is_encoded",
    "score_concepts",
]

SCORE_PAIRS = 50_000
MOST_NEEDED = 256
# Of images encoded at once: 500 of 64².
PIXELS_AT_ONCE = 2**21
HELD_OUT_SEED = 20200614


class LatentTable:
    """Latents of all rows, kept where they lie: rows are numbered through the blocks.

    `called` says what to call the item in a row, in a message.
    """

    def __init__(self, blocks: Sequence[Latents], called: Callable[[int], str] = "row {}".format) -> None:
        self.blocks, self.called = list(blocks), called
        self.offsets = np.cumsum([0, *(len(block.mean) for block in self.blocks)])
        self.dim = int(self.blocks[0].mean.shape[1])
        self.stochastic = all(block.log_variance is not None for block in self.blocks)

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def mean(self, rows: np.ndarray) -> Tensor:
        """Posterior means (B, N) of `rows` (B,)."""
        return torch.from_numpy(self._gather(rows, lambda block: block.mean))

    def sample(self, rows: np.ndarray, noise: np.ndarray) -> Tensor:
        """Draw z ~ q(z|x) (B, N) with standard normal `noise` (B, N); of a deterministic encoder, its z."""
        mean = self._gather(rows, lambda block: block.mean)
        if self.stochastic:
            mean += np.exp(0.5 * self._gather(rows, lambda block: block.log_variance)) * noise
        return torch.from_numpy(mean)

    def _gather(self, rows: np.ndarray, column: Callable[[Latents], np.ndarray]) -> np.ndarray:
        gathered = np.empty((len(rows), self.dim), np.float32)
        which = np.searchsorted(self.offsets, rows, side="right") - 1
        for number, block in enumerate(self.blocks):
            mine = which == number
            if mine.any():
                gathered[mine] = column(block)[rows[mine] - self.offsets[number]]
        return gathered


@dataclass(frozen=True)
class ConceptPairs:
    """A concept's pairs: rows for fitting and rows held out, which never share an image. `held_out` may be None.

    `sources` int64 (rows,) says of every row of the table which image it shows; None: each another.
    """

    name: str
    relation: Relation
    fit: PairSampler
    held_out: PairSampler | None
    sources: np.ndarray | None = None


def as_estimator(name: str) -> Estimator:
    """Return the estimator called `name`. UsageError with the names there are."""
    for known in get_args(Estimator):
        if name == known:
            return known
    raise UsageError(f"--estimator {name!r}: {nearest(name, get_args(Estimator))}")


def find_providers(concepts: Sequence[str]) -> list[ConceptProvider]:
    """Return the providers of `concepts` (`NAME[:ARGUMENT]`). UsageError for unknown names or two of one name."""
    providers: list[ConceptProvider] = []
    for wanted in concepts:
        provider = find("concepts", wanted).make()
        if provider.concept in [other.concept for other in providers]:
            raise UsageError(f"--concept {wanted}: the concept {provider.concept} is given twice")
        if provider.concept == "residual":
            raise UsageError(f"--concept {wanted}: the name residual is taken by what no concept explains")
        providers.append(provider)
    return providers


def held_out_mask(sources: np.ndarray) -> np.ndarray:
    """Choose what is held out: whole sources, 5 % of many items or 10 % of few; bool (M,)."""
    unique = np.unique(sources)
    count = max(1, round(len(unique) * (0.05 if len(sources) >= 20_000 else 0.1)))
    chosen = step_generator(HELD_OUT_SEED, 0, 0).permutation(unique)[:count]
    return np.isin(sources, chosen)


def group(
    opened: OpenBackbone,
    dataset: Dataset,
    providers: Sequence[ConceptProvider],
    seed: int,
    device: torch.device,
    report: Reporter,
) -> tuple[LatentTable, list[ConceptPairs], np.ndarray]:
    """Group the training items of `dataset` by each concept, and encode every rendered item once.

    Returns the latents, the pairs of each concept, and a bool mask (rows,) of the rows held out.
    Raises DataError when a concept has no labels or makes no pair, or when there are fewer images than latents.
    """
    indices = np.asarray(dataset.splits["train"])
    # Wider latents have dependent features anyway: noise is declared, and few rows are warned of.
    needed = min(opened.backbone.latent_dim, MOST_NEEDED)
    if len(indices) < needed:
        raise DataError(
            f"{dataset.name} has {len(indices)} training images, fewer than the {needed} "
            f"{'' if needed < opened.backbone.latent_dim else 'dimensions of the latent '}that a translator needs"
        )
    groups = grouped(dataset, indices, providers, circumstances(opened, seed, device, report))
    blocks, rows_of = [encode_items(opened, dataset, indices, device=device, report=report)], {}
    start, row_indices, variants = len(indices), [indices], [""]
    for provider, own in zip(providers, groups, strict=True):
        for variant in np.unique(own.variants[own.variants != 0]):
            items = own.indices[own.variants == variant]
            blocks.append(encode_items(opened, dataset, items, provider, int(variant), device=device, report=report))
            rows_of[provider.concept, int(variant)] = start
            row_indices.append(items)
            variants.append(variant_of(provider, int(variant)))
            start += len(items)
    sources = dataset.sources[np.concatenate(row_indices)]
    held_out = held_out_mask(sources)
    pairs = [
        _pairs(provider, own, _rows(provider, own, indices, rows_of), held_out, sources)
        for provider, own in zip(providers, groups, strict=True)
    ]
    return LatentTable(blocks, names_of_rows(dataset, row_indices, variants)), pairs, held_out


def circumstances(opened: OpenBackbone, seed: int, device: torch.device | str, report: Reporter) -> Circumstances:
    """Return what concepts may use that are prepared for `opened`."""
    backbone = opened.backbone
    return Circumstances(str(device), backbone.image_size, backbone.interpolation, seed, report)


def grouped(
    dataset: Dataset, indices: np.ndarray, providers: Sequence[ConceptProvider], circumstances: Circumstances
) -> list[Groups]:
    """Prepare every concept and let it group the items `indices` (M,) of `dataset`; errors as the concepts raise."""
    for provider in providers:
        provider.prepare(dataset, indices, circumstances)
    return [provider.groups(dataset, indices, circumstances.seed) for provider in providers]


def is_encoded(opened: OpenBackbone, dataset: Dataset, indices: np.ndarray) -> bool:
    """Say whether `encode_items` of exactly these items, as they are, was done before and is kept."""
    return latents.is_cached(_identity(opened, dataset, indices, None, 0))


def encode_items(
    opened: OpenBackbone,
    dataset: Dataset,
    indices: np.ndarray,
    provider: ConceptProvider | None = None,
    variant: int = 0,
    *,
    device: torch.device | str,
    report: Reporter,
) -> Latents:
    """Encode items `indices` of `dataset`, as they are or as `provider` draws them, once."""
    size, interpolation = opened.backbone.image_size, opened.backbone.interpolation

    def read(positions: np.ndarray) -> np.ndarray:
        if provider is None:
            return dataset.images(indices[positions], size, interpolation)
        return provider.draw(dataset, indices[positions], size, interpolation, variant)

    name = dataset.name if variant == 0 or provider is None else f"{dataset.name}, {provider.concept}"
    return latents.cached(
        _identity(opened, dataset, indices, provider, variant),
        len(indices),
        read,
        opened.backbone.posterior,
        batch=max(16, min(500, PIXELS_AT_ONCE // size**2)),
        device=device,
        report=report,
        description=f"encoding {Path(name).name}",
        called=lambda position: dataset.path(int(indices[position])),
    )


def _identity(
    opened: OpenBackbone, dataset: Dataset, indices: np.ndarray, provider: ConceptProvider | None, variant: int
) -> dict[str, Any]:
    """Return everything that decides the latents of items."""
    return {
        "backbone": opened.sha256,
        "layer": opened.layer,
        "data": dataset.fingerprint,
        "items": latents.index_digest(indices),
        "rendering": f"{provider.fingerprint}/{variant}" if provider is not None and variant else "identity",
        "size": opened.backbone.image_size,
        "interpolation": opened.backbone.interpolation,
    }


def check_dominance(table: LatentTable, rows: np.ndarray, report: Reporter) -> Dominance | None:
    """Find the few of `rows` (M,) that make much of the variance, and with it of every score; warn of them."""
    found = find_dominance(table.mean, rows, table.called)
    warn_of_dominance(found, report)
    return found


def score_concepts(
    table: LatentTable, pairs: Sequence[ConceptPairs], seed: int, estimator: Estimator
) -> dict[str, float]:
    """Score every concept on fresh pairs of the items it is fitted to (Eq 11), from posterior means."""
    # 256 MiB of latents at most, whatever their size.
    count = min(SCORE_PAIRS, max(1000, 2**25 // table.dim))
    scores = {}
    for stream, concept in enumerate(pairs):
        a, b = concept.fit.draw(count, step_generator(seed, 1000 + stream, 0))
        scores[concept.name] = score(table.mean(a), table.mean(b), concept.relation, estimator)
    return scores


def _rows(
    provider: ConceptProvider, grouped: Groups, indices: np.ndarray, rows_of: dict[tuple[str, int], int]
) -> np.ndarray:
    """Say which row of the table each grouped item is."""
    order = np.argsort(indices, kind="stable")
    rows = order[np.searchsorted(indices, grouped.indices, sorter=order)]
    for variant in np.unique(grouped.variants[grouped.variants != 0]):
        mine = grouped.variants == variant
        rows[mine] = rows_of[provider.concept, int(variant)] + np.arange(mine.sum())
    return rows


def _pairs(
    provider: ConceptProvider, grouped: Groups, rows: np.ndarray, held_out: np.ndarray, sources: np.ndarray
) -> ConceptPairs:
    out = held_out[rows]
    fit = PairSampler.of(rows[~out], grouped.group_ids[~out], provider.concept)
    try:
        rest = PairSampler.of(rows[out], grouped.group_ids[out], provider.concept)
    except DataError:
        rest = None
    return ConceptPairs(provider.concept, provider.relation, fit, rest, sources)
