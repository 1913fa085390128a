"""Decide whether the latents hold a concept: its score with an interval, beside the score of an absent concept.

An absent *share* concept makes pairs of unrelated items: its null is the score after the items were shuffled over the
groups, close to 0. An absent *differ* concept makes pairs of an item and itself, since its operation leaves z
unchanged: its null is the score 0, and shuffled pairs, which score 1, are its ceiling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..figures.layers import Curve
from ..latents.pairs import step_generator
from ..latents.table import ConceptPairs, LatentTable
from ..latents.thinning import thin
from ..metrics.bootstrap import FEW_ITEMS, Interval, Resampling, bootstrap
from ..plugin_api import Relation
from ..progress import Reporter
from ..translator.all_pairs import AllPairs, whitened
from ..translator.dims import Estimator

__all__ = ["ABSENT", "FOUND", "RESAMPLES", "SHUFFLES", "Evidence", "collect_evidence", "curve_of", "weigh"]

FOUND = "found"
ABSENT = "not distinguishable from none"
# One absent concept in a hundred counts as found.
ALPHA = 0.01
RESAMPLES = 500
SHUFFLES = 199
MOST_ROWS, MOST_NUMBERS = 20_000, 2**23
# Rounding alone can move z by a thousandth of its spread: a differ concept must move it further.
NOTHING = 1e-6


@dataclass(frozen=True)
class Evidence:
    """What speaks for a concept.

    Attributes:
        score: over all pairs of a sample of the items (Eq 11), with its interval over resampled items: whole groups
            where there are at least 50, else images within groups, since the groups are then all there are (ten
            digits).
        null: the score of an absent concept, and the range of 95 % of its values.
        z: the score of whitened latents above the null's, in the null's standard deviations; for a differ concept the
            score above 0, in its own. None where there is no deviation.
        p_value: how often an absent concept would score as much, by whitened latents: these show a concept even in
            directions of little variance, which the score hardly counts.
    """

    score: Interval
    null: Interval
    z: float | None
    p_value: float

    @property
    def found(self) -> bool:
        """Whether the concept can be told from an absent one."""
        return self.p_value <= ALPHA

    @property
    def verdict(self) -> str:
        """`found`, or `not distinguishable from none`."""
        return FOUND if self.found else ABSENT

    @property
    def excess(self) -> float:
        """The score beyond the null's; 0 for a concept that was not found."""
        return max(0.0, self.score.value - self.null.value) if self.found else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the evidence as JSON values."""
        return {**asdict(self), "verdict": self.verdict}

    def as_row(self) -> dict[str, Any]:
        """Return the evidence as columns of a table."""
        return {
            "interval": f"{self.score.low:.4f} … {self.score.high:.4f}",
            "null": f"{self.null.low:.4f} … {self.null.high:.4f}",
            "z": self.z,
            "p": self.p_value,
            "verdict": self.verdict,
        }


def collect_evidence(
    table: LatentTable,
    pairs: Sequence[ConceptPairs],
    estimator: Estimator,
    resampling: Resampling,
    report: Reporter,
) -> dict[str, Evidence]:
    """Weigh every concept by the items it is fitted to, from posterior means; where there are many, by a sample."""
    limit = min(MOST_ROWS, max(1000, MOST_NUMBERS // table.dim))
    found = {}
    with report.task("weighing concepts", len(pairs), "concepts") as task:
        for stream, concept in enumerate(pairs):
            kept = thin(concept.fit.starts, limit, step_generator(resampling.seed, 2000 + stream, 0))
            rows = concept.fit.order[kept]
            sources = rows if concept.sources is None else concept.sources[rows]
            found[concept.name] = weigh(
                table.mean(rows), concept.fit.starts[kept], sources, concept.relation, estimator, resampling
            )
            task.advance()
    for name, evidence in found.items():
        if evidence.score.items < FEW_ITEMS:
            report.warn(f"concept {name}: the interval of its score, from {evidence.score.items} items, is rough")
    return found


def curve_of(evidence: Sequence[Evidence | None]) -> Curve:
    """Return scores, intervals and nulls as arrays to draw; NaN where there is no evidence."""
    rows = [
        [np.nan] * 5
        if found is None
        else [found.score.value, found.score.low, found.score.high, found.null.low, found.null.high]
        for found in evidence
    ]
    score, low, high, null_low, null_high = np.array(rows).reshape(-1, 5).T
    return Curve(score, low, high, null_low, null_high, np.array([bool(found and found.found) for found in evidence]))


def weigh(
    z: Tensor,
    groups: np.ndarray,
    sources: np.ndarray,
    relation: Relation,
    estimator: Estimator,
    resampling: Resampling,
) -> Evidence:
    """Weigh a concept by latents z (M, N) of items in groups (M,), which show images `sources` (M,).

    Args:
        resampling: of the items, for the interval, and over the groups, for the null of a share concept.

    Raises DataError when there is no pair, or the latents do not vary.
    """
    if relation == "differ":
        drawn, clusters = _of_groups(z, groups, sources, relation, estimator)
        score, again = _interval(drawn, clusters, resampling)
        p_value = float((1 + (again <= NOTHING).sum()) / (1 + len(again))) if score.value > NOTHING else 1.0
        return Evidence(score, Interval(0.0, 0.0, 0.0, score.items), _deviations(score.value, 0.0, again), p_value)
    units = sources if _nested(sources, groups) else np.arange(len(groups))
    dealt = AllPairs(z, _tensor(groups), _tensor(units), relation, estimator)
    # Few labels are all there are; many are a sample, so that others could have been drawn.
    drawn, clusters = dealt, np.arange(dealt.units)
    if dealt.groups >= FEW_ITEMS:
        drawn, clusters = _of_groups(z, groups, sources, relation, estimator)
    score, _ = _interval(drawn, clusters, resampling)
    null = _shuffled(dealt, resampling)
    low, high = np.quantile(null, (0.025, 0.975))
    if dealt.groups < 2:
        return Evidence(score, Interval(float(null.mean()), float(low), float(high), dealt.units), None, 1.0)
    level = AllPairs(whitened(z), _tensor(groups), _tensor(units), relation)
    value, none = level(), _shuffled(level, resampling)
    p_value = float((1 + (none >= value).sum()) / (1 + resampling.shuffles))
    shown = Interval(float(null.mean()), float(low), float(high), dealt.units)
    return Evidence(score, shown, _deviations(value, none.mean(), none), p_value)


def _of_groups(
    z: Tensor, groups: np.ndarray, sources: np.ndarray, relation: Relation, estimator: Estimator
) -> tuple[AllPairs, np.ndarray]:
    """Make pairs whose units are groups, and say which units are drawn together: those that show one image."""
    _, first = np.unique(groups, return_index=True)
    clusters = sources[first] if _nested(groups, sources) else groups[first]
    pairs = AllPairs(z, _tensor(groups), _tensor(groups), relation, estimator)
    return pairs, np.unique(clusters, return_inverse=True)[1]


def _interval(pairs: AllPairs, clusters: np.ndarray, resampling: Resampling) -> tuple[Interval, np.ndarray]:
    """Return the score with its interval, and the scores of the resamples; clusters (units,) are drawn whole."""
    count, values = int(clusters.max()) + 1, []

    def statistic(chosen: np.ndarray) -> float:
        weights = np.bincount(chosen, minlength=count)[clusters]
        values.append(pairs(torch.from_numpy(weights)))
        return values[-1]

    if not np.isfinite(pairs()):
        raise DataError("the latents do not vary: every item has the same z")
    interval = bootstrap(statistic, count, resampling)
    # The first value was that of all items.
    again = np.array(values[1:])
    return interval, again[np.isfinite(again)]


def _shuffled(pairs: AllPairs, resampling: Resampling) -> np.ndarray:
    generator = torch.Generator().manual_seed(resampling.seed)
    return np.array([pairs.dealt(generator) for _ in range(resampling.shuffles)])


def _deviations(value: float, center: float, values: np.ndarray) -> float | None:
    deviation = values.std()
    return float((value - center) / deviation) if deviation > 0 else None


def _nested(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Say whether all items with one `inner` have one `outer`, both (M,)."""
    return len(np.unique(inner)) == len(np.unique(np.stack((inner, outer)), axis=1).T)


def _tensor(numbers: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.int64))
