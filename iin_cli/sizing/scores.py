"""Score concepts by Eq 11, from the pairs that a fit draws."""

from __future__ import annotations

from collections.abc import Sequence

from ..latents.pairs import step_generator
from ..latents.table import ConceptPairs, LatentTable
from ..translator.dims import Estimator, score

__all__ = ["score_concepts"]

SCORE_PAIRS = 50_000


def score_concepts(
    table: LatentTable, pairs: Sequence[ConceptPairs], seed: int, estimator: Estimator
) -> dict[str, float]:
    """Score every concept on fresh pairs of the items it is fitted to (Eq 11), from posterior means."""
    # 256 MiB of latents at most, whatever N is.
    count = min(SCORE_PAIRS, max(1000, 2**25 // table.dim))
    scores = {}
    for stream, concept in enumerate(pairs):
        a, b = concept.fit.draw(count, step_generator(seed, 1000 + stream, 0))
        scores[concept.name] = score(table.mean(a), table.mean(b), concept.relation, estimator)
    return scores
