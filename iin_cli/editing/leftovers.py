"""Learn what other factors keep of erased ones, from pairs that differ in the erased concepts alone.

z̃ is split into f, the erased dimensions, and r, all others. Members a, b of a pair of a *differ* concept are alike in
everything but the concept, so that r should not tell them apart: δ(f, r) = g(f, r) − g(0, r) (`Leftovers`)
is fitted, with an affine map A that is used in the fit only, to

    E ‖r' + A(r') − r_b‖²  with  r' = r_a − δ(f_a, r_a),

so that r' is what the image itself tells of r in another rendering. A stands for what an average rendering adds: r' is
as at f = 0. The target r_b stays as it is, or all could be made alike by making all 0. What merely goes with the
concept in biased data is alike in both members, and stays. Pairs that share a concept cannot tell the two apart:
nothing is learned from these.

Weights are kept only where they are better on held-out pairs than nothing. Wide latents with few images may show
nothing there, although other factors do keep something: they are left as they are, and probes say what is told.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import DataError
from ..interpretation.open_translator import OpenTranslator
from ..latents.pairs import PairSampler, step_generator
from ..latents.splitting import held_out_mask
from ..plan import WIDE
from ..progress import Reporter, Silent
from ..translator.erasing import Leftovers
from ..translator.pair_moments import PairedRows

__all__ = ["Learned", "learn_leftovers"]

STEPS, FEWEST_STEPS, PAIRS = 1500, 200, 512
# How often every row is seen in its pairs, of few rows.
EPOCHS = 50
VALIDATE_EVERY, HELD_OUT_PAIRS = 100, 4096
RATE, DECAY = 3e-3, 1e-2
STREAM = 500


@dataclass(frozen=True)
class Learned:
    """Leftovers that were found.

    Attributes:
        rows: latents in pairs that they were learned from.
        distance_before, distance: mean squared distance between the r of two held-out twins, per dimension, before and
            after they are taken out.
    """

    leftovers: Leftovers
    rows: int
    distance_before: float
    distance: float
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "rows": self.rows,
            "twin_distance_before": round(self.distance_before, 4),
            "twin_distance": round(self.distance, 4),
            "seed": self.seed,
        }


def learn_leftovers(
    opened: OpenTranslator,
    names: Sequence[str],
    fit: Sequence[PairedRows],
    held_out: Sequence[PairedRows | None],
    seed: int,
    report: Reporter | None = None,
) -> Learned | None:
    """Fit δ to the pairs whose concepts are to be erased; None where it explains nothing of held-out pairs.

    Args:
        names: the factors to erase, of whose concepts those count whose pairs differ in them.
        fit: latents z in groups, of every concept.
        held_out: the same of items that no fit sees; None where no two of these make a pair.

    Deterministic by `seed`. Raises DataError where no concept of `names` has pairs that differ in it.
    """
    report = report or Silent()
    sides = [
        side
        for rows, held in zip(fit, held_out, strict=True)
        if rows.name in names and rows.relation == "differ"
        for side in _sides(rows, held)
    ]
    if not sides:
        raise DataError(f"there are no pairs that differ in {', '.join(names)} alone")
    twins = [_Twins.of(opened, names, rows) for rows in sides]
    return _fitted(twins[::2], twins[1::2], seed, opened.device, report)


def _sides(fit: PairedRows, held: PairedRows | None) -> tuple[PairedRows, PairedRows]:
    """Return rows to fit to, and rows to judge by: where none are held out, those of a tenth of the groups."""
    if held is not None:
        return fit, held
    out = held_out_mask(fit.groups)
    rest, held = (
        PairedRows(fit.name, fit.relation, fit.z[torch.from_numpy(rows)], fit.groups[rows]) for rows in (~out, out)
    )
    return rest, held


@dataclass(frozen=True)
class _Pairs:
    """Pairs of rows: f (P, F) and r (P, R) of either member."""

    f_a: Tensor
    r_a: Tensor
    f_b: Tensor
    r_b: Tensor

    def loss(self, leftovers: Leftovers, average: nn.Module) -> Tensor:
        """Return how far r_a without leftovers, and with those of an average rendering, is from r_b."""
        without = self.r_a - leftovers(self.f_a, self.r_a)
        return (without + average(without) - self.r_b).square().mean()

    def distance(self, leftovers: Leftovers, _: nn.Module) -> Tensor:
        """Return how far both are from each other without leftovers."""
        return (self.r_a - leftovers(self.f_a, self.r_a) - self.r_b + leftovers(self.f_b, self.r_b)).square().mean()


@dataclass(frozen=True)
class _Twins:
    """Rows f (M, F) and r (M, R) of z̃, and the pairs they make."""

    f: Tensor
    r: Tensor
    sampler: PairSampler

    @classmethod
    def of(cls, opened: OpenTranslator, names: Sequence[str], rows: PairedRows) -> _Twins:
        z_tilde = opened.transform(rows.z)
        erased = torch.zeros(z_tilde.shape[1], dtype=torch.bool)
        for name in names:
            erased[opened.factors.slice(name)] = True
        sampler = PairSampler.of(np.arange(len(rows.z)), rows.groups, rows.name)
        return cls(z_tilde[:, erased], z_tilde[:, ~erased], sampler)

    def draw(self, count: int, generator: np.random.Generator, device: torch.device) -> _Pairs:
        """Draw `count` pairs."""
        a, b = (torch.from_numpy(rows) for rows in self.sampler.draw(count, generator))
        return _Pairs(*(part[rows].to(device) for rows in (a, b) for part in (self.f, self.r)))


class _Average(nn.Module):
    """A(r): an affine map, of wide latents a constant; 0 before the fit."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(dim))
        self.change = nn.Parameter(torch.zeros(dim, dim)) if dim <= WIDE else None

    def forward(self, r: Tensor) -> Tensor:
        """Return A(r) (B, R) of r (B, R)."""
        return self.shift + (r @ self.change if self.change is not None else 0.0)


