"""Latents of any network from a safetensors file: `z` (M, N), or pairs `z_a`, `z_b` (P, N) with `mask` (P, K+1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data.latents import Latents
from ..errors import DataError, UsageError
from ..io import checkpoint
from ..plugin_api import Relation
from ..progress import Reporter
from ..translator.dims import Estimator, score
from .grouping import LatentTable, held_out_mask
from .latent_files import open_tensors

__all__ = ["PairFile", "held_out_rows", "read_pairs", "split_pairs"]

PAIR_NAMES = ("z_a", "z_b", "mask")


@dataclass(frozen=True)
class PairFile:
    """What the file holds: a `table` of single latents, or pairs with their `mask`, whose columns are `names`."""

    path: Path
    sha256: str
    names: tuple[str, ...]
    table: LatentTable | None
    z_a: Tensor
    z_b: Tensor
    mask: Tensor

    @property
    def dim(self) -> int:
        """N."""
        return self.z_a.shape[1]

    @property
    def rows(self) -> int:
        """How many latents there are."""
        return len(self.z_a) + len(self.z_b)

    @property
    def relations(self) -> dict[str, Relation]:
        """How each concept's pairs relate. DataError for a concept without at least two."""
        return {name: self._pairs_of(name)[0] for name in self.names[:-1]}

    def scores(self, estimator: Estimator) -> dict[str, float]:
        """Score every concept on its own pairs (Eq 11)."""
        scores = {}
        for name in self.names[:-1]:
            relation, rows = self._pairs_of(name)
            scores[name] = score(self.z_a[rows], self.z_b[rows], relation, estimator)
        return scores

    def _pairs_of(self, name: str) -> tuple[Relation, Tensor]:
        """Return the pairs, bool (P,), that say most of `name`: sharing it alone, else with others, else all but it."""
        mask, column = self.mask.bool(), self.names.index(name)
        own = torch.zeros(len(self.names), dtype=torch.bool)
        own[column] = True
        alone, all_but = (mask == own).all(1), (mask == ~own).all(1)
        # A pair that shares the residual differs in something, rather than sharing something.
        with_others = mask[:, column] & ~mask[:, -1]
        candidates: list[tuple[Relation, Tensor]] = [("share", alone), ("share", with_others), ("differ", all_but)]
        for relation, rows in candidates:
            if int(rows.sum()) >= 2:
                return relation, rows
        raise DataError(f"{self.path} has {int(with_others.sum())} pairs that share {name}: needs at least 2")


def read_pairs(path: Path, concepts: Sequence[str]) -> PairFile:
    """Read `path` for the factors `concepts` and the residual.

    Without concepts `z` is read, and pairs are taken as single latents. Raises CheckpointError for an unfit file and
    DataError for tensors that are missing, of the wrong shape, or not finite.
    """
    if len(set(concepts)) != len(concepts) or "residual" in concepts:
        raise UsageError("--concept: names must differ, and residual is taken by what no concept explains")
    tensors = _read(path)
    names = (*concepts, "residual")
    if concepts:
        z_a, z_b, mask = _pairs(path, tensors, names)
        table = None
    else:
        z_a = _singles(path, tensors)
        z_b, mask = z_a[:0], torch.zeros(0, 1, dtype=torch.uint8)
        table = LatentTable([Latents(z_a.numpy(), None)])
    if len(z_a) + len(z_b) < z_a.shape[1]:
        raise DataError(f"{path} has {len(z_a) + len(z_b)} latents, fewer than their {z_a.shape[1]} dimensions")
    if not (z_a != z_a[0]).any() and not (z_b != z_a[0]).any():
        raise DataError(f"{path}: the latents do not vary: every item has the same z")
    return PairFile(path, checkpoint.digest(path), names, table, z_a, z_b, mask)


def held_out_rows(file: PairFile) -> np.ndarray:
    """Choose the single latents held out, bool (M,); equal ones are on one side."""
    return held_out_mask(_identities(file.z_a))


