"""What a response analysis found: per factor, per class and per channel, each figure beside its control's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...figures.violins import Violins, plot_violins
from ...metrics.bootstrap import Interval
from ...metrics.response import CHANNELS, Comparison, compare, mean_intervals, quantiles
from .walks import Measured, Starts

__all__ = ["ClassResponse", "FactorResponse", "RespondResult", "compare_factor"]

# Of more classes neither violins nor rows of a table are looked at.
SHOWN_CLASSES = 10
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

    def as_dict(self) -> dict[str, Any]:
        """Return the response as JSON values."""
        return {
            "start": self.start.as_dict(),
            "factor": self.factor.as_dict(),
            "control": self.control.as_dict(),
            "change": self.change.as_dict(),
            "quantiles": self.quantiles,
        }


@dataclass(frozen=True)
class FactorResponse:
    """What the walks of one factor do.

    Attributes:
        overall: figure (`flip_rate`, `kl`, `violation_rate`; of images `absolute_change`, `squared_change`) ->
            comparison over all images.
        by_class: class -> what becomes of its log-probability, whatever the start.
        by_start_class: class predicted at the start -> `flip_rate` and `kl` of those images.
        by_channel: `red`, `green`, `blue` -> `absolute_change` and `squared_change`.
        walked, control: single points for figures.
    """

    name: str
    dim: int
    overall: dict[str, Comparison]
    by_class: dict[str, ClassResponse] = field(default_factory=dict)
    by_start_class: dict[str, dict[str, Comparison]] = field(default_factory=dict)
    by_channel: dict[str, dict[str, Comparison]] = field(default_factory=dict)
    walked: Measured = field(default_factory=Measured, repr=False, compare=False)
    control: Measured = field(default_factory=Measured, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the response as JSON values."""
        found = {"name": self.name, "dim": self.dim, "overall": _as_dict(self.overall)}
        if self.by_class:
            found["by_class"] = {name: each.as_dict() for name, each in self.by_class.items()}
            found["by_start_class"] = {name: _as_dict(each) for name, each in self.by_start_class.items()}
        if self.by_channel:
            found["by_channel"] = {name: _as_dict(each) for name, each in self.by_channel.items()}
        return found


