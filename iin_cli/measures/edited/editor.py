"""Follow a recipe: change factors of z̃, T⁻¹, answer; what `iin edit`, Python and the explorer have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...distributed import noise
from ...editing.recipe import Change, Recipe
from ...interpretation.answers import Classes, Images
from ...interpretation.open_translator import OpenTranslator
from ...translator import edit
from ..counterfactuals.reals import nll_of
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
    """

    opened: OpenTranslator
    surroundings: Surroundings

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
        for along in recipe.attributes:
            if along.amount:
                edited = edit.attribute_walk(edited, self.surroundings.axis(along.name), (0.0, along.amount))[1]
        return edited

    def edit(
        self,
        start: Start,
        recipe: Recipe,
        sources: Mapping[str, Tensor],
        *,
        draw: Callable[[Tensor], object] | None = None,
        before: bool = True,
        go_on: Callable[[], None] = _go_on,
    ) -> list[EditResult]:
        """Follow `recipe` from each of the B images, and let the network answer.

        Args:
            sources: name -> z̃ (N,) of each image that is swapped from.
            draw: decodes z (B, N) to uint8 (B, S, S, 3) instead of the network's own `draw`.
            before: whether what the network draws of the images themselves is wanted too.
            go_on: called between the steps; what it raises ends the work.
        """
        network, count = self.opened.network, len(start.names)
        answer = None if network is None else network.answer
        z_tilde = self.change(start.z_tilde, recipe, sources)
        go_on()
        by_chance = self._by_chance(start.z_tilde, z_tilde) if isinstance(answer, Classes) else z_tilde[:0]
        z, chance = self.opened.inverse_transform(torch.cat((z_tilde, by_chance))).split([count, len(by_chance)])
        go_on()
        results = self._placed(start, recipe, z, z_tilde)
        go_on()
        if network is None:
            return results
        if isinstance(answer, Images):
            drawn = (draw or network.draw)(torch.cat((z, start.z)) if before else z)
            return [
                replace(result, picture=drawn[row], before=drawn[count + row] if before else None)
                for row, result in enumerate(results)
            ]
        if isinstance(answer, Classes):
            said = network.answers(torch.cat((start.z, z, chance))).exp()
            results = _told(results, answer, *said.split([count, count, len(chance)]))
            go_on()
        return self._beside(results, start, z, go_on)

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

    def _placed(self, start: Start, recipe: Recipe, z: Tensor, z_tilde: Tensor) -> list[EditResult]:
        """Return the edits with their places on the factors' pads, and how likely they are."""
        factors, nats = self.opened.factors, nll_of(self.opened, z)
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


def _told(
    results: list[EditResult], answer: Classes, before: Tensor, after: Tensor, chance: Tensor
) -> list[EditResult]:
    """Add what a classifier says: probabilities (B, C) of the images, of the edits, and of random steps (B · S, C)."""
    chance = chance.view(len(before), -1, before.shape[1])
    low, high = chance.amin(1), chance.amax(1)
    told: list[EditResult] = []
    for row, result in enumerate(results):
        order = (after[row] - before[row]).abs().argsort(descending=True, stable=True).tolist()
        answers = tuple(
            AnswerChange(answer.names[c], *(float(each[row, c]) for each in (before, after, low, high))) for c in order
        )
        names = Predicted(*(answer.names[int(each[row].argmax())] for each in (before, after)))
        told.append(replace(result, predicted=names, answers=answers))
    return told
