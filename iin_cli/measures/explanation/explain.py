"""Explain an image without a decoder: what a changed factor does to the prediction, and which real images look so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ...figures.explanations import Look
from ...interpretation.answers import Classes, Images
from ...interpretation.performance import measure_performance
from ...interpretation.reading import Inputs
from ...metrics.bootstrap import FEW_ITEMS, Interval, Resampling, mean_interval
from ...progress import Reporter, Silent
from .edits import Edits
from .library import Library
from .results import Edit, ExplainResult, Explanation, FactorEffect

__all__ = ["explain_images"]

# Edits of each factor that the figure shows; the table and the JSON hold all.
SHOWN = 2


def explain_images(
    library: Library,
    inputs: Inputs,
    edits: Edits,
    top: int = 5,
    report: Reporter | None = None,
    save: Callable[[ExplainResult], None] | None = None,
) -> ExplainResult:
    """Change each factor of each image several times, and see what is predicted and which real images are nearest.

    Args:
        library: the real images; the image itself never counts.
        edits: how factors are changed; the intervals are over them.
        top: classes whose probability is reported: that predicted, and those that change most.
        save: called with the result so far after every image.
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
        performance=measure_performance(network, library.dataset, library.items, library.z, library.seed, report),
    )
    if kind is _ClassExplainer and len(edits) < FEW_ITEMS:
        report.note(f"intervals over {len(edits)} edits of each factor are rough")
    for pixels, z, name in zip(inputs.pixels, inputs.latents(network).split(1), inputs.names, strict=True):
        found, looks = explainer.explain(pixels, z, name)
        result = replace(result, images=(*result.images, found), looks=(*result.looks, looks))
        if save is not None:
            save(result)
    return result


@dataclass(frozen=True)
class _Told:
    """What a classifier says of an image and, factor by factor, of its edits; empty for a network that draws."""

    predicted: str | None = None
    probabilities: dict[str, float] | None = None
    changed: dict[str, Interval] = field(default_factory=dict)
    delta: dict[str, dict[str, Interval]] = field(default_factory=dict)
    classes: dict[str, list[str]] = field(default_factory=dict)


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

    def tell(self, z: Tensor, latents: Mapping[str, Tensor]) -> _Told:
        """Compare the predictions for z (1, N) and for the edits of each factor (E, N)."""
        return _Told()

    def draw(self, z: Tensor) -> np.ndarray | None:
        """Decode z (B, N) to uint8 (B, S, S, 3), if the network draws."""
        return None

    def explain(self, pixels: np.ndarray, z: Tensor, name: str) -> tuple[Explanation, Callable[[], list[Look]]]:
        """Explain an image uint8 (S, S, 3) with latents z (1, N); returns also what makes the rows of its figure."""
        library, opened, edits = self.library, self.library.opened, self.edits
        z_tilde, itself = opened.transform(z), library.same_as(z)
        edited = {factor: edits.change(z_tilde, factor) for factor in edits.factors}
        latents = {factor: opened.inverse_transform(rows) for factor, rows in edited.items()}
        numbers, distances = library.nearest(z, z_tilde, itself)
        told, effects, shown = self.tell(z, latents), {}, {}
        for factor in edits.factors:
            near, far = library.nearest(latents[factor], edited[factor], itself)
            classes = told.classes.get(factor, [None] * len(edits))
            found = tuple(map(Edit, edits.sources, library.describe(near, far), classes))
            shares, changed, delta = library.label_shares(near), told.changed.get(factor), told.delta.get(factor)
            effects[factor] = FactorEffect(found, shares, changed, delta)
            # Copies: a view would keep all edits of all images in memory.
            shown[factor] = _Shown(latents[factor][:SHOWN].clone(), near[:SHOWN].clone())
        nearest = library.describe(numbers, distances)[0]
        explanation = Explanation(name, nearest, told.predicted, told.probabilities, effects)
        return explanation, partial(self._looks, pixels, explanation, _Shown(z, numbers), shown)

    def _looks(
        self, pixels: np.ndarray, explanation: Explanation, itself: _Shown, shown: Mapping[str, _Shown]
    ) -> list[Look]:
        """Return the rows of the figure: the image as it is, then the first edits of each factor."""
        looks = [Look("as it is", pixels, self.draw(itself.z), self.library.pictures(itself.numbers[0]))]
        for factor, own in shown.items():
            drawn, effect = self.draw(own.z), explanation.factors[factor]
            delta = None if effect.delta is None else {name: each.as_dict() for name, each in effect.delta.items()}
            for row, edit in enumerate(effect.edits[:SHOWN]):
                source = None if self.edits.pictures is None else self.edits.pictures[row]
                decoded = None if drawn is None else drawn[row : row + 1]
                near = self.library.pictures(own.numbers[row])
                looks.append(Look(factor, source, decoded, near, delta, edit.predicted))
        return looks


class _ImageExplainer(_Explainer):
    """The same for a network that draws."""

    def draw(self, z: Tensor) -> np.ndarray:
        """Decode z (B, N)."""
        return self.library.network.draw(z)


class _ClassExplainer(_Explainer):
    """The same for a classifier."""

    def tell(self, z: Tensor, latents: Mapping[str, Tensor]) -> _Told:
        """Return the classes, and how the edits of each factor change them."""
        names, resampling = self.library.network.classes, Resampling(seed=self.library.seed)
        joint = torch.cat((z, *latents.values()))
        probabilities = self.library.network.answers(joint, self.report).exp().double().numpy()
        before, after = probabilities[0], dict(zip(latents, np.split(probabilities[1:], len(latents)), strict=True))
        shown = self._shown(before, [part - before for part in after.values()])
        predicted = {factor: part.argmax(1) for factor, part in after.items()}
        return _Told(
            names[int(before.argmax())],
            {names[index]: float(before[index]) for index in shown},
            {factor: mean_interval(part != before.argmax(), resampling) for factor, part in predicted.items()},
            {
                factor: {names[index]: mean_interval(part[:, index] - before[index], resampling) for index in shown}
                for factor, part in after.items()
            },
            {factor: [names[index] for index in part.tolist()] for factor, part in predicted.items()},
        )

    def _shown(self, before: np.ndarray, deltas: list[np.ndarray]) -> list[int]:
        """Choose the predicted class and those whose probability changes most, the same for all factors."""
        most = np.max([np.abs(delta.mean(0)) for delta in deltas], axis=0)
        most[before.argmax()] = np.inf
        return np.argsort(-most, kind="stable")[: self.top].tolist()
