"""Explain an image without a decoder: what a changed factor does to the prediction, and which real images look so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from ...editing.real_edits import Reality, reality_of
from ...figures.explanations import Look, Neighbour
from ...interpretation.answers import Classes, Images
from ...interpretation.performance import Performance, measure_performance
from ...interpretation.reading import Inputs, Reading
from ...metrics.bootstrap import FEW_ITEMS, Resampling
from ...progress import Reporter, Silent
from ...translator.factors import RESIDUAL
from .edits import Edits
from .intervals import bounded_mean
from .library import Found, Library, Near
from .results import Agreement, Edit, ExplainResult, Explanation, FactorEffect

__all__ = ["explain_images"]

# Edits of each factor that the figure shows; the table and the JSON hold all.
SHOWN = 2
# Of the images that are searched: how many the network's performance is measured on, and how many are really edited.
MEASURED, REALLY_EDITED = 2000, 64


def explain_images(
    library: Library,
    inputs: Inputs,
    edits: Edits,
    top: int = 5,
    report: Reporter | None = None,
    save: Callable[[ExplainResult], None] | None = None,
    really_edited: int = REALLY_EDITED,
) -> ExplainResult:
    """Change each factor of each image several times, and see what is predicted and which real images are nearest.

    Args:
        library: the real images; the image itself never counts.
        edits: how factors are changed; the intervals are over them.
        top: classes whose probability is reported: that predicted, and those that change most.
        save: called with the result so far after every image.
        really_edited: how many of the real images are edited in each factor's concept, where that is possible.
    """
    report, network = report or Silent(), library.network
    kind = {Classes: _ClassExplainer, Images: _ImageExplainer}.get(type(network.answer), _Explainer)
    explainer = kind(library, edits, top, report)
    result = ExplainResult(
        out="",
        mode=edits.mode,
        factors=edits.factors,
        sources=len(edits),
        k=library.k,
        space=library.space,
        searched=len(library),
        searchable=library.searchable,
        seed=library.seed,
        translator=library.opened.called,
        data=library.dataset.name,
        performance=_performance(library, report),
        reality=_reality(library, edits.factors, really_edited, report),
    )
    if kind is _ClassExplainer and len(edits) < FEW_ITEMS:
        report.note(f"intervals over {len(edits)} edits of each factor are rough")
    for pixels, z, name in zip(inputs.pixels, inputs.latents(network).split(1), inputs.names, strict=True):
        found, looks = explainer.explain(pixels, z, name)
        result = replace(result, images=(*result.images, found), looks=(*result.looks, looks))
        if save is not None:
            save(result)
    return result


def _performance(library: Library, report: Reporter) -> Performance:
    """Measure how well the network does on some of the images that are searched."""
    some, z = _some(library, MEASURED)
    return measure_performance(library.network, library.dataset, library.items[some], z, library.seed, report)


def _reality(library: Library, factors: Sequence[str], count: int, report: Reporter) -> dict[str, Reality]:
    """Measure what really editing each factor's concept does, on `count` of the images that are searched."""
    if not count or not library.network.backbone.has_head:
        return {}
    some, z = _some(library, count)
    opened = library.opened
    reading = Reading(opened, library.network, library.dataset, library.items[some], z, opened.transform(z))
    names = [name for name in factors if name != RESIDUAL]
    return {name: reality_of(reading, name, report, seed=library.seed) for name in names}


def _some(library: Library, count: int) -> tuple[np.ndarray, Tensor]:
    """Draw rows of the library, and return them with their latents."""
    some = np.sort(np.random.default_rng(library.seed).permutation(len(library))[:count])
    return some, torch.from_numpy(np.asarray(library.z[some]))


@dataclass(frozen=True)
class _Near:
    """The images nearest to an image and to the edits of each factor."""

    itself: Found
    edits: dict[str, Found]


@dataclass(frozen=True)
class _Shown:
    """What the figure shows: latents (E, N) and the numbers of the nearest images (E, k)."""

    z: Tensor
    numbers: Tensor


