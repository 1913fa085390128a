"""Read latents of any network from a safetensors file: `z` (M, N), or `z_a`, `z_b` (P, N) with `mask` (P, K+1).

A mask holds 1 where a pair shares the factor, 0 where it does not, and −1 (255 in uint8) where that is not known.

The latents stay in the file. It is read through once, in blocks, to check it and to find equal latents; after that a
few rows are read at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, UsageError
from ..io import checkpoint
from ..latents.cache import Latents, MappedRows
from ..latents.files import StoredTensor, check_finite, map_rows, open_tensors, stored_tensors, verified
from ..latents.pairs import step_generator
from ..latents.splitting import held_out_mask
from ..latents.table import LatentTable
from ..plugin_api import Relation
from ..progress import Reporter
from ..sizing.paired_latents import PairedLatents, most_rows
from ..translator.dims import Estimator, score
from ..translator.factors import RESIDUAL
from ..translator.pair_moments import PairedRows

__all__ = ["PairFile", "held_out_rows", "paired_latents", "pairs_in_memory", "read_pairs", "split_pairs"]

PAIR_NAMES = ("z_a", "z_b", "mask")
DIGEST_SIZE = 16
# Scores are computed in float64, in several copies: half a GiB at most.
SCORE_NUMBERS, SCORE_SEED = 2**23, 20200614
SPECTRUM_STREAM = 400


@dataclass(frozen=True)
class PairFile:
    """What a file holds, or what was given in memory: pairs, or single latents.

    Attributes:
        called: what messages call it; `path`: the file, None in memory.
        names: the factors, the residual last.
        parts: `z_a` and `z_b`, or the tensors of single latents; they stay in the file.
        digests: 16 bytes for every row of each part; equal rows have equal digests.
        mask: int8 (P, K+1), one column per factor, −1 for what is not known; None for single latents.
    """

    called: str
    path: Path | None
    sha256: str
    names: tuple[str, ...]
    parts: tuple[MappedRows | np.ndarray, ...]
    digests: tuple[np.ndarray, ...]
    mask: Tensor | None

    @property
    def dim(self) -> int:
        """N."""
        return self.parts[0].shape[1]

    @property
    def rows(self) -> int:
        """How many latents there are."""
        return sum(map(len, self.parts))

    @property
    def table(self) -> LatentTable:
        """All latents, one part after the other."""
        names = ("z_a", "z_b") if len(self.parts) == 2 else ("z",)

        def called(row: int) -> str:
            part, own = divmod(row, len(self.parts[0]))
            return f"row {own} of {names[part]}"

        return LatentTable([Latents(part, None) for part in self.parts], called)

    @property
    def relations(self) -> dict[str, Relation]:
        """How each concept's pairs relate; DataError for a concept with fewer than two."""
        return {name: self.pairs_of(name)[0] for name in self.names[:-1]}

    def scores(self, estimator: Estimator) -> dict[str, float]:
        """Score every concept on its own pairs (Eq 11), or on as many of them as fit into memory."""
        scores = {}
        for name in self.names[:-1]:
            relation, rows = self.pairs_of(name)
            numbers = np.flatnonzero(rows.numpy())
            if len(numbers) > (most := max(1000, SCORE_NUMBERS // self.dim)):
                numbers = np.sort(step_generator(SCORE_SEED, 0, 0).permutation(numbers)[:most])
            z_a, z_b = (torch.from_numpy(part[numbers]) for part in self.parts)
            scores[name] = score(z_a, z_b, relation, estimator)
        return scores

    def pairs_of(self, name: str) -> tuple[Relation, Tensor]:
        """Return the pairs, bool (P,), that isolate `name` best: sharing it alone, or with others, or all but it."""
        mask, column = torch.as_tensor(self.mask), self.names.index(name)
        own = torch.zeros(len(self.names), dtype=mask.dtype)
        own[column] = 1
        # What is not known equals neither.
        alone, all_but = (mask == own).all(1), (mask == 1 - own).all(1)
        # A pair that shares the residual is one that differs in something.
        with_others = (mask[:, column] == 1) & (mask[:, -1] == 0)
        candidates: list[tuple[Relation, Tensor]] = [("share", alone), ("share", with_others), ("differ", all_but)]
        for relation, rows in candidates:
            # Few of which everything is known tell less than many that share other things as well.
            if int(rows.sum()) >= (self.dim if self.unknown else 2):
                return relation, rows
        relation, rows = max(candidates, key=lambda each: int(each[1].sum()))
        if int(rows.sum()) >= 2:
            return relation, rows
        known = "" if (mask >= 0).all() else " as far as is known"
        raise DataError(f"{self.called} has {int(with_others.sum())} pairs that share {name}{known}: needs at least 2")

    @property
    def unknown(self) -> int:
        """How many pairs there are of which something is not known."""
        return 0 if self.mask is None else int((self.mask < 0).any(1).sum())


def read_pairs(path: Path, concepts: Sequence[str]) -> PairFile:
    """Read `path` for the factors `concepts` and the residual; without concepts `z`, or pairs as single latents.

    Raises CheckpointError for a damaged file, UsageError for names that cannot be, and DataError for tensors that are
    missing, of the wrong shape, or not finite.
    """
    if len(set(concepts)) != len(concepts) or "residual" in concepts:
        raise UsageError("--concept: names must differ, and residual is taken by what no concept explains")
    tensors = {name: tensor for name, tensor in stored_tensors(verified(path)).items() if name in ("z", *PAIR_NAMES)}
    names, called = (*concepts, "residual"), str(path)
    parts, mask = _pairs(path, tensors, names) if concepts else (_singles(path, tensors), None)
    count, dim = sum(map(len, parts.values())), next(iter(parts.values())).shape[1]
    if count < dim:
        raise DataError(f"{path} has {count} latents, fewer than their {dim} dimensions")
    digests = tuple(_digests(part.blocks(), f"{path}: {name}") for name, part in parts.items())
    _require_variation(called, digests)
    return PairFile(called, path, checkpoint.digest(path), names, tuple(parts.values()), digests, mask)


def pairs_in_memory(z_a: Tensor, z_b: Tensor, mask: Tensor, concepts: Sequence[str]) -> PairFile:
    """Take pairs z_a, z_b (P, N) with a mask (P, K+1) as those of a file; errors as `read_pairs`."""
    names, parts = (*concepts, RESIDUAL), (z_a.numpy(), z_b.numpy())
    if z_a.shape != z_b.shape:
        raise DataError(f"z_a is {tuple(z_a.shape)} and z_b {tuple(z_b.shape)}; they must be alike")
    known = _mask("the pairs", mask, len(z_a), names)
    if 2 * len(z_a) < z_a.shape[1]:
        raise DataError(f"the pairs have {2 * len(z_a)} latents, fewer than their {z_a.shape[1]} dimensions")
    digests = tuple(_digests(iter([part]), "the pairs") for part in parts)
    _require_variation("the pairs", digests)
    sha256 = hashlib.sha256(b"".join(digest.tobytes() for digest in digests)).hexdigest()
    return PairFile("the pairs", None, sha256, names, parts, digests, known)


def held_out_rows(file: PairFile) -> np.ndarray:
    """Choose the single latents to hold out, bool (M,); equal ones are all held out, or none is."""
    return held_out_mask(_identities(file))


def split_pairs(file: PairFile, report: Reporter) -> tuple[np.ndarray, np.ndarray]:
    """Choose the pairs to fit to and those to hold out, both bool (P,), so that no latent occurs on both sides.

    Pairs that share a latent are connected; whole components are held out. Where nearly all pairs are connected,
    latents are held out instead, and pairs with one member on each side are left out of both.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    identity = _identities(file)
    a, b = np.split(identity, 2)
    size = int(identity.max()) + 1
    _, component = connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(size, size)), directed=False)
    held_out = held_out_mask(component[a])
    if 0.01 < held_out.mean() < 0.5:
        return ~held_out, held_out
    out_a, out_b = np.split(held_out_mask(identity), 2)
    bridges = out_a ^ out_b
    report.note(
        f"{file.called}: its pairs are connected by common latents; {bridges.sum()} of {len(a)} are left out, "
        "so that held-out pairs have none in common with the others"
    )
    if not (out_a & out_b).any() or not (~out_a & ~out_b).any():
        raise DataError(f"{file.called}: the pairs have too many latents in common to hold some out: give more pairs")
    return ~out_a & ~out_b, out_a & out_b


def paired_latents(file: PairFile, fit: np.ndarray, held_out: np.ndarray, seed: int) -> PairedLatents:
    """Take the pairs of a file, of which `fit` are fitted to and `held_out` held out, both bool (P,)."""

    def members(chosen: np.ndarray, stream: int) -> torch.Tensor:
        generator = step_generator(seed, SPECTRUM_STREAM + stream, 0)
        rows = np.sort(generator.permutation(np.flatnonzero(chosen))[: most_rows(file.dim) // 2])
        return torch.cat([torch.from_numpy(part[rows]) for part in file.parts])

    def paired(name: str, among: np.ndarray, stream: int) -> PairedRows | None:
        relation, own = file.pairs_of(name)
        if (chosen := own.numpy() & among).sum() < 2:
            return None
        z = members(chosen, stream)
        return PairedRows(name, relation, z, np.tile(np.arange(len(z) // 2), 2))

    trained, held = [], []
    for number, name in enumerate(file.names[:-1]):
        # A concept whose few pairs are all held out is still sized by them.
        rows = paired(name, fit, 2 * number + 1) or paired(name, fit | held_out, 2 * number + 1)
        if rows is None:
            raise DataError(f"{file.called}: too few pairs of {name} are left to fit to: give more")
        trained.append(rows)
        held.append(paired(name, held_out, 2 * number + 2))
    z = members(fit, 0)
    return PairedLatents(z, z[: len(z) // 2], trained, held)


def _identities(file: PairFile) -> np.ndarray:
    """Number the distinct latents of a file in their order, (rows,): equal ones have one number.

    The digests only tell them apart: latents in other units are held out alike.
    """
    _, first, inverse = np.unique(np.concatenate(file.digests), return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _digests(blocks: Iterator[np.ndarray], name: str) -> np.ndarray:
    """Return 16 bytes for each row (M,); DataError names the first row that is not finite."""
    digests = bytearray()
    for block in blocks:
        check_finite(torch.from_numpy(block), name, start=len(digests) // DIGEST_SIZE)
        for row in block:
            digests += hashlib.blake2b(row, digest_size=DIGEST_SIZE).digest()
    return np.frombuffer(bytes(digests), f"V{DIGEST_SIZE}")


def _require_variation(called: str, digests: Sequence[np.ndarray]) -> None:
    if all((digest == digests[0][0]).all() for digest in digests):
        raise DataError(f"{called}: the latents do not vary: every item has the same z")


def _pairs(path: Path, tensors: dict[str, StoredTensor], names: Sequence[str]) -> tuple[dict[str, MappedRows], Tensor]:
    if missing := [name for name in PAIR_NAMES if name not in tensors]:
        raise DataError(f"{path} has no {', '.join(missing)}: pairs need z_a, z_b and mask; it has {_listed(tensors)}")
    parts = {name: map_rows(tensors[name]) for name in ("z_a", "z_b")}
    if parts["z_a"].shape != parts["z_b"].shape:
        raise DataError(f"{path}: z_a is {parts['z_a'].shape} and z_b {parts['z_b'].shape}; they must be alike")
    with open_tensors(path) as content:
        mask = content.get_tensor("mask")
    return parts, _mask(str(path), mask, len(parts["z_a"]), names)


def _singles(path: Path, tensors: dict[str, StoredTensor]) -> dict[str, MappedRows]:
    names = ["z"] if "z" in tensors else [name for name in ("z_a", "z_b") if name in tensors]
    if not names:
        raise DataError(f"{path} has no z: it has {_listed(tensors)}")
    parts = {name: map_rows(tensors[name]) for name in names}
    if len({part.shape[1] for part in parts.values()}) > 1:
        raise DataError(f"{path}: z_a is {parts['z_a'].shape} and z_b {parts['z_b'].shape}; they must be alike")
    return parts


def _mask(called: str, mask: Tensor, count: int, names: Sequence[str]) -> Tensor:
    if mask.shape != (count, len(names)):
        raise DataError(
            f"{called}: mask has shape {tuple(mask.shape)}, needs ({count}, {len(names)}) "
            f"with the columns {', '.join(names)}"
        )
    # Unsigned bytes have no −1: it becomes 255 there.
    unknown = mask == (255 if mask.dtype == torch.uint8 else -1)
    if not ((mask == 0) | (mask == 1) | unknown).all():
        raise DataError(f"{called}: mask holds values other than 0, 1 and −1 (not known; 255 in uint8)")
    return torch.where(unknown, -1, mask.to(torch.int16)).to(torch.int8)


def _listed(tensors: dict[str, StoredTensor]) -> str:
    return ", ".join(tensors) or "none of z, z_a, z_b, mask"
