"""What a response analysis found: per factor, per class and per channel, each figure beside its control's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ...editing.real_edits import Reality
from ...figures.violins import Violins, plot_violins
from ...interpretation.answers import Answer, Change, Classes, Effect
from ...interpretation.performance import Performance
from ...metrics.bootstrap import Interval
from ...metrics.response import CHANNELS, Comparison, compare, mean_intervals, quantiles
from ...results import Result, Table, json_values
from ...sizing.cue_decisions import CueDecisions
from .verdict import Verdict, verdict_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "VERDICTS",
    "ClassReadout",
    "ClassResponse",
    "FactorResponse",
    "ImageReadout",
    "Readout",
    "RespondResult",
    "readout_of",
]

# Nobody looks at violins or rows of a table of more classes.
SHOWN_CLASSES = 10
VERDICTS = "what the answer owes to each factor"
PANELS = ("log p(class)", "change of log p(class)")
TITLES = {
    "flip_rate": "flip rate: points whose predicted class is not the start's",
    "kl": "KL(start ‖ point) in nats",
    "absolute_change": "absolute change of a pixel, in units of full brightness",
    "squared_change": "squared change of a pixel, in units of full brightness",
    "violation_rate": "violation rate: features below zero that never are in the data",
}


@dataclass(frozen=True)
class ClassResponse:
    """The log-probability of one class along the walks.

    Attributes:
        start, factor, control: its mean at the starts, along the factor's walks, along the control's.
        change: mean |log p − log p of the start|.
        quantiles: of the single points, `factor` and `control`: level -> log-probability.
    """

    start: Interval
    factor: Interval
    control: Interval
    change: Comparison
    quantiles: dict[str, dict[str, float]]


@dataclass(frozen=True)
class FactorResponse:
    """What the walks of one factor do.

    Attributes:
        overall: figure (`flip_rate` and `kl` of classes, `absolute_change` and `squared_change` of images, and
            `violation_rate`) -> comparison over all images.
        by_class: class -> what becomes of its log-probability, whatever the start.
        by_start_class: class predicted at the start -> `flip_rate` and `kl` of those images.
        by_channel: `red`, `green`, `blue` -> `absolute_change` and `squared_change`.
        reality: what really editing images of the concept does; None where it was not measured.
        effect: how an edit's effect on the answer is told.
        decided: fraction of images that are called by this concept, among those that show two cues that differ; None
            where the data has no two such cues.
        walked, control: single points for figures, samples and difference (P, K).
    """

    name: str
    dim: int
    overall: dict[str, Comparison]
    by_class: dict[str, ClassResponse] = field(default_factory=dict)
    by_start_class: dict[str, dict[str, Comparison]] = field(default_factory=dict)
    by_channel: dict[str, dict[str, Comparison]] = field(default_factory=dict)
    reality: Reality | None = None
    effect: Effect = Classes.effect
    decided: Interval | None = None
    walked: Change = field(repr=False, compare=False, kw_only=True)
    control: Change = field(repr=False, compare=False, kw_only=True)

    @property
    def main(self) -> Comparison:
        """The figure that the verdict is made of: flips, or the absolute change of the image."""
        return next(iter(self.overall.values()))

    @property
    def verdict(self) -> Verdict:
        """What the figures say together, in the words that every table, page and plot uses."""
        return verdict_of(self.main, self.reality, self.effect, self.decided)

    def row(self) -> dict[str, Any]:
        """Return the verdict as a row of a table."""
        found = self.reality.effect if self.reality is not None else None
        row: dict[str, Any] = {"factor": self.name, "dims": self.dim, "walk": f"{self.main.factor:.2g}"}
        row |= {"by chance": f"{self.main.control.value:.2g}"}
        row |= {"real edit": f"{found.edited:.2g}" if found is not None else "-"}
        share = found.share if found is not None else None
        row |= {"share reproduced": f"{share:.2g}" if share is not None else "-"}
        return row | {"verdict": str(self.verdict)}

    def as_dict(self) -> dict[str, Any]:
        """Return the response as JSON values."""
        parts = ("by_class", "by_start_class", "by_channel")
        found = {"name": self.name, "dim": self.dim, "verdict": self.verdict.as_dict()}
        found |= {"reality": self.reality.as_dict() if self.reality is not None else None}
        found |= {"decided": json_values(self.decided)}
        found |= {"overall": json_values(self.overall)}
        return found | {part: json_values(getattr(self, part)) for part in parts if getattr(self, part)}


@dataclass(frozen=True)
class RespondResult(Result):
    """The response to every factor.

    Attributes:
        out: the file or folder written; empty where nothing was.
        kind: `classes` or `images`, what the network answers with.
        images: start images; `items` are their numbers in the data.
        points: of an image's walks that the network answers.
        controls: random subspaces beside each factor.
        features: N; `never_negative`: how many of them are nowhere negative in the images read.
        failed: factor -> why its walks could not be measured.
        performance: how well the network does on the start images.
        decisions: which of two cues decides its answers, where the data has two of the same names (shape, texture).
        readout: how answers of this kind are tabulated and drawn.
    """

    out: str
    translator: str
    data: str
    kind: str
    images: int
    steps: int
    points: int
    walks: int
    gamma: float
    walk_sigma: float | None
    center: str
    controls: int
    seed: int
    features: int
    never_negative: int
    items: tuple[int, ...] = field(repr=False)
    factors: tuple[FactorResponse, ...]
    failed: dict[str, str]
    performance: Performance
    decisions: CueDecisions | None = None
    readout: Readout = field(repr=False, compare=False, kw_only=True)

    def tables(self) -> list[Table]:
        """Return how well the network does and the verdicts, then every overall figure, by start class or channel."""
        found: list[Table] = [self.performance.table()]
        found += self.decisions.tables() if self.decisions is not None else []
        if self.factors:
            found.append((VERDICTS, [each.row() for each in self.factors]))
        if kinds := [row for each in self.factors for row in _kinds(each)]:
            found.append(("real edits of each kind", kinds))
        shown = [key for key in TITLES if any(key in each.overall for each in self.factors)]
        found += [(TITLES[key], [_row(each, each.overall[key]) for each in self.factors]) for key in shown]
        if self.factors:
            found.append(self.readout.table(self.factors))
        if self.failed:
            found.append(("not measured", [{"factor": name, "why": why} for name, why in self.failed.items()]))
        return found

    def facts(self) -> dict[str, Any]:
        """Return the single values, the settings of the walks in a sentence."""
        told = ("steps", "walks", "gamma", "walk_sigma", "center", "controls", "features", "never_negative")
        found = super().facts()
        walked = {
            "walked": f"{self.walks} walk{'s' * (self.walks != 1)} of {self.steps - 1} random steps from each image, "
            f"γ = {self.gamma:g}",
            "compared with": f"{self.controls} random subspaces of each factor's size",
        }
        if self.never_negative:
            walked["never negative"] = f"{self.never_negative} of the {self.features} features, in the images read"
        settings = {name.replace("_", " ") for name in told}
        return {key: value for key, value in found.items() if key not in settings} | walked

    def plot(self) -> Figure:
        """Draw the distributions along the walks as violins, one row per factor (Fig 9)."""
        title = f"{self.images} images of {self.data}, {self.points} points each"
        return self.readout.plot(self.factors, title)


# Figure -> that of the factor's walks (M, K), and of its controls' (S, M, K).
_Both = Mapping[str, tuple[np.ndarray, np.ndarray]]


class Readout(ABC):
    """How answers of one kind are compared with their controls, tabulated and drawn."""

    def compare(self, name: str, dim: int, walked: Change, controls: Sequence[Change], seed: int) -> FactorResponse:
        """Compare the walks of factor `name`, of `dim` dimensions, with those of its controls."""
        both = {key: (own, np.stack([each.columns[key] for each in controls])) for key, own in walked.columns.items()}
        overall = {key: compare(*both[key], seed)[0] for key in TITLES if key in both}
        samples, difference = (
            np.concatenate([getattr(each, part) for each in controls]) for part in ("samples", "difference")
        )
        found = FactorResponse(name, dim, overall, walked=walked, control=Change({}, samples, difference))
        return self._detailed(found, both, seed)

    @abstractmethod
    def table(self, factors: Sequence[FactorResponse]) -> Table:
        """Return the main figure of all factors, class by class or channel by channel."""

    @abstractmethod
    def plot(self, factors: Sequence[FactorResponse], title: str) -> Figure:
        """Draw violins of single points, one row per factor."""

    @abstractmethod
    def _detailed(self, found: FactorResponse, both: _Both, seed: int) -> FactorResponse:
        """Add what is measured class by class or channel by channel."""


@dataclass(frozen=True)
class ImageReadout(Readout):
    """How much the pixels of drawn images change, channel by channel."""

    def table(self, factors: Sequence[FactorResponse]) -> Table:
        """Return the absolute change by channel."""
        rows = [
            {"channel": name} | {each.name: _beside(each.by_channel[name]["absolute_change"]) for each in factors}
            for name in factors[0].by_channel
        ]
        return "absolute change of a pixel by channel, beside the control's", rows

    def plot(self, factors: Sequence[FactorResponse], title: str) -> Figure:
        """Draw the absolute change of the whole image and of each channel."""
        rows = [[Violins(_title(each), each.walked.samples, each.control.samples)] for each in factors]
        return plot_violins(rows, CHANNELS, ("|change| of a pixel",), title)

    def _detailed(self, found: FactorResponse, both: _Both, seed: int) -> FactorResponse:
        channels = {key: compare(*both[key], seed) for key in ("absolute_change", "squared_change")}
        by_channel = {
            name: {key: each[index] for key, each in channels.items()} for index, name in enumerate(CHANNELS) if index
        }
        return replace(found, by_channel=by_channel)


@dataclass(frozen=True)
class ClassReadout(Readout):
    """How often predictions flip, and how the log-probability of each class changes.

    Attributes:
        names: of the classes.
        starts: log-probabilities at the starts (M, C).
    """

    names: tuple[str, ...]
    starts: np.ndarray

    def table(self, factors: Sequence[FactorResponse]) -> Table:
        """Return the flip rate by the class predicted at the start, for the most frequent of these classes."""
        counts = {name: each["flip_rate"].factor.items for name, each in factors[0].by_start_class.items()}
        frequent = sorted(counts, key=lambda name: -counts[name])[:SHOWN_CLASSES]
        rows = [
            {"start class": name, "images": counts[name]}
            | {each.name: _beside(each.by_start_class[name]["flip_rate"]) for each in factors}
            for name in counts
            if name in frequent
        ]
        return "flip rate by the class predicted at the start, beside the control's", rows

    def plot(self, factors: Sequence[FactorResponse], title: str) -> Figure:
        """Draw log-probabilities, and their changes, of the classes most probable at the starts."""
        mean = np.exp(self.starts.astype(np.float64)).mean(0)
        chosen = sorted(np.argsort(-mean, kind="stable")[:SHOWN_CLASSES].tolist())
        rows = [
            [
                Violins(
                    _title(each),
                    each.walked.samples[:, chosen],
                    each.control.samples[:, chosen],
                    self.starts[:, chosen],
                ),
                Violins("", each.walked.difference[:, chosen], each.control.difference[:, chosen]),
            ]
            for each in factors
        ]
        return plot_violins(rows, [self.names[index] for index in chosen], PANELS, title)

    def _detailed(self, found: FactorResponse, both: _Both, seed: int) -> FactorResponse:
        of_factor, of_control = both["log_probability"]
        spread = (
            {"factor": factor, "control": control}
            for factor, control in zip(quantiles(found.walked.samples), quantiles(found.control.samples), strict=True)
        )
        parts = (
            mean_intervals(self.starts.astype(np.float64), seed),
            mean_intervals(of_factor, seed),
            mean_intervals(of_control.mean(0), seed),
            compare(*both["change"], seed),
            spread,
        )
        by_class = {name: ClassResponse(*each) for name, *each in zip(self.names, *parts, strict=True)}
        return replace(found, by_class=by_class, by_start_class=self._by_start_class(both, seed))

    def _by_start_class(self, both: _Both, seed: int) -> dict[str, dict[str, Comparison]]:
        predicted, found = self.starts.argmax(1), {}
        for index in np.unique(predicted).tolist():
            of_class = predicted == index
            found[self.names[index]] = {
                key: compare(both[key][0][of_class], both[key][1][:, of_class], seed)[0] for key in ("flip_rate", "kl")
            }
        return found


def readout_of(answer: Answer, starts: Tensor) -> Readout:
    """Return how answers of this kind are read; `starts` (M, …) are those at the starts."""
    return ClassReadout(answer.names, starts.numpy()) if isinstance(answer, Classes) else ImageReadout()


def _row(factor: FactorResponse, found: Comparison) -> dict[str, Any]:
    return {
        "factor": factor.name,
        "dims": factor.dim,
        "walk": f"{found.factor:.3g}",
        "control": f"{found.control:.3g}",
        "difference": f"{found.difference:.3g}",
        "ratio": f"{found.ratio:.3g}" if found.ratio is not None else None,
    }


def _kinds(factor: FactorResponse) -> list[dict[str, Any]]:
    """Return a row for each kind of real edit, where there are several."""
    effect = factor.reality.effect if factor.reality is not None else None
    return [
        {
            "factor": factor.name,
            "edit": kind,
            **found.row(),
            "by chance": f"{found.by_chance:.2g}" if found.by_chance is not None else "-",
        }
        for kind, found in (effect.variants.items() if effect is not None else ())
    ]


def _beside(found: Comparison) -> str:
    return f"{found.factor:.3g} : {found.control.value:.3g}"


def _title(factor: FactorResponse) -> str:
    main, found = next(iter(factor.overall.items()))
    figures = f"{main.replace('_', ' ')} {found.factor.value:.3g}, control {found.control.value:.3g}"
    said = f"{figures}: {factor.verdict.headline}"
    return f"{factor.name} ({factor.dim} dimensions): {said}"