def _fitted(
    fit: Sequence[_Twins], held: Sequence[_Twins], seed: int, device: torch.device, report: Reporter
) -> Learned | None:
    """Take AdamW's steps with a rate that falls to 0, and keep the weights that are best on held-out pairs."""
    rows = sum(len(each.f) for each in fit)
    steps = int(np.clip(EPOCHS * rows // PAIRS, FEWEST_STEPS, STEPS))
    leftovers = Leftovers(fit[0].f.shape[1], fit[0].r.shape[1], seed=seed).to(device)
    average = _Average(fit[0].r.shape[1]).to(device)
    optimiser = torch.optim.AdamW([*leftovers.parameters(), *average.parameters()], lr=RATE, weight_decay=DECAY)
    falling = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    drawn = step_generator(seed, STREAM + 1, 0)
    judged = [each.draw(HELD_OUT_PAIRS, drawn, device) for each in held]

    def mean(figure: Callable[[_Pairs, Leftovers, nn.Module], Tensor], of: Sequence[_Pairs]) -> Tensor:
        return torch.stack([figure(pairs, leftovers, average) for pairs in of]).mean()

    # Nothing is taken out yet.
    with torch.no_grad():
        before, best = (float(mean(figure, judged)) for figure in (_Pairs.distance, _Pairs.loss))
    kept = None
    with report.task("learning what other factors keep", steps, "steps") as task:
        for step in range(1, steps + 1):
            generator = step_generator(seed, STREAM, step)
            loss = mean(_Pairs.loss, [each.draw(PAIRS // len(fit), generator, device) for each in fit])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            falling.step()
            task.advance(loss=float(loss.detach()))
            if step % VALIDATE_EVERY == 0 or step == steps:
                with torch.no_grad():
                    found = float(mean(_Pairs.loss, judged))
                if found < best:
                    best, kept = found, copy.deepcopy(leftovers.state_dict())
    if kept is None:
        return None
    leftovers.load_state_dict(kept)
    leftovers.eval().requires_grad_(False)
    return Learned(leftovers, rows, before, float(mean(_Pairs.distance, judged)), seed)
