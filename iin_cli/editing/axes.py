"""Attribute axes (Eq 14): mean z̃ of images without an attribute minus that of images with it, by label or folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..data.folder import open_folder
from ..errors import DataError, UsageError
from ..interpretation.reading import ChosenData, read_items
from ..translator import edit
from ..translator.factors import Factors
from .attributes import Attribute, has_attribute

__all__ = ["AXIS_IMAGES", "Axis", "AxisPart", "FolderAxis", "LabelAxis"]

# More images hardly move the mean: with 5,000 on either side by 0.02 of a dimension's deviation.
AXIS_IMAGES = 10_000
# Not the user's seed: walks from other images have the same axis, and its latents are found in the cache.
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


@dataclass(frozen=True)
class LabelAxis:
    """An axis between training images with and without attributes, by the data's labels.

    Attributes:
        attributes: at least one.
        most: images averaged for each attribute; if there are more, at most half as many of either side are drawn.
    """

    attributes: tuple[Attribute, ...]
    most: int = AXIS_IMAGES

    def of(self, data: ChosenData, names: Sequence[str]) -> Axis:
        """Average the training images; only the factors `names` move.

        Raises DataError as `has_attribute` does, before anything is encoded.
        """
        indices = np.asarray(data.dataset.splits["train"])
        having = [has_attribute(data.dataset, attribute.name, indices) for attribute in self.attributes]
        chosen = [_choose(has, self.most) for has in having]
        # One list of items for all attributes: every image is encoded once.
        rows = np.unique(np.concatenate(chosen))
        z_tilde = read_items(data.opened, data.dataset, indices[rows], data.report).z_tilde.double()
        averaged = [
            _Averaged(attribute, z_tilde[np.searchsorted(rows, own)], has[own])
            for attribute, has, own in zip(self.attributes, having, chosen, strict=True)
        ]
        return _sum(averaged, data.opened.factors, names)


@dataclass(frozen=True)
class FolderAxis:
    """An axis between the images of a folder with an attribute and those of a folder without it.

    Attributes:
        most: images averaged, at most half of them from either folder.
    """

    # Named by folders, not by labels.
    attributes: ClassVar[tuple[Attribute, ...]] = ()

    with_folder: Path
    without_folder: Path
    most: int = AXIS_IMAGES

    def of(self, data: ChosenData, names: Sequence[str]) -> Axis:
        """Average the images of both folders; only the factors `names` move.

        Raises DataError naming the option when a folder is missing or has no images.
        """
        sides = []
        for option, folder in (("--without", self.without_folder), ("--with", self.with_folder)):
            try:
                dataset = open_folder(folder, data.report)
            except DataError as error:
                raise DataError(f"{option}: {error}") from error
            items = _drawn(np.arange(len(dataset.sources)), self.most // 2)
            sides.append(read_items(data.opened, dataset, items, data.report).z_tilde.double())
        has = np.arange(sum(map(len, sides))) >= len(sides[0])
        attribute = Attribute(self.with_folder.expanduser().resolve().name)
        return _sum([_Averaged(attribute, torch.cat(sides), has)], data.opened.factors, names)


@dataclass(frozen=True)
class _Averaged:
    """The images averaged for one attribute: z̃ (M, N) in float64, and which have it, bool (M,)."""

    attribute: Attribute
    z_tilde: Tensor
    has: np.ndarray


def _sum(averaged: Sequence[_Averaged], factors: Factors, names: Sequence[str]) -> Axis:
    """Add the axes of all attributes by their weights, in the factors `names` only."""
    vector, parts = torch.zeros(factors.dim, dtype=torch.float64), []
    for each in averaged:
        axis = edit.attribute_axis(each.z_tilde, torch.from_numpy(each.has))
        moving = edit.swap(torch.zeros_like(axis)[None], axis[None], factors, names)[0]
        vector += each.attribute.weight * moving
        counts = int(each.has.sum()), int((~each.has).sum())
        parts.append(AxisPart(each.attribute.name, each.attribute.weight, *counts, moving.norm().item()))
    return Axis(vector.float(), tuple(parts))


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
