"""Follow a recipe: change factors of z̃, T⁻¹, answer; what `iin edit`, Python and the explorer have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ...distributed import noise
from ...editing.recipe import Change, Recipe
from ...interpretation.answers import Classes, Images
from ...interpretation.open_translator import OpenTranslator
from ...translator import edit
from ...translator.likelihood import nll
from .heights import Heights
from .results import AnswerChange, EditResult, Likely, Predicted
from .surroundings import CONTROLS, Surroundings

__all__ = ["Editor", "Start"]


@dataclass(frozen=True, eq=False)
class Start:
    """Images to be edited: what to call them, latents z (B, N), and z̃ = T(z) (B, N)."""

    names: tuple[str, ...]
    z: Tensor
    z_tilde: Tensor

    @classmethod
    def of(cls, opened: OpenTranslator, names: Sequence[str], z: Tensor) -> Start:
        """Translate latents z (B, N)."""
        return cls(tuple(names), z, opened.transform(z))

    def rows(self, chosen: slice) -> Start:
        """Return some of the images."""
        return Start(self.names[chosen], self.z[chosen], self.z_tilde[chosen])


def _go_on() -> None:
    """Never stop."""


@dataclass(frozen=True, eq=False)
class Editor:
    """Follows recipes with one translator.

    Attributes:
        surroundings: the real images that edits are seen beside.
        heights: in how small pieces what is computed.
    """

    opened: OpenTranslator
    surroundings: Surroundings
    heights: Heights = field(default_factory=Heights)

    def change(self, start: Tensor, recipe: Recipe, sources: Mapping[str, Tensor]) -> Tensor:
        """Follow `recipe` from z̃ `start` (B, N); `sources` holds z̃ (N,) of every image it swaps from.

        Raises UsageError for an unknown factor, DataError for an unknown attribute.
        """
        recipe.require(self.opened.factors)
        edited = start.clone()
        for change in recipe.changes:
            where = self.opened.factors.slice(change.factor)
            if (new := self._source(change, sources)) is not None and change.strength:
                # Exact at strength 1: a whole swap has the very numbers of the source.
                edited[:, where] = edited[:, where].lerp(new[where].expand_as(edited[:, where]), change.strength)
            if change.moves:
                edited[:, where] += self.surroundings.pad(change.factor).step(change.move)
        own = edited
        for along in recipe.attributes:
            if along.amount:
                edited = edit.attribute_walk(edited, self.surroundings.axis(along.name), (0.0, along.amount))[1]
        return edit.swap(edited, own, self.opened.factors, recipe.locked) if recipe.locked else edited

    def edit(
        self,
        start: Start,
        recipe: Recipe,
        sources: Mapping[str, Tensor],
        go_on: Callable[[], None] = _go_on,
    ) -> list[EditResult]:
        """Follow `recipe` from each of the B images, and let the network answer.

        Args:
            sources: name -> z̃ (N,) of each image that is swapped from.
            go_on: called between the steps; what it raises ends the work.
        """
        network, count = self.opened.network, len(start.names)
        answer = None if network is None else network.answer
        z_tilde = self.change(start.z_tilde, recipe, sources)
        go_on()
        by_chance = self._by_chance(start.z_tilde, z_tilde) if isinstance(answer, Classes) else z_tilde[:0]
        rows, log_det = self._inverse_with_log_det(torch.cat((z_tilde, by_chance)))
        z, chance = rows.split([count, len(by_chance)])
        go_on()
        results = self._placed(start, recipe, z, z_tilde, nll(z_tilde, log_det[:count]))
        go_on()
        if network is None:
            return results
        if isinstance(answer, Images):
            drawn = self.draw(z)
            return [replace(result, picture=drawn[row]) for row, result in enumerate(results)]
        if isinstance(answer, Classes):
            before, said = self._said(start.z), self._said(torch.cat((z, chance)))
            results = _told(results, answer, before, *said.split([count, len(chance)]))
            go_on()
        return self._beside(results, start, z, go_on)

    def inverse(self, z_tilde: Tensor) -> Tensor:
        """T⁻¹ of z̃ (B, N)."""
        return self._inverse_with_log_det(z_tilde)[0]

    def _inverse_with_log_det(self, z_tilde: Tensor) -> tuple[Tensor, Tensor]:
        return self.opened.inverse_with_log_det(z_tilde, self.heights.of("inverse", len(z_tilde)))

    def draw(self, z: Tensor) -> np.ndarray:
        """Decode z (B, N) to uint8 (B, S, S, 3)."""
        return self.opened.require_network().draw(z, height=self.heights.of("decode", len(z)))

    def _said(self, z: Tensor) -> Tensor:
        """Return the probabilities (B, C) of the classes."""
        return self.opened.require_network().answers(z, height=self.heights.of("decode", len(z))).exp()

    def try_heights(self, start: Start) -> None:
        """Find how few rows can be computed at once, on images like those to come."""
        opened, tried = self.opened, self.heights.try_on
        tried("inverse", lambda rows, height: _flat(opened.inverse_with_log_det(rows, height)), start.z_tilde)
        if (network := opened.network) is not None and network.backbone.has_head:
            tried("decode", lambda rows, height: torch.cat(list(network.decoded(rows, height))), start.z)

    def _source(self, change: Change, sources: Mapping[str, Tensor]) -> Tensor | None:
        """Return z̃ (N,) of where the factor comes from; None where it stays."""
        if change.source is None:
            return None
        if isinstance(change.source, int):
            return noise([change.source], self.opened.factors.dim)[0]
        return sources[change.source]

    def _by_chance(self, start: Tensor, edited: Tensor) -> Tensor:
        """Return what steps of the same lengths in random subspaces make of `start` (B, N): (B · CONTROLS, N)."""
        found = start[:, None].repeat(1, CONTROLS, 1)
        for name in self.opened.factors.names:
            where = self.opened.factors.slice(name)
            far = (edited[:, where] - start[:, where]).norm(dim=1)
            if far.any():
                found = found + far[:, None, None] * self.surroundings.control(name)
        return found.flatten(0, 1)

    def _placed(self, start: Start, recipe: Recipe, z: Tensor, z_tilde: Tensor, nats: Tensor) -> list[EditResult]:
        """Return the edits with their places on the factors' pads; `nats` is −log p(z) (B,)."""
        factors = self.opened.factors
        places = {
            name: self.surroundings.pad(name).place(z_tilde[:, factors.slice(name)]).tolist() for name in factors.names
        }
        percents = self.surroundings.likelier_than(nats)
        return [
            EditResult(
                out="",
                image=name,
                recipe=recipe,
                translator=self.opened.called,
                factors={factor: (place[row][0], place[row][1]) for factor, place in places.items()},
                likely=Likely(float(nats[row]), percents[row]),
                z=z[row],
            )
            for row, name in enumerate(start.names)
        ]

    def _beside(
        self, results: list[EditResult], start: Start, z: Tensor, go_on: Callable[[], None]
    ) -> list[EditResult]:
        """Add the real images nearest to each edit, other than the image itself."""
        library = self.surroundings.library
        if library is None:
            return results
        found: list[EditResult] = []
        for row, result in enumerate(results):
            go_on()
            near = library.nearest(z[row : row + 1], start.z[row : row + 1])
            found.append(replace(result, nearest=library.describe(near)[0]))
        return found


def _flat(found: tuple[Tensor, Tensor]) -> Tensor:
    """Put rows (B, N) and what is known of each (B,) into one tensor, to be compared."""
    return torch.cat([each.flatten() for each in found])


def _told(
    results: list[EditResult], answer: Classes, before: Tensor, after: Tensor, chance: Tensor
) -> list[EditResult]:
    """Add what a classifier says: probabilities (B, C) of the images, of the edits, and of random steps (B · S, C)."""
    chance = chance.view(len(before), -1, before.shape[1])
    order = (after - before).abs().argsort(dim=1, descending=True, stable=True)
    columns = [each.gather(1, order).tolist() for each in (before, after, chance.amin(1), chance.amax(1))]
    told: list[EditResult] = []
    for row, result in enumerate(results):
        names = [answer.names[number] for number in order[row].tolist()]
        changes = map(AnswerChange, names, *(column[row] for column in columns))
        predicted = Predicted(*(answer.names[int(each[row].argmax())] for each in (before, after)))
        told.append(replace(result, predicted=predicted, answers=tuple(changes)))
    return told