def split_pairs(file: PairFile, report: Reporter) -> tuple[np.ndarray, np.ndarray]:
    """Choose the pairs to fit on and those held out, both bool (P,), so that no latent occurs on both sides.

    Pairs that share a latent are connected; whole components are held out. Where nearly all pairs are connected,
    latents are held out instead, and pairs with one member on each side are left out of both.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    identity = _identities(torch.cat((file.z_a, file.z_b)))
    a, b = identity[: len(file.z_a)], identity[len(file.z_a) :]
    size = int(identity.max()) + 1
    _, component = connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(size, size)), directed=False)
    held_out = held_out_mask(component[a])
    if 0.01 < held_out.mean() < 0.5:
        return ~held_out, held_out
    out_a, out_b = np.split(held_out_mask(identity), 2)
    bridges = out_a ^ out_b
    report.note(
        f"{file.path}: its pairs are connected by common latents; {bridges.sum()} of {len(a)} are left out, "
        "so that held-out pairs have none in common with the others"
    )
    if not (out_a & out_b).any() or not (~out_a & ~out_b).any():
        raise DataError(f"{file.path}: the pairs have too many latents in common to hold some out: give more pairs")
    return ~out_a & ~out_b, out_a & out_b


def _identities(z: Tensor) -> np.ndarray:
    """Number the distinct rows of z (M, N): equal rows have one number; (M,)."""
    rows = np.ascontiguousarray(z.numpy()).view([("", z.numpy().dtype)] * z.shape[1]).ravel()
    return np.unique(rows.view(f"V{rows.itemsize}"), return_inverse=True)[1]


def _read(path: Path) -> dict[str, Tensor]:
    wanted = {"z", *PAIR_NAMES}
    with open_tensors(path) as content:
        return {name: content.get_tensor(name) for name in content.keys() if name in wanted}  # noqa: SIM118 - no mapping


def _pairs(path: Path, tensors: dict[str, Tensor], names: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    if missing := [name for name in PAIR_NAMES if name not in tensors]:
        raise DataError(f"{path} has no {', '.join(missing)}: pairs need z_a, z_b and mask; it has {_listed(tensors)}")
    z_a, z_b = (_checked(path, name, tensors[name]) for name in ("z_a", "z_b"))
    if z_a.shape != z_b.shape:
        raise DataError(f"{path}: z_a is {tuple(z_a.shape)} and z_b {tuple(z_b.shape)}; they must be alike")
    return z_a, z_b, _mask(path, tensors["mask"], len(z_a), names)


def _singles(path: Path, tensors: dict[str, Tensor]) -> Tensor:
    names = ["z"] if "z" in tensors else [name for name in ("z_a", "z_b") if name in tensors]
    if not names:
        raise DataError(f"{path} has no z: it has {_listed(tensors)}")
    parts = [_checked(path, name, tensors[name]) for name in names]
    if len({part.shape[1] for part in parts}) > 1:
        raise DataError(f"{path}: z_a is {tuple(parts[0].shape)} and z_b {tuple(parts[1].shape)}; they must be alike")
    return torch.cat(parts)


def _checked(path: Path, name: str, value: Tensor) -> Tensor:
    if value.ndim != 2 or value.shape[1] < 2 or not len(value):
        raise DataError(f"{path}: {name} has shape {tuple(value.shape)}, needs (rows, N) with N of at least 2")
    if value.is_complex():
        raise DataError(f"{path}: {name} is complex, needs real numbers")
    value = value.float()
    finite = torch.isfinite(value).all(1)
    if not finite.all():
        raise DataError(f"{path}: {name} is not finite in row {int((~finite).nonzero()[0])}")
    return value


def _mask(path: Path, mask: Tensor, count: int, names: Sequence[str]) -> Tensor:
    if mask.shape != (count, len(names)):
        raise DataError(
            f"{path}: mask has shape {tuple(mask.shape)}, needs ({count}, {len(names)}) "
            f"with the columns {', '.join(names)}"
        )
    if not ((mask == 0) | (mask == 1)).all():
        raise DataError(f"{path}: mask holds values other than 0 and 1")
    return mask.to(torch.uint8)


def _listed(tensors: dict[str, Tensor]) -> str:
    return ", ".join(tensors) or "none of z, z_a, z_b, mask"
