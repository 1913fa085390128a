"""Latents of concepts' items, in the groups that make pairs: what the pair spectrum is computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..latents.pairs import PairSampler, step_generator
from ..latents.table import ConceptPairs, LatentTable
from ..latents.thinning import thin
from ..translator.pair_moments import PairedRows
from ..translator.spectrum import PairSpectrum, pair_spectrum

__all__ = ["PairedLatents", "most_rows"]

# 256 MiB of latents for each concept at most; more tell nothing new of second moments.
MOST_ROWS, MOST_NUMBERS = 50_000, 2**26
STREAM = 400


def most_rows(dim: int) -> int:
    """Return how many rows of N = `dim` a concept's moments are computed from at most."""
    return min(MOST_ROWS, max(1000, MOST_NUMBERS // dim))


@dataclass(frozen=True)
class PairedLatents:
    """Latents to fit to, and of every concept its rows in groups.

    Attributes:
        z: (M, N), of all items fitted to.
        independent: (M', N), one rendering of each item.
        fit, held_out: of every concept; None where no two rows held out make a pair.
    """

    z: Tensor
    independent: Tensor
    fit: list[PairedRows]
    held_out: list[PairedRows | None]

    @classmethod
    def of_groups(
        cls, table: LatentTable, pairs: Sequence[ConceptPairs], held_out: np.ndarray, seed: int
    ) -> PairedLatents:
        """Sample latents of a table once, `held_out` (rows,) being those that no fit sees."""
        limit = most_rows(table.dim)

        def rows_of(rows: np.ndarray, stream: int) -> Tensor:
            generator = step_generator(seed, STREAM + stream, 0)
            noise = (
                generator.standard_normal((len(rows), table.noise_dim), np.float32) if table.stochastic else np.empty(0)
            )
            return table.sample(rows, noise)

        def paired(concept: ConceptPairs, sampler: PairSampler | None, stream: int) -> PairedRows | None:
            if sampler is None:
                return None
            kept = np.arange(len(sampler.order))
            if len(kept) > limit:
                kept = thin(sampler.starts, limit, step_generator(seed, STREAM + stream, 1))
            return PairedRows(
                concept.name, concept.relation, rows_of(sampler.order[kept], stream), sampler.starts[kept]
            )

        rows = step_generator(seed, STREAM, 2).permutation(np.flatnonzero(~held_out))[:limit]
        sources = next((concept.sources for concept in pairs if concept.sources is not None), None)
        first = slice(None) if sources is None else np.unique(sources[rows], return_index=True)[1]
        z = rows_of(rows, 0)
        fit = [paired(concept, concept.fit, 2 * number + 1) for number, concept in enumerate(pairs)]
        held = [paired(concept, concept.held_out, 2 * number + 2) for number, concept in enumerate(pairs)]
        return cls(z, z[first], [each for each in fit if each is not None], held)

    def spectrum(self, sizes: Mapping[str, int] | None, seed: int, resamples: int = 0) -> PairSpectrum:
        """Find the directions of every concept, and the closed form; see `pair_spectrum`."""
        return pair_spectrum(
            self.z,
            self.fit,
            held_out=self.held_out,
            independent=self.independent,
            sizes=sizes,
            seed=seed,
            resamples=resamples,
        )
