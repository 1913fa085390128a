"""What a sweep over the layers of a network found: as JSON, as tables, and as curves over depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..figures.layers import SizeCurves, plot_layers
from ..latents.dominance import Dominance
from ..results import Result, Table
from ..translator.dims import Estimator
from .cue_decisions import CueDecisions
from .evidence import Evidence, curve_of
from .layer_sizes import LayerSizes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RANDOM_WEIGHTS", "LayerFinding", "LayerSweep"]

# What `--null` calls the network that learned nothing.
RANDOM_WEIGHTS = "random-weights"


@dataclass(frozen=True)
class LayerFinding:
    """What was found at one layer.

    Attributes:
        width: of its latent.
        evidence: concept -> evidence.
        failed: concept -> why it could not be scored.
        dominance: the few items that make much of the variance, if there are any.
        sizes: of the factors, by the spectrum and by Eq 11.
    """

    width: int
    evidence: dict[str, Evidence]
    failed: dict[str, str]
    dominance: Dominance | None
    sizes: LayerSizes


@dataclass(frozen=True)
class LayerSweep(Result):
    """What was found at every layer.

    Attributes:
        network: the backbone's name; `backbone`: where it comes from.
        n: items per concept at most.
        concepts: their names.
        layers: what was found at each, in the order of computation.
        null: `random-weights` where the same architecture with random weights was swept, too.
        random: what was found in that; empty without it.
        decisions: which of two cues the network's answers follow, where two concepts are such cues.
        out: the folder or file written; None where nothing was.
    """

    network: str
    backbone: str
    data: str
    n: int
    seed: int
    estimator: Estimator
    concepts: tuple[str, ...]
    layers: dict[str, LayerFinding]
    null: str | None = None
    random: dict[str, LayerFinding] = field(default_factory=dict)
    decisions: CueDecisions | None = None
    out: str | None = None

    @property
    def widths(self) -> dict[str, int]:
        """Width of each layer's latent."""
        return {layer: found.width for layer, found in self.layers.items()}

    @property
    def evidence(self) -> dict[str, dict[str, Evidence]]:
        """Layer -> concept -> evidence."""
        return {layer: found.evidence for layer, found in self.layers.items()}

    @property
    def failed(self) -> dict[str, dict[str, str]]:
        """Layer -> concept -> why it could not be scored, of layers where there are such."""
        return {layer: found.failed for layer, found in self.layers.items() if found.failed}

    @property
    def dominance(self) -> dict[str, Dominance]:
        """Layer -> the few items that make much of the variance, of layers where there are such."""
        return {layer: found.dominance for layer, found in self.layers.items() if found.dominance is not None}

    def beyond_random(self, layer: str, concept: str) -> str | None:
        """Say whether a score is `more` or `less` than with random weights: their intervals do not meet; else `same`.

        None where either is not known.
        """
        trained = self.layers[layer].evidence.get(concept)
        untrained = self.random[layer].evidence.get(concept) if layer in self.random else None
        if trained is None or untrained is None:
            return None
        if trained.score.low > untrained.score.high:
            return "more"
        return "less" if trained.score.high < untrained.score.low else "same"

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "out": self.out,
            "backbone": self.backbone,
            "data": self.data,
            "n": self.n,
            "seed": self.seed,
            "estimator": self.estimator,
            "widths": self.widths,
            # As a list too: JSON objects have no order that a reader must keep.
            "layers": list(self.layers),
            "evidence": _evidence(self.layers),
            "sizes": _sizes(self.layers),
            "failed": self.failed,
            "dominance": {layer: found.as_dict() for layer, found in self.dominance.items()},
            "null": self.null,
            "random": {
                "evidence": _evidence(self.random),
                "sizes": _sizes(self.random),
                "failed": {layer: found.failed for layer, found in self.random.items() if found.failed},
                "beyond": {
                    layer: {name: self.beyond_random(layer, name) for name in self.concepts} for layer in self.random
                },
            }
            if self.null
            else None,
            "decisions": self.decisions and self.decisions.as_dict(),
        }

    def tables(self) -> list[Table]:
        """Return (title, rows): one row per layer and concept, and how answers are decided where that is known."""
        rows = [
            {
                "layer": layer,
                "width": at.width,
                "concept": name,
                "score": found.score.value,
                **found.as_row(),
                **self._of_random(layer, name),
                **_sized(at.sizes, name),
            }
            for layer, at in self.layers.items()
            for name, found in at.evidence.items()
        ]
        return [("layers", rows), *(self.decisions.tables() if self.decisions else [])]

    def plot(self) -> Figure:
        """Draw one line per concept over the layers: its score, beside it that of random weights, and its sizes."""
        title = f"{self.network} on {Path(self.data).name}: at most {self.n} items per concept"
        if self.decisions is not None and self.decisions.bias is not None:
            title += f"; {self.decisions.first} bias of the answers {self.decisions.bias:.2f}"
        return plot_layers(
            list(self.layers),
            self._curves(self.layers),
            title,
            random=self._curves({layer: self.random.get(layer) for layer in self.layers}) if self.random else {},
            sizes={name: self._size_curves(name) for name in self.concepts},
        )

    def _curves(self, layers: Mapping[str, LayerFinding | None]) -> dict[str, Any]:
        return {
            name: curve_of([found and found.evidence.get(name) for found in layers.values()]) for name in self.concepts
        }

    def _size_curves(self, name: str) -> SizeCurves:
        parts = [
            [np.nan if size is None else size / found.width for size in _sized(found.sizes, name).values()]
            for found in self.layers.values()
        ]
        return SizeCurves(*np.array(parts, np.float64).reshape(-1, 3).T)

    def _of_random(self, layer: str, name: str) -> dict[str, Any]:
        if not self.null:
            return {}
        found = self.random[layer].evidence.get(name) if layer in self.random else None
        interval = None if found is None else f"{found.score.low:.4f} … {found.score.high:.4f}"
        return {"random weights": interval, "beyond random": self.beyond_random(layer, name)}


def _sized(sizes: LayerSizes, name: str) -> dict[str, int | None]:
    """Return the sizes of one concept as columns of a table."""
    ways = {"spectrum": sizes.spectrum, "eq11 code": sizes.code, "eq11 paper": sizes.paper}
    return {way: None if found is None else found.get(name) for way, found in ways.items()}


def _evidence(layers: Mapping[str, LayerFinding]) -> dict[str, Any]:
    return {layer: {name: found.as_dict() for name, found in at.evidence.items()} for layer, at in layers.items()}


def _sizes(layers: Mapping[str, LayerFinding]) -> dict[str, Any]:
    return {layer: asdict(found.sizes) for layer, found in layers.items()}