@dataclass(frozen=True)
class _Explainer:
    """What is the same for all images of a call; an encoder alone shows the nearest images and no answer."""

    library: Library
    edits: Edits
    top: int
    report: Reporter

    def tell(self, explanation: Explanation, z: Tensor, latents: Mapping[str, Tensor], found: _Near) -> Explanation:
        """Add what the network says of z (1, N), of the edits of each factor (E, N), and of the images `found`."""
        return explanation

    def draw(self, z: Tensor) -> np.ndarray | None:
        """Decode z (B, N) to uint8 (B, S, S, 3), if the network draws."""
        return None

    def explain(self, pixels: np.ndarray, z: Tensor, name: str) -> tuple[Explanation, Callable[[], list[Look]]]:
        """Explain an image uint8 (S, S, 3) with latents z (1, N); returns also what makes the rows of its figure."""
        library, opened, edits = self.library, self.library.opened, self.edits
        z_tilde = opened.transform(z)
        latents = {factor: opened.inverse_transform(edits.change(z_tilde, factor)) for factor in edits.factors}
        itself, *near = library.nearest(torch.cat((z, *latents.values())), z).split([1, *[len(edits)] * len(latents)])
        found = _Near(itself, dict(zip(latents, near, strict=True)))
        effects = {
            factor: FactorEffect(
                tuple(map(Edit, edits.sources, library.describe(own))),
                library.label_shares(own.numbers, factor),
                library.naming.column_for(factor),
            )
            for factor, own in found.edits.items()
        }
        explanation = Explanation(name, library.describe(itself)[0], None, None, effects)
        explanation = self.tell(explanation, z, latents, found)
        # Copies: a view would keep all edits of all images in memory.
        shown = {
            factor: _Shown(latents[factor][:SHOWN].clone(), own.numbers[:SHOWN].clone())
            for factor, own in found.edits.items()
        }
        return explanation, partial(self._looks, pixels, explanation, _Shown(z, itself.numbers), shown)

    def _looks(
        self, pixels: np.ndarray, explanation: Explanation, itself: _Shown, shown: Mapping[str, _Shown]
    ) -> list[Look]:
        """Return the rows of the figure: the image as it is, then the first edits of each factor."""
        near = self._neighbours(itself.numbers[0], explanation.nearest)
        looks = [Look("as it is", pixels, self.draw(itself.z), near, says=explanation.says)]
        for factor, own in shown.items():
            drawn, effect = self.draw(own.z), explanation.factors[factor]
            delta = None if effect.delta is None else {name: each.as_dict() for name, each in effect.delta.items()}
            for row, edit in enumerate(effect.edits[:SHOWN]):
                source = None if self.edits.pictures is None else self.edits.pictures[row]
                decoded = None if drawn is None else drawn[row : row + 1]
                near = self._neighbours(own.numbers[row], edit.nearest)
                says = edit.source_predicted or (self.edits.captions[row] if self.edits.captions else None)
                looks.append(Look(factor, source, decoded, near, delta, edit.says, says))
        return looks

    def _neighbours(self, numbers: Tensor, near: Sequence[Near]) -> list[Neighbour]:
        """Return images (k,) as the figure shows them; what the network says stands for a label that is missing."""
        pictures = self.library.pictures(numbers)
        return [
            Neighbour(pixels, one.label if one.label is not None else f"says {one.predicted}" if one.predicted else "")
            for pixels, one in zip(pictures, near, strict=True)
        ]


class _ImageExplainer(_Explainer):
    """The same for a network that draws."""

    def draw(self, z: Tensor) -> np.ndarray:
        """Decode z (B, N)."""
        return self.library.network.draw(z)


class _ClassExplainer(_Explainer):
    """The same for a classifier."""

    def tell(self, explanation: Explanation, z: Tensor, latents: Mapping[str, Tensor], found: _Near) -> Explanation:
        """Add the classes, how the edits of each factor change them, and whether the nearest images have them too."""
        names = self.library.network.classes
        before, *parts = self._probabilities(z, latents)
        after = dict(zip(latents, parts, strict=True))
        shown = self._most_moved(before[0], [part - before for part in parts])
        effects = {
            factor: self._effect(explanation.factors[factor], before[0], part, shown, found.edits[factor])
            for factor, part in after.items()
        }
        return replace(
            explanation,
            predicted=names[int(before.argmax())],
            probabilities={names[index]: float(before[0, index]) for index in shown},
            factors=effects,
            agreement=Agreement.of(before.argmax(1), found.itself),
        )

    def _probabilities(self, z: Tensor, latents: Mapping[str, Tensor]) -> list[np.ndarray]:
        """Return the probabilities (…, C) of the image and of the edits of each factor."""
        joint = torch.cat((z, *latents.values()))
        found = self.library.network.answers(joint, self.report).exp().double().numpy()
        return np.split(found, 1 + len(self.edits) * np.arange(len(latents)))

    def _effect(
        self, effect: FactorEffect, before: np.ndarray, after: np.ndarray, shown: Sequence[int], near: Found
    ) -> FactorEffect:
        """Add what edits that change the probabilities `before` (C,) to `after` (E, C) do."""
        names, resampling, predicted = self.library.network.classes, Resampling(seed=self.library.seed), after.argmax(1)
        sources = self._sources or [None] * len(predicted)
        edits = tuple(
            replace(edit, predicted=names[index], probability=float(row[index]), source_predicted=source)
            for edit, index, row, source in zip(effect.edits, predicted.tolist(), after, sources, strict=True)
        )
        return replace(
            effect,
            edits=edits,
            agreement=Agreement.of(predicted, near),
            changed=bounded_mean(predicted != before.argmax(), 0.0, 1.0, resampling),
            delta={
                names[index]: bounded_mean(
                    after[:, index] - before[index], -float(before[index]), 1 - float(before[index]), resampling
                )
                for index in shown
            },
        )

    @cached_property
    def _sources(self) -> list[str] | None:
        """What the network says of the images that factors are taken from; None for walks."""
        if self.edits.z is None:
            return None
        names = self.library.network.classes
        return [names[index] for index in self.library.network.answers(self.edits.z).argmax(1).tolist()]

    def _most_moved(self, before: np.ndarray, deltas: list[np.ndarray]) -> list[int]:
        """Choose the predicted class and those whose probability changes most, the same for all factors."""
        most = np.max([np.abs(delta.mean(0)) for delta in deltas], axis=0)
        most[before.argmax()] = np.inf
        return np.argsort(-most, kind="stable")[: self.top].tolist()
