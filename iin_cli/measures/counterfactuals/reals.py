"""Real images that edits are judged by: how likely T finds them, and what their factors are like, class by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ...interpretation.open_translator import OpenTranslator
from ...interpretation.reading import Reading
from ...translator.likelihood import nll
from .saying import Saying

__all__ = ["Reals", "nll_of"]

# Ends of the band in which 99 % of real images lie.
BAND = (0.005, 0.995)
# Real images of the target class whose factors an edit starts from, besides their mean.
DONORS = 3


@dataclass(frozen=True)
class Reals:
    """R real images.

    Attributes:
        z_tilde: (R, N).
        nll: −log p(z) in nats, ascending (R,).
        says: the class said of each, int64 (R,).
    """

    opened: OpenTranslator
    z_tilde: Tensor
    nll: Tensor
    says: Tensor

    @classmethod
    def of(cls, reading: Reading, saying: Saying) -> Self:
        """Take the items of `reading`; best those that T was not fitted to, since it finds those likelier."""
        return cls(
            reading.opened,
            reading.z_tilde,
            nll_of(reading.opened, reading.z).sort().values,
            saying.of_edits(reading.z_tilde).argmax(1),
        )

    @property
    def band(self) -> tuple[float, float]:
        """The nats between which 99 % of the images lie."""
        low, high = torch.quantile(self.nll.double(), torch.tensor(BAND, dtype=torch.float64)).tolist()
        return low, high

    def percentile(self, z: Tensor) -> Tensor:
        """Return the share of real images that are likelier than each z (B, N), in per cent (B,)."""
        return 100 * torch.searchsorted(self.nll, nll_of(self.opened, z)) / len(self.nll)

    def inside(self, z: Tensor) -> Tensor:
        """Say which z (B, N) are as likely as 99 % of real images are, bool (B,)."""
        low, high = self.band
        found = nll_of(self.opened, z)
        return (found >= low) & (found <= high)

    def guesses(self, start: Tensor, free: Tensor, target: Tensor) -> Tensor:
        """Say where the target may be said, (P, S, N): the mean of the class, and its images nearest in the factor.

        Where no real image is given the class the start itself stands in.
        """
        found = start[:, None].repeat(1, 1 + DONORS, 1)
        for row in range(len(start)):
            own = self.z_tilde[self.says == target[row]]
            if len(own):
                where = free[row]
                near = (own[:, where] - start[row, where]).norm(dim=1).argsort()[:DONORS]
                found[row, 0] = own.mean(0)
                found[row, 1 : 1 + len(near)] = own[near]
        return found


def nll_of(opened: OpenTranslator, z: Tensor) -> Tensor:
    """Return −log p(z) of z (B, N) in nats, (B,) (Eq 12)."""
    return nll(*opened.transform_with_log_det(z))
