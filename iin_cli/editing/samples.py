"""Samples in memory: z̃ ~ N(0, 1), z = T⁻¹(z̃), and what the network answers (Eq 13)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..distributed import noise
from ..errors import UsageError
from ..figures.grids import Sheet
from ..interpretation.answers import Classes, Images
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.pieces import in_pieces
from ..results import Result, Table
from .priors import TranslatorPrior

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Samples", "draw_samples"]


@dataclass(frozen=True, eq=False)
class Samples(Result):
    """What was drawn.

    Attributes:
        seeds: one sample each.
        truncation: standard deviation of z̃.
        z: latents (M, N).
        images: uint8 (M, S, S, 3) of a network that draws; else None.
        predicted: the classes that a classifier predicts; else None.
    """

    seeds: tuple[int, ...]
    truncation: float
    z: Tensor
    images: np.ndarray | None = None
    predicted: tuple[str, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return seeds, latents and predictions as JSON values; pictures are no JSON."""
        return {
            "seeds": list(self.seeds),
            "truncation": self.truncation,
            "z": self.z.tolist(),
            "predicted": None if self.predicted is None else list(self.predicted),
        }

    def tables(self) -> list[Table]:
        """Return how often each class is predicted."""
        if self.predicted is None:
            return []
        names, counts = np.unique(self.predicted, return_counts=True)
        return [
            (
                "predicted",
                [{"class": str(name), "samples": int(count)} for name, count in zip(names, counts, strict=True)],
            )
        ]

    def plot(self) -> Figure:
        """Show the pictures, as square a grid as their number allows. UsageError where the network draws none."""
        if self.images is None:
            raise UsageError("these samples have no pictures: the network does not draw; read predicted or z")
        columns = math.ceil(math.sqrt(len(self.images)))
        cells = np.full((math.ceil(len(self.images) / columns) * columns, *self.images.shape[1:]), 255, np.uint8)
        cells[: len(self.images)] = self.images
        return Sheet(cells.reshape(-1, columns, *self.images.shape[1:])).figure()


def draw_samples(opened: OpenTranslator, seeds: Sequence[int], truncation: float = 1.0) -> Samples:
    """Draw one latent for each seed; where the network can, also what it answers.

    Args:
        truncation: ψ in (0, 1], the standard deviation of z̃.

    A sample depends on its seed alone. Raises UsageError for no seed, and for a truncation outside its range.
    """
    if not len(seeds):
        raise UsageError("no seeds are given, so there is nothing to draw: give range(64)")
    if not 0 < truncation <= 1:
        raise UsageError(f"truncation {truncation:g}: give a number above 0 and at most 1")
    prior = TranslatorPrior(opened, truncation)
    pieces = in_pieces(
        len(seeds), lambda rows: noise(seeds[rows], prior.noise_dim), prior.draw, opened.device, is_concurrent=True
    )
    z, network, own = torch.cat(list(pieces)), opened.network, tuple(int(seed) for seed in seeds)
    if network is not None and isinstance(network.answer, Images):
        return Samples(own, truncation, z, images=network.draw(z))
    if network is not None and isinstance(network.answer, Classes):
        labels = network.answers(z).argmax(1).tolist()
        return Samples(own, truncation, z, predicted=tuple(network.classes[label] for label in labels))
    return Samples(own, truncation, z)
