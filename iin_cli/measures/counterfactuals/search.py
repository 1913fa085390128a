"""The smallest ‖Δz̃‖ with which a class is said: a point of a border that is nearest to where one stands.

In z̃ a factor is N(0, 1), so this is the design point of structural reliability: the point of a limit state g = 0 that
is nearest to the origin of a standard normal space. It is found by the iteration of Hasofer and Lind (1974) and
Rackwitz and Fiessler (1978), u ← (∇g·u − g) ∇g / ‖∇g‖², from several starts; here u = Δz̃, and g is the lead of the
target.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .saying import Saying

__all__ = ["Problems", "smallest_edits"]

# Each costs a gradient of every start; the last ones change the third digit.
ITERATIONS = 24
BISECTIONS = 14
# Nats by which the target leads after an edit, so that rounding does not undo it; the iteration aims a little further.
LEAD, AIM = 2e-3, 2e-2
FLAT = 1e-12


@dataclass(frozen=True)
class Problems:
    """P edits to be found.

    Attributes:
        start: z̃ (P, N).
        free: which dimensions may change, bool (P, N).
        target: class to be said, int64 (P,).
        radius: of the largest edit that counts, (P,).
    """

    start: Tensor
    free: Tensor
    target: Tensor
    radius: Tensor

    def __len__(self) -> int:
        return len(self.start)


def smallest_edits(problems: Problems, saying: Saying, guesses: Tensor) -> tuple[Tensor, Tensor]:
    """Find the smallest Δz̃ within the radius with which the target is said.

    Args:
        guesses: where it may be said, z̃ (P, S, N); only their free dimensions count. A start without any edit is added.

    Returns the edits (P, N) and whether there is one, bool (P,); an edit that is not there is 0. Deterministic.
    """
    count, tried = len(problems), guesses.shape[1] + 1
    rows = torch.arange(count).repeat_interleave(tried)
    each = Problems(problems.start[rows], problems.free[rows], problems.target[rows], problems.radius[rows])
    away = torch.cat((problems.start[:, None], guesses), 1).flatten(0, 1) - each.start
    edit = torch.where(each.free, away, 0.0)
    best, found = _descend(each, saying, edit)
    size = torch.where(found, best.norm(dim=1), torch.inf).view(count, tried)
    chosen = size.argmin(1) + tried * torch.arange(count)
    best, found = _shrunk(problems, saying, best[chosen], found[chosen])
    found &= best.norm(dim=1) <= problems.radius
    return torch.where(found[:, None], best, 0.0), found


def _descend(problems: Problems, saying: Saying, edit: Tensor) -> tuple[Tensor, Tensor]:
    """Follow the iteration from `edit` (P, N); returns the smallest edit seen that works, and whether any did."""
    works = saying.margin(problems.start + edit, problems.target) >= LEAD
    edit, found = _shrunk(problems, saying, edit, works, BISECTIONS // 2)
    best, bold = edit.clone(), torch.ones(len(edit))
    lead, slope = _seen(problems, saying, edit)
    for _ in range(ITERATIONS):
        move = _move(problems, edit, lead, slope)
        # A price of the lead that is lacking at which the border pays (Zhang and Der Kiureghian 1995).
        size = torch.maximum(edit.norm(dim=1), (edit + move).norm(dim=1))
        price = 2 * size / slope.norm(dim=1).clamp_min(FLAT)
        tried = edit + bold[:, None] * move
        lead_there, slope_there = _seen(problems, saying, tried)
        better = (lead_there >= LEAD) & (~found | (tried.norm(dim=1) < best.norm(dim=1)))
        best, found = torch.where(better[:, None], tried, best), found | better
        accepted = _merit(tried, lead_there, price) < _merit(edit, lead, price)
        edit, slope = (torch.where(accepted[:, None], new, old) for new, old in ((tried, edit), (slope_there, slope)))
        lead = torch.where(accepted, lead_there, lead)
        bold = torch.where(accepted, (2 * bold).clamp_max(1.0), bold / 2)
    return best, found


def _seen(problems: Problems, saying: Saying, edit: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lead of the target after an edit (P,) and its slope in the dimensions that may change (P, N)."""
    lead, slope = saying.margin_and_slope(problems.start + edit, problems.target)
    return lead, torch.where(problems.free & slope.isfinite(), slope, 0.0)


def _move(problems: Problems, edit: Tensor, lead: Tensor, slope: Tensor) -> Tensor:
    """Return the way to the nearest point of the border as it looks from here, (P, N)."""
    steepness = slope.square().sum(1).clamp_min(FLAT)
    length = ((slope * edit).sum(1) - lead + AIM) / steepness
    move = length[:, None] * slope - edit
    # Far away the border looks other than from here: no step is longer than a third of the radius.
    return move * (problems.radius / 3 / move.norm(dim=1).clamp_min(FLAT)).clamp_max(1.0)[:, None]


def _merit(edit: Tensor, lead: Tensor, price: Tensor) -> Tensor:
    """Weigh the size of an edit against the lead that is lacking, (P,); not finite where the lead is not."""
    return 0.5 * edit.square().sum(1) + price * (AIM - lead).clamp_min(0.0)


def _shrunk(
    problems: Problems, saying: Saying, edit: Tensor, works: Tensor, bisections: int = BISECTIONS
) -> tuple[Tensor, Tensor]:
    """Shorten the edits (P, N) that work towards no edit until just before they no longer do, by bisection."""
    low, high = torch.zeros(len(edit)), torch.ones(len(edit))
    chosen = works.nonzero().flatten()
    start, target = problems.start[chosen], problems.target[chosen]
    for _ in range(bisections if len(chosen) else 0):
        middle = (low + high)[chosen] / 2
        works_still = saying.margin(start + middle[:, None] * edit[chosen], target) >= LEAD
        high[chosen] = torch.where(works_still, middle, high[chosen])
        low[chosen] = torch.where(works_still, low[chosen], middle)
    return edit * high[:, None], works
