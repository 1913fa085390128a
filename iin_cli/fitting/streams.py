"""Draw the latents of every step of a fit: fresh pairs of encoded items, single items, or fixed pairs of a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..latents.cache import MappedRows
from ..latents.pairs import step_generator
from ..latents.table import ConceptPairs, LatentTable
from ..plan import share_out
from ..translator.factors import Factors
from ..translator.likelihood import correlations

__all__ = ["Batch", "FixedPairs", "FreshPairs", "MaskedPairs", "PairStream", "SingleRows", "mask_prior"]

# Streams of the counter-based generators: pairs of concept k use stream k, their noise stream NOISE_STREAM + k, etc.
NOISE_STREAM, HELD_OUT_STREAM, INITIAL_STREAM = 1000, 2000, 3000
# Stands in a mask where it is not known whether a pair shares the factor.
UNKNOWN = -1


@dataclass(frozen=True)
class Batch:
    """Pairs of latents, or single latents.

    Attributes:
        z_a, z_b: the members of each pair (P, N); `z_b` is None for single latents.
        rho: correlations (P, N) of the factors' dimensions; None for single latents.
        weight: (P,), sums to 1 (Eq 10).
        kind: (P,) on the CPU, ascending: which of the stream's `masks` each pair has; None for single latents.
        prior: (P, K+1), the chance that each pair shares each of `factors`; None where it is known of all.
    """

    z_a: Tensor
    z_b: Tensor | None
    rho: Tensor | None
    weight: Tensor
    kind: Tensor | None = None
    prior: Tensor | None = None
    factors: Factors | None = None

    def kinds(self) -> Tensor:
        """Return `kind` (P,); zeros where there is only one."""
        return torch.zeros(len(self.z_a), dtype=torch.int64) if self.kind is None else self.kind

    def pinned(self) -> Batch:
        """Return the batch in memory that a GPU copies from while it computes."""
        return self._each(Tensor.pin_memory)

    def on(self, device: torch.device) -> Batch:
        """Return the batch on `device`, without waiting for a GPU. `kind` stays: it decides what is computed."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def tensors(self) -> list[Tensor]:
        """Return all that `on` moves."""
        return [each for each in (self.z_a, self.z_b, self.rho, self.weight, self.prior) if each is not None]

    def is_like(self, other: Batch) -> bool:
        """Say whether the other batch has the same shapes, and pairs of the same kinds in the same places."""
        shapes = [[each.shape for each in batch.tensors()] for batch in (self, other)]
        return shapes[0] == shapes[1] and torch.equal(self.kinds(), other.kinds())

    def _each(self, move: Callable[[Tensor], Tensor]) -> Batch:
        z_b, rho, prior = (None if each is None else move(each) for each in (self.z_b, self.rho, self.prior))
        return replace(self, z_a=move(self.z_a), z_b=z_b, rho=rho, weight=move(self.weight), prior=prior)

    def rows(self, part: slice) -> Batch:
        """Return `part` of the batch, its weights unchanged."""
        z_b = None if self.z_b is None else self.z_b[part]
        rho = None if self.rho is None else self.rho[part]
        kind = None if self.kind is None else self.kind[part]
        prior = None if self.prior is None else self.prior[part]
        return Batch(self.z_a[part], z_b, rho, self.weight[part], kind, prior, self.factors)


class PairStream(Protocol):
    """Anything that gives the batch of any step, and held-out batches.

    Attributes:
        masks: name of a kind of pairs -> its mask (K+1,); empty for single latents.
        counts: name of a kind -> its pairs in a batch.
    """

    rows_per_step: int
    masks: dict[str, tuple[int, ...]]
    counts: dict[str, int]

    def batch(self, step: int) -> Batch:
        """Return the batch of step `step`; pair i depends on (seed, step, i) only."""
        ...

    def held_out(self) -> dict[str, Batch]:
        """Return one fixed batch per concept, of images that are never trained on."""
        ...

    def initial(self, count: int) -> Tensor:
        """Return up to `count` latents (B, N) to initialise actnorms with."""
        ...


