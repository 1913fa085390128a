"""How well a translator separates concepts on held-out items: each explained by its own factor, and by all others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..interpretation.pieces import in_pieces
from ..latents.thinning import thin
from ..sizing.paired_latents import PairedLatents
from ..translator.factors import Factors
from ..translator.pair_moments import PairedRows, moments
from ..translator.spectrum import pair_spectrum

__all__ = ["Separation", "separate", "worse"]

FEATURES, ROWS = 256, 6000
# A difference within two standard errors is none; a net has those of two held-out correlations.
ERRORS = 2.0


@dataclass(frozen=True)
class Separation:
    """What the pairs of one concept have in common (share), or not (differ), on held-out items.

    Attributes:
        own: Σ of explained fractions over the dimensions of its factor; at most their number.
        elsewhere: the same of as many directions of all other factors, and of nonlinear features of them, which were
            found on the items fitted to.
        error: standard error of both, roughly.
    """

    own: float
    elsewhere: float
    error: float

    @property
    def net(self) -> float:
        """What its own factor tells beyond all others."""
        return self.own - self.elsewhere

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return asdict(self)


def separate(
    transform: Callable[[Tensor], Tensor], factors: Factors, latents: PairedLatents, device: torch.device
) -> dict[str, Separation]:
    """Measure every concept that has held-out pairs, with z̃ by `transform`, (B, N) -> (B, N)."""
    found = {}
    for fit, held in zip(latents.fit, latents.held_out, strict=True):
        if held is None:
            continue
        rows, rest = (_translated(transform, _thinned(each), device) for each in (fit, held))
        dims = factors.slice(fit.name)
        size = dims.stop - dims.start
        inside = replace(rest, z=rest.z[:, dims])
        measured = moments(inside.z, [inside], [], inside.z).fit[0]
        others = [_features(_without(each, dims)) for each in (rows, rest)]
        spectrum = pair_spectrum(
            others[0].z, [others[0]], held_out=[others[1]], sizes={fit.name: min(size, others[0].z.shape[1] - 1)}
        )
        count = len(np.unique(held.groups)) if fit.relation == "differ" else len(held.z)
        found[fit.name] = Separation(
            round(float(measured.explained(torch.eye(size, dtype=torch.float64)).sum()), 4),
            round(float(np.clip(spectrum.concepts[0].held_out, 0, None).sum()), 4),
            round((size / max(1, count)) ** 0.5, 4),
        )
    return found


def worse(found: dict[str, Separation], start: dict[str, Separation]) -> list[str]:
    """Name the concepts that `found` separates worse than `start` does, by more than chance.

    What counts is the net, so that a factor which tells more of its concept may leave a little more elsewhere.
    """
    return [name for name, before in start.items() if before.net - found[name].net > ERRORS * 2**0.5 * before.error]


def _translated(transform: Callable[[Tensor], Tensor], rows: PairedRows, device: torch.device) -> PairedRows:
    return replace(
        rows, z=torch.cat(list(in_pieces(len(rows.z), rows.z.__getitem__, transform, device, is_concurrent=True)))
    )


def _thinned(rows: PairedRows) -> PairedRows:
    """Keep some thousands of rows."""
    if len(rows.z) <= ROWS:
        return rows
    kept = thin(rows.groups, ROWS, np.random.default_rng(0))
    return replace(rows, z=rows.z[torch.from_numpy(kept)], groups=rows.groups[kept])


def _without(rows: PairedRows, dims: slice) -> PairedRows:
    return replace(rows, z=torch.cat((rows.z[:, : dims.start], rows.z[:, dims.stop :]), dim=1))


def _features(rows: PairedRows) -> PairedRows:
    """Add random rectified projections, which tell what a small network would find."""
    generator = torch.Generator().manual_seed(0)
    dim = rows.z.shape[1]
    weight = torch.randn(dim, FEATURES, generator=generator) / dim**0.5
    bias = torch.randn(FEATURES, generator=generator)
    return replace(rows, z=torch.cat((rows.z, torch.relu(rows.z @ weight + bias)), dim=1))
