"""Attribute axes (Eq 14): mean z̃ of images without an attribute minus that of images with it, by label or folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data.folder import open_folder
from ..errors import DataError, UsageError
from ..interpretation.encoding import encode_items
from ..interpretation.open_translator import OpenTranslator
from ..plugin_api import Dataset
from ..progress import Reporter
from ..translator import edit
from .attributes import Attribute, has_attribute

__all__ = ["AXIS_IMAGES", "Axis", "AxisPart", "axis_from_folders", "axis_from_labels"]

# Of more images the mean hardly moves: with 5,000 on either side by 0.02 of a dimension's deviation.
AXIS_IMAGES = 10_000
# Not the user's seed, so that walks of other images have the same axis and the latents are found again.
AXIS_SEED = 20200614


@dataclass(frozen=True)
class AxisPart:
    """One attribute of an axis: the images that were averaged, and how far apart (in z̃) the two means are."""

    attribute: str
    weight: float
    images_with: int
    images_without: int
    length: float


@dataclass(frozen=True)
class Axis:
    """Eq 14 summed over attributes by their weights: `vector` (N,), zero outside the factors that move."""

    vector: Tensor
    parts: tuple[AxisPart, ...]


def axis_from_labels(
    opened: OpenTranslator,
    dataset: Dataset,
    attributes: Sequence[Attribute],
    names: Sequence[str],
    most: int,
    report: Reporter,
) -> Axis:
    """Average the training images of `dataset` that have each attribute, and those that have not.

    Args:
        names: the factors that the axis moves.
        most: images averaged for one attribute; of more, at most half as many with it and half without are drawn.

    Raises DataError as `has_attribute` does, before anything is encoded.
    """
    indices = np.asarray(dataset.splits["train"])
    having = [has_attribute(dataset, attribute.name, indices) for attribute in attributes]
    chosen = [_choose(has, most) for has in having]
    # One list of items for all attributes: every image is encoded once.
    rows = np.unique(np.concatenate(chosen))
    z_tilde = _z_tilde_of(opened, dataset, indices[rows], report)
    axes = [
        edit.attribute_axis(z_tilde[np.searchsorted(rows, own)], torch.from_numpy(has[own]))
        for has, own in zip(having, chosen, strict=True)
    ]
    counts = [(int(has[own].sum()), int((~has[own]).sum())) for has, own in zip(having, chosen, strict=True)]
    return _sum(opened, attributes, axes, counts, names)


def axis_from_folders(
    opened: OpenTranslator, with_folder: Path, without_folder: Path, names: Sequence[str], most: int, report: Reporter
) -> Axis:
    """Average the images of a folder with the attribute, and those of one without it, half of `most` of each.

    Raises DataError naming the option when a folder is missing or has no images.
    """
    sides = []
    for option, folder in (("--without", without_folder), ("--with", with_folder)):
        try:
            dataset = open_folder(folder, report)
        except DataError as error:
            raise DataError(f"{option}: {error}") from error
        items = np.arange(len(dataset.sources))
        sides.append(_z_tilde_of(opened, dataset, _drawn(items, most // 2), report))
    has = torch.arange(sum(map(len, sides))) >= len(sides[0])
    axis = edit.attribute_axis(torch.cat(sides), has)
    attribute = Attribute(with_folder.expanduser().resolve().name)
    return _sum(opened, [attribute], [axis], [(len(sides[1]), len(sides[0]))], names)


def _choose(has: np.ndarray, most: int) -> np.ndarray:
    """Return the positions, in order, of all images or of at most `most`, half of them with the attribute."""
    if most < 2:
        raise UsageError(f"--axis-images {most}: an axis needs an image with the attribute and one without")
    if len(has) <= most:
        return np.arange(len(has))
    return np.sort(np.concatenate([_drawn(np.flatnonzero(side), most // 2) for side in (has, ~has)]))


def _drawn(items: np.ndarray, most: int) -> np.ndarray:
    if len(items) <= most:
        return items
    return np.sort(np.random.default_rng(AXIS_SEED).permutation(items)[:most])


def _z_tilde_of(opened: OpenTranslator, dataset: Dataset, items: np.ndarray, report: Reporter) -> Tensor:
    """Encode items, or find their latents, and translate them: float64 (M, N)."""
    found = encode_items(opened.network, dataset, items, device=opened.device, report=report)
    return opened.transform(torch.from_numpy(np.array(found.mean)), report).double()


def _sum(
    opened: OpenTranslator,
    attributes: Sequence[Attribute],
    axes: Sequence[Tensor],
    counts: Sequence[tuple[int, int]],
    names: Sequence[str],
) -> Axis:
    """Add the axes (N,) by their weights, in the factors `names` only."""
    nothing = torch.zeros(1, opened.factors.dim, dtype=torch.float64)
    moving = [edit.swap(nothing, axis[None], opened.factors, names)[0] for axis in axes]
    parts = tuple(
        AxisPart(attribute.name, attribute.weight, *count, axis.norm().item())
        for attribute, count, axis in zip(attributes, counts, moving, strict=True)
    )
    total = sum(attribute.weight * axis for attribute, axis in zip(attributes, moving, strict=True))
    return Axis(total.float(), parts)
