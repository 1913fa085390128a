"""The edits of an explanation: each factor of an image changed many times, what is predicted then, what is nearest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ...editing.walk_paths import walk_noise
from ...figures.explanations import Look
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.reading import Inputs
from ...metrics.bootstrap import FEW_ITEMS, mean_interval
from ...metrics.neighbours import nearest_rows
from ...progress import Reporter
from ...translator import edit
from .library import Library, Space

__all__ = ["ExplainMode", "Explainer", "Wishes"]

ExplainMode = Literal["swap", "walk"]
# Edits of each factor that the figure shows; the table and the JSON are of all.
SHOWN = 2


@dataclass(frozen=True)
class Wishes:
    """What the user asked for."""

    mode: ExplainMode
    factors: tuple[str, ...]
    k: int
    space: Space
    top: int
    seed: int
    steps: int
    gamma: float
    walk_sigma: float | None


class Explainer:
    """Everything that is the same for all images of a call."""

    def __init__(
        self,
        opened: OpenTranslator,
        wishes: Wishes,
        library: Library,
        sources: Inputs,
        count: int,
        report: Reporter,
    ) -> None:
        self.opened, self.wishes, self.library, self.sources, self.report = opened, wishes, library, sources, report
        self.classes = opened.backbone.classes
        if wishes.mode == "swap":
            self.count = len(sources)
            self.from_sources = opened.transform(opened.network.encode_pixels(sources.pixels))
        else:
            self.count = count
            self.kicks = walk_noise(range(wishes.seed, wishes.seed + count), wishes.steps, opened.translator.dim)
        if self.count < FEW_ITEMS and self.classes is not None:
            report.note(f"intervals over {self.count} edits of each factor are rough")

    def explain(self, pixels: np.ndarray, name: str) -> tuple[dict[str, Any], list[Look]]:
        """Explain an image uint8 (S, S, 3): JSON values, and the rows of its figure."""
        z = self.opened.network.encode_pixels(pixels[None])
        z_tilde = self.opened.transform(z)
        itself = self.library.same_as(z)
        edits = {factor: self._edited(z_tilde, factor) for factor in self.wishes.factors}
        latents = {factor: self.opened.inverse_transform(edited) for factor, edited in edits.items()}
        near = self._near(z, z_tilde, itself)
        found: dict[str, Any] = {"image": name, "nearest": self.library.describe(*near)[0]}
        looks = [Look("as it is", pixels, self._drawn(z), self.library.looks(near[0][0]))]
        parts = self._predicted(z, latents)
        if parts:
            found |= parts.pop("")
        found["factors"] = {}
        for factor, edited in edits.items():
            near = self._near(latents[factor], edited, itself)
            found["factors"][factor] = self._part(factor, near, parts.get(factor, {}))
            looks += self._looks(factor, latents[factor], near[0], found["factors"][factor])
        return found, looks

    def _edited(self, z_tilde: Tensor, factor: str) -> Tensor:
        """Return z̃ (edits, N) with one factor changed."""
        start = z_tilde.expand(self.count, -1)
        if self.wishes.mode == "swap":
            return edit.swap(start, self.from_sources, self.opened.factors, [factor])
        wishes = self.wishes
        walk = edit.OUWalk(start, self.opened.factors, [factor], self.kicks, wishes.gamma, wishes.walk_sigma)
        return walk[-1]

    def _near(self, z: Tensor, z_tilde: Tensor, itself: Tensor) -> tuple[Tensor, Tensor]:
        queries = z if self.wishes.space == "z" else z_tilde
        return nearest_rows(queries, self.library.rows, self.wishes.k, itself)

    def _predicted(self, z: Tensor, latents: dict[str, Tensor]) -> dict[str, dict[str, Any]]:
        """Say what a classifier makes of the image (key "") and of the edits of each factor; nothing otherwise."""
        if self.classes is None:
            return {}
        joint = torch.cat((z, *latents.values()))
        probabilities = self.opened.network.answers(joint, self.report).exp().double().numpy()
        before, after = probabilities[0], np.split(probabilities[1:], len(latents))
        shown = self._shown_classes(before, [part - before for part in after])
        own = {"predicted": self.classes[int(before.argmax())], "probabilities": self._named(before, shown)}
        parts: dict[str, dict[str, Any]] = {"": own}
        for factor, part in zip(latents, after, strict=True):
            changed = (part.argmax(1) != before.argmax()).astype(np.float64)
            parts[factor] = {
                "changed": mean_interval(changed).as_dict(),
                "delta": {
                    self.classes[index]: mean_interval(part[:, index] - before[index]).as_dict() for index in shown
                },
                "predicted": [self.classes[int(index)] for index in part.argmax(1)],
            }
        return parts

    def _shown_classes(self, before: np.ndarray, deltas: list[np.ndarray]) -> list[int]:
        """Choose the predicted class and those whose probability changes most, for all factors alike."""
        most = np.max([np.abs(delta.mean(0)) for delta in deltas], axis=0)
        most[before.argmax()] = np.inf
        return np.argsort(-most, kind="stable")[: self.wishes.top].tolist()

    def _named(self, values: np.ndarray, shown: list[int]) -> dict[str, float]:
        return {self.classes[index]: float(values[index]) for index in shown}

    def _part(self, factor: str, near: tuple[Tensor, Tensor], predicted: dict[str, Any]) -> dict[str, Any]:
        classes = predicted.pop("predicted", None)
        described = self.library.describe(*near)
        edits = [
            {"source": self._source(row), "nearest": rows} | ({"predicted": classes[row]} if classes else {})
            for row, rows in enumerate(described)
        ]
        return {"edits": edits, "nearest_labels": self.library.label_shares(near[0]), **predicted}

    def _looks(self, factor: str, z: Tensor, near: Tensor, part: dict[str, Any]) -> list[Look]:
        drawn = self._drawn(z[:SHOWN])
        return [
            Look(
                factor,
                self.sources.pixels[row] if self.wishes.mode == "swap" else None,
                None if drawn is None else drawn[row : row + 1],
                self.library.looks(near[row]),
                part.get("delta"),
                part["edits"][row].get("predicted"),
            )
            for row in range(min(SHOWN, self.count))
        ]

    def _drawn(self, z: Tensor) -> np.ndarray | None:
        """Decode z (B, N) where the backbone can, uint8 (B, S, S, 3)."""
        return self.opened.network.draw(z) if self.classes is None else None

    def _source(self, row: int) -> str:
        return self.sources.names[row] if self.wishes.mode == "swap" else f"walk {row}"
