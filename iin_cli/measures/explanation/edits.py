"""How an explanation changes the factors of an image: by those of source images, or by random walks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
from torch import Tensor

from ...editing.walk_paths import walk_noise
from ...errors import DataError, UsageError, one_of
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.reading import ChosenData, Inputs
from ...translator.edit import OUWalk, swap

__all__ = ["EditChoice", "Edits", "ExplainMode"]

ExplainMode = Literal["swap", "walk"]


@dataclass(frozen=True)
class Edits:
    """Changes of one factor at a time.

    Attributes:
        mode: `swap` or `walk`.
        factors: those that are changed.
        sources: what to call the origin of each of E edits.
        change: z̃ (1, N) and a factor -> z̃ (E, N) with that factor changed.
        pictures: images of the sources, uint8 (E, S, S, 3); `z`: their latents (E, N); both None for walks.
        captions: what to write beside the sources; () for walks.
    """

    mode: ExplainMode
    factors: tuple[str, ...]
    sources: tuple[str, ...]
    change: Callable[[Tensor, str], Tensor]
    pictures: np.ndarray | None = None
    z: Tensor | None = None
    captions: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sources)

    @classmethod
    def of_sources(cls, opened: OpenTranslator, factors: Iterable[str], sources: Inputs) -> Self:
        """Take a factor from each of the `sources`."""
        z = sources.latents(opened.require_network())
        z_tilde = opened.transform(z)

        def change(start: Tensor, factor: str) -> Tensor:
            return swap(start.expand(len(sources), -1), z_tilde, opened.factors, [factor])

        return cls("swap", opened.choose_factors(factors), sources.names, change, sources.pixels, z, sources.captions)

    @classmethod
    def of_walks(cls, opened: OpenTranslator, factors: Iterable[str], walk: OUWalk, count: int, seed: int) -> Self:
        """Take a factor from the ends of `count` walks of Eq 17, of seeds from `seed` on."""
        kicks = walk_noise(range(seed, seed + count), walk.steps, opened.factors.dim)

        def change(start: Tensor, factor: str) -> Tensor:
            return replace(walk, factors=factor).path(start.expand(count, -1), opened.factors, kicks)[-1]

        return cls("walk", opened.choose_factors(factors), tuple(map("walk {}".format, range(count))), change)


@dataclass(frozen=True)
class EditChoice:
    """How the user wants factors to be changed.

    Attributes:
        mode: `swap` takes a factor from source images, `walk` from the ends of walks.
        factors: those to change, one at a time; all where none is named.
        count: source images drawn, or walks made.
        source: images to take factors from instead of drawn ones.
        walk: Eq 17.

    Raises UsageError for another mode, and for sources of a walk.
    """

    mode: ExplainMode = "swap"
    factors: tuple[str, ...] = ()
    count: int = 16
    source: tuple[Path, ...] = ()
    walk: OUWalk = field(default_factory=OUWalk)

    def __post_init__(self) -> None:
        one_of("--mode", self.mode, get_args(ExplainMode))
        if self.mode == "walk" and self.source:
            raise UsageError("--source is what a swap takes factors from; a walk has none, so leave it out")

    def open(self, data: ChosenData) -> Edits:
        """Return the edits; no drawn source is one of the first `n` images that the data's seed draws."""
        if self.mode == "walk":
            return Edits.of_walks(data.opened, self.factors, self.walk, self.count, data.choice.seed)
        sources = data.named(self.source) if self.source else self._drawn(data)
        return Edits.of_sources(data.opened, self.factors, sources)

    def _drawn(self, data: ChosenData) -> Inputs:
        name, split, first = data.dataset.name, data.choice.split, data.choice.n or 1
        there = len(data.split_items()) - first
        if there < 1:
            raise DataError(f"{name} has no other image in {split} to take a factor from: name one by --source")
        if there < self.count:
            data.report.warn(f"{name} has only {there} images in {split} to take factors from")
        return data.draw(min(self.count, there), skip=first)