class FreshPairs:
    """Fresh pairs inside the groups of several concepts; their latents are sampled from the posterior every time."""

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
        self.masks = {concept.name: factors.mask(concept.name) for concept in pairs}
        self.rho = {name: correlations(factors, mask) for name, mask in self.masks.items()}
        if all(concept.held_out is None for concept in pairs):
            raise DataError(
                f"no two held-out images make a pair of {', '.join(self.counts)}: "
                "give more images of every label, or coarser labels"
            )

    def batch(self, step: int) -> Batch:
        """Draw pairs of every concept."""
        batches = []
        for stream, concept in enumerate(self.pairs):
            a, b = concept.fit.draw(self.counts[concept.name], step_generator(self.seed, stream, step))
            noise = step_generator(self.seed, NOISE_STREAM + stream, step)
            batches.append(self._pairs(concept.name, a, b, noise))
        return _joined(batches)

    def held_out(self) -> dict[str, Batch]:
        """Draw fixed pairs of held-out items for every concept that has some."""
        batches = {}
        for stream, concept in enumerate(self.pairs):
            if concept.held_out is not None:
                generator = step_generator(self.seed, HELD_OUT_STREAM + stream, 0)
                a, b = concept.held_out.draw(self.held, generator)
                batches[concept.name] = self._pairs(concept.name, a, b, generator)
        return batches

    def initial(self, count: int) -> Tensor:
        """Sample latents of items that are fitted to, drawn as pairs are."""
        each = -(-count // len(self.pairs))
        z = []
        for stream, concept in enumerate(self.pairs):
            generator = step_generator(self.seed, INITIAL_STREAM + stream, 0)
            z.append(_sampled(self.table, concept.fit.draw(each, generator)[0], generator))
        return torch.cat(z)[:count]

    def _pairs(self, name: str, a: np.ndarray, b: np.ndarray, noise: np.random.Generator) -> Batch:
        # Both members of a pair side by side, so that its noise does not depend on how many pairs follow.
        z = _sampled(self.table, np.stack((a, b), axis=1).ravel(), noise)
        kind = torch.full((len(a),), list(self.masks).index(name))
        return Batch(z[0::2], z[1::2], self.rho[name].expand(len(a), -1), _equal_weights(len(a)), kind)


class SingleRows:
    """Single latents, for a translator without concepts (Eq 12)."""

    def __init__(self, table: LatentTable, held_out: np.ndarray, batch_rows: int, seed: int, held: int) -> None:
        self.table, self.seed, self.rows_per_step = table, seed, batch_rows
        self.masks: dict[str, tuple[int, ...]] = {}
        self.counts: dict[str, int] = {}
        self.rows = np.flatnonzero(~held_out)
        # A fixed random part, since neighbours of one file tend to be alike.
        self.rest = step_generator(seed, HELD_OUT_STREAM, 0).permutation(np.flatnonzero(held_out))[:held]
        if not len(self.rows) or not len(self.rest):
            raise DataError(f"{len(held_out)} latents are too few to fit on some and hold out others")

    def batch(self, step: int) -> Batch:
        """Draw single latents, uniformly."""
        generator = step_generator(self.seed, 0, step)
        rows = _drawn(self.rows, self.rows_per_step, generator)
        return _single(_sampled(self.table, rows, step_generator(self.seed, NOISE_STREAM, step)))

    def held_out(self) -> dict[str, Batch]:
        """Return the held-out latents under the name `residual`."""
        return {"residual": _single(_sampled(self.table, self.rest, step_generator(self.seed, HELD_OUT_STREAM, 1)))}

    def initial(self, count: int) -> Tensor:
        """Sample latents of items that are fitted to."""
        generator = step_generator(self.seed, INITIAL_STREAM, 0)
        rows = _drawn(self.rows, count, generator)
        return _sampled(self.table, rows, generator)


@dataclass(frozen=True)
class MaskedPairs:
    """Pairs as they are given.

    Attributes:
        z_a, z_b: their members (P, N); those of a file stay there.
        mask: int8 (P, K+1), 1 where a pair shares the factor, −1 where that is not known.
        fit, held_out: bool (P,), the pairs to fit to and those to hold out.
    """

    z_a: MappedRows | np.ndarray
    z_b: MappedRows | np.ndarray
    mask: Tensor
    fit: np.ndarray
    held_out: np.ndarray


class FixedPairs:
    """Fixed pairs. Those that share the same factors make a stratum, which counts as a concept does in Eq 10.

    Every batch holds equally many pairs of each stratum, however many there are. Pairs of which something is not known
    make one more.
    """

    def __init__(self, pairs: MaskedPairs, factors: Factors, batch_pairs: int, seed: int, held: int) -> None:
        self.pairs, self.seed, self.held = pairs, seed, held
        self.prior = mask_prior(pairs.mask)
        # Whatever it is that is not known of a pair, it counts among those of which something is not.
        whole = torch.where((pairs.mask < 0).any(1)[:, None], UNKNOWN, pairs.mask)
        patterns, stratum = np.unique(whole.numpy(), axis=0, return_inverse=True)
        self.masks: dict[str, tuple[int, ...]] = {}
        self.factors, self.partly = factors, bool((pairs.mask < 0).any())
        self.rows: dict[str, np.ndarray] = {}
        self.rest: dict[str, np.ndarray] = {}
        for number, pattern in enumerate(patterns):
            mine = stratum.reshape(-1) == number
            name = "+".join(factor for factor, shared in zip(factors.names, pattern, strict=True) if shared) or "none"
            name = "unknown" if pattern[0] == UNKNOWN else name
            self.masks[name] = tuple(int(shared) for shared in pattern)
            if (mine & pairs.fit).any():
                self.rows[name] = np.flatnonzero(mine & pairs.fit)
            if (mine & pairs.held_out).any():
                self.rest[name] = np.flatnonzero(mine & pairs.held_out)
        if not self.rows or not self.rest:
            raise DataError(f"{len(pairs.mask)} pairs are too few to fit on some and hold out others")
        self.counts = share_out(batch_pairs, list(self.rows))
        self.rows_per_step = 2 * sum(self.counts.values())

    def batch(self, step: int) -> Batch:
        """Draw equally many pairs of every stratum."""
        batches = []
        for stream, (name, rows) in enumerate(self.rows.items()):
            drawn = _drawn(rows, self.counts[name], step_generator(self.seed, stream, step))
            batches.append(self._take(name, drawn))
        return _joined(batches)

    def held_out(self) -> dict[str, Batch]:
        """Return held-out pairs of every stratum that has some."""
        generator = step_generator(self.seed, HELD_OUT_STREAM, 0)
        return {name: self._take(name, generator.permutation(rows)[: self.held]) for name, rows in self.rest.items()}

    def initial(self, count: int) -> Tensor:
        """Return both members of pairs that are fitted to, drawn as batches are."""
        generator = step_generator(self.seed, INITIAL_STREAM, 0)
        each = -(-count // (2 * len(self.rows)))
        drawn = np.concatenate([_drawn(rows, each, generator) for rows in self.rows.values()])
        return torch.from_numpy(np.concatenate((self.pairs.z_a[drawn], self.pairs.z_b[drawn]))[:count])

    def _take(self, name: str, rows: np.ndarray) -> Batch:
        z_a, z_b = torch.from_numpy(self.pairs.z_a[rows]), torch.from_numpy(self.pairs.z_b[rows])
        kind = torch.full((len(rows),), list(self.masks).index(name))
        mask = self.pairs.mask[torch.from_numpy(rows)].float()
        prior = torch.where(mask < 0, self.prior, mask)
        # Where it is not known what pairs share, this is what they correlate by on average.
        rho = correlations(self.factors, prior)
        batch = Batch(z_a, z_b, rho, _equal_weights(len(rows)), kind)
        return replace(batch, prior=prior, factors=self.factors) if self.partly else batch


def mask_prior(mask: Tensor) -> Tensor:
    """Return how often pairs share each factor (K+1,), among those of which it is known; 1/2 where it is of none.

    >>> mask_prior(torch.tensor([[1, -1], [1, -1], [0, -1], [-1, -1]], dtype=torch.int8))
    tensor([0.6000, 0.5000])
    """
    return ((mask == 1).sum(0) + 1) / ((mask >= 0).sum(0) + 2)


def _drawn(rows: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    return rows[(generator.random(count) * len(rows)).astype(np.int64)]


def _joined(batches: Sequence[Batch]) -> Batch:
    """Join batches of pairs so that each has the same weight in the whole."""
    return Batch(
        z_a=torch.cat([batch.z_a for batch in batches]),
        z_b=torch.cat([batch.z_b for batch in batches if batch.z_b is not None]),
        rho=torch.cat([batch.rho for batch in batches if batch.rho is not None]),
        weight=torch.cat([batch.weight / len(batches) for batch in batches]),
        kind=torch.cat([batch.kind for batch in batches if batch.kind is not None]),
        prior=torch.cat(priors) if (priors := [b.prior for b in batches if b.prior is not None]) else None,
        factors=batches[0].factors,
    )


def _sampled(table: LatentTable, rows: np.ndarray, generator: np.random.Generator) -> Tensor:
    noise = (
        generator.standard_normal((len(rows), table.noise_dim), np.float32) if table.stochastic else np.empty((0, 0))
    )
    return table.sample(rows, noise)


def _single(z: Tensor) -> Batch:
    return Batch(z, None, None, _equal_weights(len(z)))


def _equal_weights(count: int) -> Tensor:
    return torch.full((count,), 1 / count)
