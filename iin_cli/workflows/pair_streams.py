"""Where a fit gets its latents: fresh pairs of encoded items, single items, or a file of fixed pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..data.pairs import step_generator
from ..errors import DataError
from ..plan import share_out
from ..translator.factors import Factors
from ..translator.likelihood import correlations
from .grouping import ConceptPairs, LatentTable

__all__ = ["Batch", "FixedPairs", "FreshPairs", "PairStream", "SingleRows"]

# Streams of the counter-based generators: pairs of concept k use stream k.
NOISE_STREAM, HELD_OUT_STREAM = 100, 200


@dataclass(frozen=True)
class Batch:
    """Pairs of latents `z_a`, `z_b` (P, N), their correlations `rho` (P, N) and `weight` (P,), which sums to 1 (Eq 10).

    `z_b` is None for single latents.
    """

    z_a: Tensor
    z_b: Tensor | None
    rho: Tensor | None
    weight: Tensor


class PairStream(Protocol):
    """Yields the batch of any step, and the held-out batches."""

    rows_per_step: int

    def batch(self, step: int) -> Batch:
        """Return the batch of step `step`; pair i depends on (seed, step, i) only."""
        ...

    def held_out(self) -> dict[str, Batch]:
        """Return one fixed batch per concept, none of whose images was or will be trained on."""
        ...

    def initial(self, count: int) -> Tensor:
        """Return up to `count` latents (B, N) to initialise actnorms with."""
        ...


class FreshPairs:
    """Fresh pairs inside the groups of several concepts, latents sampled from the posterior every time."""

    def __init__(
        self,
        table: LatentTable,
        pairs: Sequence[ConceptPairs],
        factors: Factors,
        batch_pairs: int,
        seed: int,
        held: int,
    ) -> None:
        self.table, self.pairs, self.seed, self.held = table, list(pairs), seed, held
        self.counts = share_out(batch_pairs, [concept.name for concept in pairs])
        self.rows_per_step = 2 * sum(self.counts.values())
        self.rho = {concept.name: correlations(factors, factors.mask(concept.name)) for concept in pairs}

    def batch(self, step: int) -> Batch:
        """Draw every concept's share of pairs."""
        draws = [
            concept.fit.draw(self.counts[concept.name], step_generator(self.seed, stream, step))
            for stream, concept in enumerate(self.pairs)
        ]
        a, b = (np.concatenate(side) for side in zip(*draws, strict=True))
        z = _sampled(self.table, np.concatenate((a, b)), step_generator(self.seed, NOISE_STREAM, step))
        rho = torch.cat([self.rho[name].expand(count, -1) for name, count in self.counts.items()])
        weight = torch.cat([torch.full((n,), 1 / n / len(self.counts)) for n in self.counts.values()])
        return Batch(z[: len(a)], z[len(a) :], rho, weight)

    def held_out(self) -> dict[str, Batch]:
        """Draw fixed pairs of held-out items for every concept that has some."""
        batches = {}
        for stream, concept in enumerate(self.pairs):
            if concept.held_out is None:
                continue
            generator = step_generator(self.seed, HELD_OUT_STREAM + stream, 0)
            a, b = concept.held_out.draw(self.held, generator)
            z = _sampled(self.table, np.concatenate((a, b)), generator)
            weight = torch.full((len(a),), 1 / len(a))
            batches[concept.name] = Batch(z[: len(a)], z[len(a) :], self.rho[concept.name].expand(len(a), -1), weight)
        return batches

    def initial(self, count: int) -> Tensor:
        """Sample latents of items that are fitted, drawn as pairs are."""
        each = -(-count // len(self.pairs))
        draws = [
            c.fit.draw(each, step_generator(self.seed, NOISE_STREAM + 50 + k, 0))[0] for k, c in enumerate(self.pairs)
        ]
        return _sampled(self.table, np.concatenate(draws)[:count], step_generator(self.seed, NOISE_STREAM + 49, 0))


class SingleRows:
    """Single latents, for a translator without concepts (Eq 12)."""

    def __init__(self, table: LatentTable, held_out: np.ndarray, batch_rows: int, seed: int, held: int) -> None:
        self.table, self.seed, self.rows_per_step = table, seed, batch_rows
        self.rows = np.flatnonzero(~held_out)
        self.rest = np.flatnonzero(held_out)[:held]
        if not len(self.rows) or not len(self.rest):
            raise DataError(f"{len(held_out)} latents are too few to fit on some and hold out others")

    def batch(self, step: int) -> Batch:
        """Draw single latents, uniformly."""
        generator = step_generator(self.seed, 0, step)
        rows = self.rows[(generator.random(self.rows_per_step) * len(self.rows)).astype(np.int64)]
        return _single(_sampled(self.table, rows, step_generator(self.seed, NOISE_STREAM, step)))

    def held_out(self) -> dict[str, Batch]:
        """Return the held-out latents under the name `residual`."""
        return {"residual": _single(_sampled(self.table, self.rest, step_generator(self.seed, HELD_OUT_STREAM, 0)))}

    def initial(self, count: int) -> Tensor:
        """Sample latents of items that are fitted."""
        generator = step_generator(self.seed, NOISE_STREAM + 49, 0)
        rows = self.rows[(generator.random(count) * len(self.rows)).astype(np.int64)]
        return _sampled(self.table, rows, generator)


class FixedPairs:
    """Pairs of a file: z_a, z_b (P, N) and their masks (P, K+1), some held out."""

    def __init__(
        self,
        z_a: Tensor,
        z_b: Tensor,
        mask: Tensor,
        held_out: np.ndarray,
        factors: Factors,
        batch_pairs: int,
        seed: int,
        held: int,
    ) -> None:
        self.z_a, self.z_b, self.seed, self.held = z_a, z_b, seed, held
        self.rho = correlations(factors, mask)
        self.rows = np.flatnonzero(~held_out)
        self.rest = np.flatnonzero(held_out)
        self.names = factors.names
        self.mask = mask
        self.batch_pairs = batch_pairs
        self.rows_per_step = 2 * batch_pairs

    def batch(self, step: int) -> Batch:
        """Draw pairs of the file, uniformly."""
        u = step_generator(self.seed, 0, step).random(self.batch_pairs)
        return self._take(self.rows[(u * len(self.rows)).astype(np.int64)])

    def held_out(self) -> dict[str, Batch]:
        """Return the held-out pairs, as one batch."""
        return {"pairs": self._take(self.rest[: self.held])}

    def initial(self, count: int) -> Tensor:
        """Return both members of pairs that are fitted."""
        u = step_generator(self.seed, NOISE_STREAM, 0).random(-(-count // 2))
        rows = self.rows[(u * len(self.rows)).astype(np.int64)]
        return torch.cat((self.z_a[rows], self.z_b[rows]))[:count]

    def _take(self, rows: np.ndarray) -> Batch:
        where = torch.from_numpy(rows)
        weight = torch.full((len(rows),), 1 / len(rows))
        return Batch(self.z_a[where], self.z_b[where], self.rho[where], weight)


def _sampled(table: LatentTable, rows: np.ndarray, generator: np.random.Generator) -> Tensor:
    noise = generator.standard_normal((len(rows), table.dim), np.float32) if table.stochastic else np.empty((0, 0))
    return table.sample(rows, noise)


def _single(z: Tensor) -> Batch:
    return Batch(z, None, None, torch.full((len(z),), 1 / len(z)))
