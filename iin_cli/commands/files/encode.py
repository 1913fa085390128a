"""Encode images to a file of latents: the first of the verbs that a shell script can do anything between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...crew import lead
from ...distributed import choose_device
from ...interpretation.data_choice import DataChoice, describe_data, split_items
from ...interpretation.encoding import encode_items
from ...interpretation.grouping import circumstances, find_providers, grouped
from ...interpretation.network import Network
from ...interpretation.network_choice import NetworkChoice
from ...interpretation.opening import versions
from ...io import checkpoint
from ...io.rundir import new_file
from ...leading import leaders_first
from ...plugin_api import ConceptProvider, Dataset, Groups
from ...progress import Reporter, Silent
from ...results import Result

__all__ = ["EncodeResult", "encode"]


@dataclass(frozen=True)
class EncodeResult(Result):
    """What was encoded: `count` rows of `latent_dim` numbers, computed in `precision`; `tensors` are those in `out`."""

    out: str
    count: int
    latent_dim: int
    data: str
    split: str
    tensors: tuple[str, ...]
    precision: str


@dataclass(frozen=True)
class _Rendering:
    """How some images are drawn: as variant `variant` of a concept; variant 0 is the image itself, of any concept."""

    provider: ConceptProvider | None
    variant: int


@dataclass(frozen=True)
class _Rows:
    """Which image each row is, and how it is drawn.

    Attributes:
        indices: items of the dataset (M,).
        rendering: position in `renderings` of each row (M,); 0 is the image itself.
        groups: concept -> number of each row's group (M,); −1 where it is in none.
    """

    indices: np.ndarray
    rendering: np.ndarray
    renderings: list[_Rendering]
    groups: dict[str, np.ndarray]


def encode(
    backbone: str,
    choice: DataChoice,
    out: Path | None = None,
    concepts: Sequence[str] = (),
    *,
    weights: str = "default",
    layer: str | None = None,
    precision: str = "auto",
    device: str = "auto",
    report: Reporter | None = None,
) -> EncodeResult:
    """Write the latents of a split of the data, each image encoded once.

    The file holds `z` (M, N), of a stochastic encoder the posterior's mean, with `log_variance` (M, N); `indices` (M,),
    the item each row is; and `label.<column>` (M,) for every column of labels, float64 where it is continuous. With
    concepts also `group.<concept>`: rows with equal numbers make pairs, −1 makes none; and, where a concept draws
    images in other ways, further rows with those renderings, told apart by `rendering` (M,): 0 is the image itself, k
    the k-th of the metadata's `renderings`.

    Args:
        backbone: checkpoint, run folder or registered name.
        choice: the data, by default what the backbone was trained on, its split, and the seed of the concepts' groups.
        out: new file; None makes `z.safetensors` in a numbered folder.
        concepts: `NAME[:ARGUMENT]`.

    Raises UsageError, DataError and CheckpointError as their docstrings say.
    """
    report = report or Silent()
    network = NetworkChoice(backbone, weights, layer, precision).open(choose_device(device), report)
    with leaders_first():
        dataset = choice.open(network.data, report)

    def work() -> EncodeResult:
        providers = find_providers(concepts, dataset)
        indices = split_items(dataset, choice.split)
        groups = grouped(dataset, indices, providers, circumstances(network, choice.seed, report))
        rows = _rows(indices, providers, groups)
        metadata = {
            "kind": "latents",
            "data": describe_data(dataset, choice.root_of(network.data)),
            "split": choice.split,
            "concepts": list(rows.groups),
            "renderings": [f"{entry.provider.concept}/{entry.variant}" for entry in rows.renderings if entry.provider],
            "label_names": {
                name: list(label.names) for name, label in dataset.labels.items() if label.names is not None
            },
            "versions": versions(),
        }
        with new_file(out, f"encode-{Path(dataset.name).name}-{choice.split}", "z.safetensors") as file:
            tensors = _encoded(network, dataset, rows, report) | _described(dataset, rows)
            # The precision is settled once something was encoded.
            checkpoint.save(file, tensors, {**metadata, "backbone": network.provenance})
        names = tuple(sorted(tensors))
        found = str(file), len(rows.indices), network.latent_dim, dataset.name, choice.split, names
        return EncodeResult(*found, network.precision)

    return lead(work, network, dataset)


def _rows(indices: np.ndarray, providers: Sequence[ConceptProvider], groups: Sequence[Groups]) -> _Rows:
    """List the images, then the renderings of every concept that has some, and number each concept's groups."""
    parts, renderings = [indices], [_Rendering(None, 0)]
    for provider, own in zip(providers, groups, strict=True):
        for variant in np.unique(own.variants[own.variants != 0]):
            renderings.append(_Rendering(provider, int(variant)))
            parts.append(own.indices[own.variants == variant])
    rendering = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    joined = np.concatenate(parts)
    group_of_row = {}
    for provider, own in zip(providers, groups, strict=True):
        group_of = np.full(len(joined), -1, np.int64)
        for variant in np.unique(own.variants):
            number = renderings.index(_Rendering(provider, int(variant))) if variant else 0
            chosen = own.variants == variant
            of_item = dict(zip(own.indices[chosen].tolist(), own.group_ids[chosen].tolist(), strict=True))
            where = np.flatnonzero(rendering == number)
            group_of[where] = [of_item.get(int(item), -1) for item in joined[where]]
        group_of_row[provider.concept] = group_of
    return _Rows(joined, rendering, renderings, group_of_row)


def _encoded(network: Network, dataset: Dataset, rows: _Rows, report: Reporter) -> dict[str, Tensor]:
    blocks = [
        encode_items(
            network, dataset, rows.indices[rows.rendering == number], entry.provider, entry.variant, report=report
        )
        for number, entry in enumerate(rows.renderings)
    ]
    tensors = {"z": torch.from_numpy(np.concatenate([block.mean for block in blocks]))}
    log_variances = [block.log_variance for block in blocks if block.log_variance is not None]
    if len(log_variances) == len(blocks):
        tensors["log_variance"] = torch.from_numpy(np.concatenate(log_variances))
    return tensors


def _described(dataset: Dataset, rows: _Rows) -> dict[str, Tensor]:
    tensors = {"indices": rows.indices}
    for column, label in dataset.labels.items():
        # Only continuous labels are no whole numbers.
        tensors[f"label.{column}"] = label.values[rows.indices].astype(np.float64 if label.continuous else np.int64)
    if rows.groups:
        tensors |= {f"group.{concept}": numbers for concept, numbers in rows.groups.items()}
        tensors["rendering"] = rows.rendering
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in tensors.items()}
