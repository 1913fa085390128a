"""What other factors of z̃ keep of erased ones: a small network, taken out of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Leftovers"]

HIDDEN = 128


class Leftovers(nn.Module):
    """δ(f, r) = g(f, r) − g(0, r): what kept dimensions r of z̃ owe to erased ones f; g is a small network.

    r − δ(f, r) is what r would be with f at its mean. δ(0, r) = 0: nothing is taken out twice.

    Args:
        erased, kept: dimensions of f and of r.
        hidden: width of g's two hidden layers.

    >>> leftovers = Leftovers(2, 3, hidden=4)
    >>> leftovers(torch.zeros(1, 2), torch.randn(1, 3))
    tensor([[0., 0., 0.]], grad_fn=<SubBackward0>)
    """

    def __init__(self, erased: int, kept: int, hidden: int = HIDDEN, seed: int = 0) -> None:
        super().__init__()
        self.hidden = hidden
        with torch.random.fork_rng(devices=[]):  # pyright: ignore[reportUnknownMemberType] untyped in torch
            # Not torch.manual_seed, which would reseed every GPU as well.
            torch.default_generator.manual_seed(seed)
            self.net = nn.Sequential(
                nn.Linear(erased + kept, hidden),
                nn.GELU(),
                nn.Linear(hidden, hidden),
                nn.GELU(),
                nn.Linear(hidden, kept),
            )
        # Nothing is owed before anything is learned.
        last: Any = self.net[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, f: Tensor, r: Tensor) -> Tensor:
        """Return δ(f, r) (B, R) of f (B, F) and r (B, R)."""
        # One pass for both: they differ in f alone.
        both = torch.cat((torch.cat((f, r), dim=1), torch.cat((torch.zeros_like(f), r), dim=1)))
        with_f, without = self.net(both).chunk(2)
        return with_f - without
