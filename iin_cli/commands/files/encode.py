"""Encode images to a file of latents: the first of the verbs that a shell script can do anything between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...distributed import choose_device, draw_seed
from ...interpretation.data_choice import describe_data, split_items
from ...interpretation.encoding import encode_items
from ...interpretation.grouping import circumstances, find_providers, grouped
from ...interpretation.network import Network
from ...interpretation.opening import open_network, versions
from ...io import checkpoint
from ...io.rundir import new_file
from ...latents.cache import Latents
from ...plugin_api import ConceptProvider, Dataset, Groups
from ...progress import Reporter, Silent

__all__ = ["EncodeResult", "encode"]


@dataclass(frozen=True)
class EncodeResult:
    """What was encoded: `count` rows of `latent_dim` numbers; `tensors` are the names in the file `out`."""

    out: str
    count: int
    latent_dim: int
    data: str
    split: str
    tensors: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Rows:
    """Which image each row is, and how it is rendered: `rendering` k > 0 counts in `renderings` from 1."""

    indices: np.ndarray
    rendering: np.ndarray
    renderings: list[tuple[ConceptProvider, int]]
    groups: dict[str, np.ndarray]


def encode(
    backbone: str,
    data: str | None = None,
    out: Path | None = None,
    *,
    data_root: Path | None = None,
    split: str = "all",
    concepts: Sequence[str] = (),
    weights: str = "default",
    layer: str | None = None,
    seed: int | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> EncodeResult:
    """Write the latents of a split of `data`, each image encoded once.

    The file holds `z` (M, N), of a stochastic encoder the posterior's mean, with `log_variance` (M, N); `indices` (M,),
    the item each row is; and `label.<column>` (M,) for every column of labels, float64 where it is continuous. With
    concepts also `group.<concept>`: rows with equal numbers make pairs, −1 makes none; and, where a concept renders
    images anew, further rows with those renderings, told by `rendering` (M,): 0 is the image itself, k the k-th of the
    metadata's `renderings`.

    Args:
        backbone: checkpoint, run folder or registered name.
        data: dataset or folder; None takes what the backbone was trained on.
        out: new file; None makes `z.safetensors` in a numbered folder.
        split: train, test or all.
        concepts: `NAME[:ARGUMENT]`.
        seed: of the concepts' groups.

    Raises UsageError, DataError and CheckpointError as their docstrings say.
    """
    report, where = report or Silent(), choose_device(device)
    providers = find_providers(concepts)
    opened = open_network(backbone, where, weights, layer)
    dataset = open_data(data, opened.data, data_root, report)
    indices = split_items(dataset, split)
    seed = draw_seed(seed) if providers else 0
    groups = grouped(dataset, indices, providers, circumstances(opened, seed, where, report))
    rows = _rows(indices, providers, groups)
    file = new_file(out, f"encode-{Path(dataset.name).name}-{split}", "z.safetensors")
    tensors = _encoded(opened, dataset, rows, where, report) | _described(dataset, rows, bool(providers))
    metadata = {
        "kind": "latents",
        "backbone": opened.provenance,
        "data": describe_data(dataset, choose_root(data, opened.data, data_root)),
        "split": split,
        "concepts": [provider.concept for provider in providers],
        "renderings": [f"{provider.concept}/{variant}" for provider, variant in rows.renderings],
        "label_names": {name: list(label.names) for name, label in dataset.labels.items() if label.names is not None},
        "versions": versions(),
    }
    checkpoint.save(file, tensors, metadata)
    return EncodeResult(
        str(file), len(rows.indices), opened.backbone.latent_dim, dataset.name, split, tuple(sorted(tensors))
    )


def _rows(indices: np.ndarray, providers: Sequence[ConceptProvider], groups: Sequence[Groups]) -> _Rows:
    """List the images, then the renderings of every concept that has some, and number each concept's groups."""
    all_indices, renderings = [indices], []
    for provider, own in zip(providers, groups, strict=True):
        for variant in np.unique(own.variants[own.variants != 0]):
            renderings.append((provider, int(variant)))
            all_indices.append(own.indices[own.variants == variant])
    rendering = np.repeat(np.arange(len(all_indices)), [len(part) for part in all_indices])
    joined = np.concatenate(all_indices)
    group_of_row = {}
    for provider, own in zip(providers, groups, strict=True):
        group_of = np.full(len(joined), -1, np.int64)
        for variant in np.unique(own.variants):
            number = 0 if variant == 0 else 1 + renderings.index((provider, int(variant)))
            chosen = own.variants == variant
            of_item = dict(zip(own.indices[chosen].tolist(), own.group_ids[chosen].tolist(), strict=True))
            where = np.flatnonzero(rendering == number)
            group_of[where] = [of_item.get(int(item), -1) for item in joined[where]]
        group_of_row[provider.concept] = group_of
    return _Rows(joined, rendering, renderings, group_of_row)


def _encoded(
    opened: Network, dataset: Dataset, rows: _Rows, device: torch.device, report: Reporter
) -> dict[str, Tensor]:
    blocks: list[Latents] = []
    for number, (provider, variant) in enumerate([(None, 0), *rows.renderings]):
        items = rows.indices[rows.rendering == number]
        blocks.append(encode_items(opened, dataset, items, provider, variant, device=device, report=report))
    tensors = {"z": torch.from_numpy(np.concatenate([block.mean for block in blocks]))}
    if all(block.log_variance is not None for block in blocks):
        tensors["log_variance"] = torch.from_numpy(np.concatenate([block.log_variance for block in blocks]))
    return tensors


def _described(dataset: Dataset, rows: _Rows, with_concepts: bool) -> dict[str, Tensor]:
    # Whole numbers but for the continuous labels, which stay float64.
    tensors = {"indices": rows.indices}
    for column, label in dataset.labels.items():
        tensors[f"label.{column}"] = label.values[rows.indices].astype(np.float64 if label.continuous else np.int64)
    if with_concepts:
        tensors |= {f"group.{concept}": numbers for concept, numbers in rows.groups.items()}
        tensors["rendering"] = rows.rendering
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in tensors.items()}
