"""Take factors out of z: T⁻¹ of z̃ with these factors at their mean, or at several draws of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .factors import Factors
from .flow import Translator

__all__ = ["Eraser", "Leftovers"]

# Width of the hidden layers of a small network.
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


class Eraser(nn.Module):
    """z with some factors f of z̃ replaced by constants, and what the other dimensions r owe to them taken out.

    E'(z) = T⁻¹(f = 0, r − δ(f, r)), with δ of `Leftovers`; without any, r stays as it is. Twice is the same as once.

    Args:
        translator: T, of N dimensions.
        factors: names and sizes of z̃'s factors.
        names: the factors to erase.
        values: (k, d), what `draws` puts in the place of the d erased dimensions.
        leftovers: δ; None takes T at its word.

    Raises UsageError for a factor that there is not.

    >>> eraser = Eraser(Translator(3, blocks=1, hidden=4), Factors.of({"color": 1, "residual": 2}), ["color"])
    >>> z = torch.randn(2, 3)
    >>> once = eraser(z)
    >>> torch.allclose(eraser(once), once, atol=1e-5), torch.allclose(eraser.draws(z)[0], once)
    (True, True)
    """

    values: Tensor
    where: Tensor
    kept: Tensor

    def __init__(
        self,
        translator: Translator,
        factors: Factors,
        names: Sequence[str],
        values: Tensor | None = None,
        leftovers: Leftovers | None = None,
    ) -> None:
        super().__init__()
        chosen = torch.zeros(translator.dim, dtype=torch.bool, device="cpu")
        for name in names:
            chosen[factors.slice(name)] = True
        self.translator, self.factors, self.names = translator, factors, tuple(names)
        device = torch.get_default_device()
        self.register_buffer("where", chosen.nonzero()[:, 0].to(device), persistent=False)
        self.register_buffer("kept", (~chosen).nonzero()[:, 0].to(device), persistent=False)
        # The mean of every factor is 0 by construction: z̃ is N(0, 1).
        self.register_buffer("values", torch.zeros(1, len(self.where)) if values is None else values)
        self.leftovers = leftovers

    def forward(self, z: Tensor) -> Tensor:
        """Return z (B, N) with the erased factors at their mean, and what is left of them elsewhere taken out."""
        z_tilde = self.translator(z)[0]
        if self.leftovers is not None:
            f, r = z_tilde[:, self.where], z_tilde[:, self.kept]
            z_tilde = z_tilde.index_copy(1, self.kept, r - self.leftovers(f, r))
        return self.translator.inverse(z_tilde.index_fill(1, self.where, 0.0))

    def draws(self, z: Tensor) -> Tensor:
        """Return z (B, N) with the erased factors at each of the k `values`, all else as it is: (k, B, N)."""
        z_tilde = self.translator(z)[0]
        rows = [z_tilde.index_copy(1, self.where, value.expand(len(z), -1)) for value in self.values]
        return self.translator.inverse(torch.cat(rows)).view(len(rows), *z.shape)