@dataclass(frozen=True)
class RespondResult:
    """The response to every factor.

    Attributes:
        out: the file or folder written; empty where nothing was.
        kind: `classes` or `images`, what the network answers with.
        images: start images; `items` are their numbers in the data.
        controls: random subspaces beside each factor.
        features: N; `never_negative`: how many of them are nowhere negative in the images read.
        failed: factor -> why its walks could not be measured.
        starts: the answers at the starts, for figures.
    """

    out: str
    translator: str
    data: str
    kind: str
    images: int
    steps: int
    walks: int
    gamma: float
    walk_sigma: float | None
    center: str
    controls: int
    seed: int
    features: int
    never_negative: int
    factors: tuple[FactorResponse, ...]
    failed: dict[str, str]
    items: tuple[int, ...] = field(default=(), repr=False)
    classes: tuple[str, ...] | None = field(default=None, repr=False)
    starts: np.ndarray | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        own = ("factors", "starts", "failed", "items", "classes")
        found = {key: value for key, value in self.__dict__.items() if key not in own}
        return {
            **found,
            "items": list(self.items),
            "factors": [each.as_dict() for each in self.factors],
            "failed": dict(self.failed),
        }

    def tables(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return (title, rows) of what is looked at: every overall figure, then flips by start class, or channels."""
        shown = [key for key in TITLES if any(key in each.overall for each in self.factors)]
        found = [(TITLES[key], [_row(each, each.overall[key]) for each in self.factors]) for key in shown]
        if self.kind == "classes":
            found.append(("flip rate by the class predicted at the start, beside the control's", self._flips()))
        else:
            found.append(("absolute change of a pixel by channel, beside the control's", self._channels()))
        if self.failed:
            found.append(("not measured", [{"factor": name, "why": why} for name, why in self.failed.items()]))
        return [(title, rows) for title, rows in found if rows]

    def figure(self) -> Figure:
        """Draw the distributions along the walks as violins, one row per factor (Fig 9)."""
        first = f"{self.images} images of {self.data}, {self.walks * (self.steps - 1)} points each"
        if self.kind == "images":
            rows = [[_violins(each, each.walked.samples, each.control.samples)] for each in self.factors]
            return plot_violins(rows, CHANNELS, ("|change| of a pixel",), first)
        chosen = self._chosen()
        rows = [
            [
                _violins(each, each.walked.samples, each.control.samples, chosen, self.starts),
                _violins(each, each.walked.change, each.control.change, chosen),
            ]
            for each in self.factors
        ]
        headings = ("log p(class)", "change of log p(class)")
        return plot_violins(rows, [self.classes[index] for index in chosen], headings, first)

    def _chosen(self) -> list[int]:
        """Choose the classes most probable at the starts, as many as can be told apart."""
        mean = np.exp(self.starts.astype(np.float64)).mean(0)
        return sorted(np.argsort(-mean, kind="stable")[:SHOWN_CLASSES].tolist())

    def _flips(self) -> list[dict[str, Any]]:
        if not self.factors:
            return []
        counts = {name: each["flip_rate"].factor.items for name, each in self.factors[0].by_start_class.items()}
        frequent = sorted(counts, key=lambda name: -counts[name])[:SHOWN_CLASSES]
        return [
            {"start class": name, "images": counts[name]}
            | {each.name: _beside(each.by_start_class[name]["flip_rate"]) for each in self.factors}
            for name in counts
            if name in frequent
        ]

    def _channels(self) -> list[dict[str, Any]]:
        names = self.factors[0].by_channel if self.factors else ()
        return [
            {"channel": name} | {each.name: _beside(each.by_channel[name]["absolute_change"]) for each in self.factors}
            for name in names
        ]


def compare_factor(
    name: str,
    dim: int,
    walked: Measured,
    controls: Sequence[Measured],
    starts: Starts,
    classes: Sequence[str] | None,
    seed: int,
) -> FactorResponse:
    """Compare the walks of a factor with those of its controls, overall and class by class or channel by channel."""
    both = {key: (walked.columns[key], np.stack([each.columns[key] for each in controls])) for key in walked.columns}
    pooled = Measured(
        {}, *(np.concatenate([getattr(each, part) for each in controls]) for part in ("samples", "change"))
    )
    if classes is None:
        each_channel = {key: compare(*both[key], seed) for key in ("absolute_change", "squared_change")}
        overall = {key: found[0] for key, found in each_channel.items()} | _violations(both, seed)
        channels = {
            channel: {key: found[index] for key, found in each_channel.items()}
            for index, channel in enumerate(CHANNELS)
            if index
        }
        return FactorResponse(name, dim, overall, by_channel=channels, walked=walked, control=pooled)
    overall = {key: compare(*both[key], seed)[0] for key in ("flip_rate", "kl")} | _violations(both, seed)
    by_class = _by_class(both, walked, pooled, starts, classes, seed)
    return FactorResponse(
        name, dim, overall, by_class, _by_start_class(both, starts, classes, seed), walked=walked, control=pooled
    )


_Both = Mapping[str, tuple[np.ndarray, np.ndarray]]


def _violations(both: _Both, seed: int) -> dict[str, Comparison]:
    return {key: compare(*both[key], seed)[0] for key in both if key == "violation_rate"}


def _by_class(
    both: _Both, walked: Measured, pooled: Measured, starts: Starts, classes: Sequence[str], seed: int
) -> dict[str, ClassResponse]:
    of_factor, of_control = both["log_probability"]
    spread = (
        {"factor": factor, "control": control}
        for factor, control in zip(quantiles(walked.samples), quantiles(pooled.samples), strict=True)
    )
    parts = (
        mean_intervals(starts.answer.double().numpy(), seed),
        mean_intervals(of_factor, seed),
        mean_intervals(of_control.mean(0), seed),
        compare(*both["change"], seed),
        spread,
    )
    return {name: ClassResponse(*each) for name, *each in zip(classes, *parts, strict=True)}


def _by_start_class(both: _Both, starts: Starts, classes: Sequence[str], seed: int) -> dict[str, dict[str, Comparison]]:
    predicted = starts.answer.argmax(1).numpy()
    found = {}
    for index in np.unique(predicted).tolist():
        of_class = predicted == index
        found[classes[index]] = {
            key: compare(both[key][0][of_class], both[key][1][:, of_class], seed)[0] for key in ("flip_rate", "kl")
        }
    return found


def _as_dict(comparisons: Mapping[str, Comparison]) -> dict[str, Any]:
    return {key: each.as_dict() for key, each in comparisons.items()}


def _row(factor: FactorResponse, found: Comparison) -> dict[str, Any]:
    return {
        "factor": factor.name,
        "dims": factor.dim,
        "walk": f"{found.factor:.3g}",
        "control": f"{found.control:.3g}",
        "difference": f"{found.difference:.3g}",
        "ratio": f"{found.ratio:.3g}" if found.ratio is not None else None,
        "verdict": found.verdict,
    }


def _beside(found: Comparison) -> str:
    return f"{found.factor:.3g} : {found.control.value:.3g}"


def _violins(
    factor: FactorResponse,
    walked: np.ndarray,
    control: np.ndarray,
    chosen: Sequence[int] | None = None,
    start: np.ndarray | None = None,
) -> Violins:
    main = next(iter(factor.overall))
    found = factor.overall[main]
    said = f"{main.replace('_', ' ')} {found.factor.value:.3g}, control {found.control.value:.3g}: {found.verdict}"
    columns = slice(None) if chosen is None else list(chosen)
    title = f"{factor.name} ({factor.dim} dimensions): {said}"
    return Violins(title, walked[:, columns], control[:, columns], None if start is None else start[:, columns])
