"""Is a concept in the latents at all? Its score with an interval, beside the score of what is not there.

A *share* concept that is absent makes pairs of unrelated items: its null is the score after items were dealt out to the
groups anew, close to 0. A *differ* concept that is absent makes pairs of an item and itself, since its operation leaves
z as it is: its null is the score 0, and shuffled pairs, which score 1, would be its ceiling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..latents.pairs import step_generator
from ..latents.table import ConceptPairs, LatentTable
from ..metrics.bootstrap import FEW_ITEMS, Interval, Resampling, bootstrap
from ..plugin_api import Relation
from ..progress import Reporter
from ..translator.all_pairs import AllPairs, whitened
from ..translator.dims import Estimator

__all__ = ["ABSENT", "FOUND", "Evidence", "collect_evidence", "thin", "weigh"]

FOUND = "found"
ABSENT = "not distinguishable from none"
# One absent concept in a hundred is taken for found.
ALPHA = 0.01
RESAMPLES, SHUFFLES = 500, 199
MOST_ROWS, MOST_NUMBERS = 20_000, 2**23
# A differ concept that moves z by less than a thousandth of its spread moves it no more than rounding does.
NOTHING = 1e-6
# With as many whole groups as this, none has to be thinned.
ENOUGH_GROUPS = 100


@dataclass(frozen=True)
class Evidence:
    """What speaks for a concept.

    Attributes:
        score: of all pairs of a sample of the items (Eq 11), with the interval of items drawn anew: whole groups where
            there are at least 50, else images within their groups, which are all there are (ten digits).
        null: the score of what is not there, and the range of 95 % of its values.
        z: how many of the null's standard deviations the score of whitened latents lies above it; for a differ concept
            how many of its own the score lies above 0. None where there is no deviation.
        p_value: how often what is not there would score as much, by whitened latents: these show a concept even in
            directions of little variance, which the score hardly counts.
    """

    score: Interval
    null: Interval
    z: float | None
    p_value: float

    @property
    def found(self) -> bool:
        """Whether the concept can be told from none."""
        return self.p_value <= ALPHA

    @property
    def verdict(self) -> str:
        """`found`, or `not distinguishable from none`."""
        return FOUND if self.found else ABSENT

    @property
    def excess(self) -> float:
        """The score beyond the null's; 0 for what was not found."""
        return max(0.0, self.score.value - self.null.value) if self.found else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the evidence as JSON values."""
        return {
            "score": self.score.as_dict(),
            "null": self.null.as_dict(),
            "z": self.z,
            "p_value": self.p_value,
            "verdict": self.verdict,
        }

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
    table: LatentTable, pairs: Sequence[ConceptPairs], seed: int, estimator: Estimator, report: Reporter
) -> dict[str, Evidence]:
    """Weigh every concept by the items it is fitted to, from posterior means; of many items by a sample."""
    limit = min(MOST_ROWS, max(1000, MOST_NUMBERS // table.dim))
    found = {}
    with report.task("weighing concepts", len(pairs), "concepts") as task:
        for stream, concept in enumerate(pairs):
            kept = thin(concept.fit.starts, limit, step_generator(seed, 2000 + stream, 0))
            rows = concept.fit.order[kept]
            sources = rows if concept.sources is None else concept.sources[rows]
            found[concept.name] = weigh(
                table.mean(rows), concept.fit.starts[kept], sources, concept.relation, estimator, seed
            )
            task.advance()
    for name, evidence in found.items():
        if evidence.score.items < FEW_ITEMS:
            report.warn(f"concept {name}: the interval of its score, from {evidence.score.items} items, is rough")
    return found


def thin(groups: np.ndarray, limit: int, generator: np.random.Generator) -> np.ndarray:
    """Choose about `limit` of the items with groups (M,): their places, in order; none is left alone in its group.

    Whole groups where that leaves enough of them; else of each group as large a part, at least two items, and where
    these are too many still, as many groups as there is room for.
    """
    _, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    part = min(1.0, limit / len(groups))
    keys, order = generator.random(len(groups)), generator.permutation(len(sizes))
    if part * len(sizes) >= ENOUGH_GROUPS:
        wanted, chosen = sizes, order[: round(part * len(sizes))]
    else:
        wanted = np.clip((part * sizes).astype(np.int64), np.minimum(2, sizes), sizes)
        # A few rare groups are no reason to give up one of ten classes.
        room = len(order) if wanted.sum() <= 1.5 * limit else int((np.cumsum(wanted[order]) <= limit).sum())
        chosen = order[: max(2, room)]
    by_group = np.lexsort((keys, group_of))
    rank = np.empty(len(groups), np.int64)
    rank[by_group] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.flatnonzero(np.isin(group_of, chosen) & (rank < wanted[group_of]) & (sizes[group_of] > 1))


def weigh(
    z: Tensor,
    groups: np.ndarray,
    sources: np.ndarray,
    relation: Relation,
    estimator: Estimator,
    seed: int,
    resamples: int = RESAMPLES,
    shuffles: int = SHUFFLES,
) -> Evidence:
    """Weigh a concept by latents z (M, N) of items in groups (M,), which show images `sources` (M,).

    Args:
        resamples: of the items, for the interval.
        shuffles: dealings of the items to groups, for the null of a share concept.

    Raises DataError when there is no pair, or the latents do not vary.
    """
    if relation == "differ":
        drawn, clusters = _of_groups(z, groups, sources, relation, estimator)
        score, again = _interval(drawn, clusters, seed, resamples)
        p_value = float((1 + (again <= NOTHING).sum()) / (1 + len(again))) if score.value > NOTHING else 1.0
        return Evidence(score, Interval(0.0, 0.0, 0.0, score.items), _deviations(score.value, 0.0, again), p_value)
    units = sources if _nested(sources, groups) else np.arange(len(groups))
    dealt = AllPairs(z, *_tensors(groups, units), relation, estimator)
    # Labels of which there are few are all there are; of many others would have been as good.
    drawn, clusters = dealt, np.arange(dealt.units)
    if dealt.groups >= FEW_ITEMS:
        drawn, clusters = _of_groups(z, groups, sources, relation, estimator)
    score, _ = _interval(drawn, clusters, seed, resamples)
    null = _shuffled(dealt, seed, shuffles)
    low, high = np.quantile(null, (0.025, 0.975))
    if dealt.groups < 2:
        return Evidence(score, Interval(float(null.mean()), float(low), float(high), dealt.units), None, 1.0)
    level = AllPairs(whitened(z), *_tensors(groups, units), relation)
    value, none = level(), _shuffled(level, seed, shuffles)
    p_value = float((1 + (none >= value).sum()) / (1 + shuffles))
    shown = Interval(float(null.mean()), float(low), float(high), dealt.units)
    return Evidence(score, shown, _deviations(value, none.mean(), none), p_value)


def _of_groups(
    z: Tensor, groups: np.ndarray, sources: np.ndarray, relation: Relation, estimator: Estimator
) -> tuple[AllPairs, np.ndarray]:
    """Make pairs whose units are groups, and say which are drawn together: those that show one image alone."""
    _, first = np.unique(groups, return_index=True)
    clusters = sources[first] if _nested(groups, sources) else groups[first]
    return AllPairs(z, *_tensors(groups, groups), relation, estimator), np.unique(clusters, return_inverse=True)[1]


def _interval(pairs: AllPairs, clusters: np.ndarray, seed: int, resamples: int) -> tuple[Interval, np.ndarray]:
    """Return the score with its interval, and the scores of the resamples, clusters (units,) drawn whole."""
    count, values = int(clusters.max()) + 1, []

    def statistic(chosen: np.ndarray) -> float:
        weights = np.bincount(chosen, minlength=count)[clusters]
        values.append(pairs(torch.from_numpy(weights)))
        return values[-1]

    if not np.isfinite(pairs()):
        raise DataError("the latents do not vary: every item has the same z")
    interval = bootstrap(statistic, count, Resampling(resamples, seed=seed))
    # The first was of all items.
    again = np.array(values[1:])
    return interval, again[np.isfinite(again)]


def _shuffled(pairs: AllPairs, seed: int, shuffles: int) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    return np.array([pairs.dealt(generator) for _ in range(shuffles)])


def _deviations(value: float, center: float, values: np.ndarray) -> float | None:
    deviation = values.std()
    return float((value - center) / deviation) if deviation > 0 else None


def _nested(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Whether all items with one `inner` have one `outer`, both (M,)."""
    return len(np.unique(inner)) == len(np.unique(np.stack((inner, outer)), axis=1).T)


def _tensors(*arrays: np.ndarray) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)) for array in arrays)
