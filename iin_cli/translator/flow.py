"""The translator T: an invertible network between z and z̃ (§3, Eqs 15–16, Table 6).

A block is actnorm → coupling of one half, then of the other → a fixed random permutation. A translator may begin with
the closed form (`layers.Whitening`); then every block begins as the identity, and step 0 of a fit *is* the closed form.
A fitted translator may be continued in its residual (`Behind`): its other factors stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DataError
from .gaussianise import Gaussianise
from .layers import ActNorm, Coupling, Layer, ScaleShiftNet, Shuffle, Whitening, Within

__all__ = ["ActNorm", "Behind", "Coupling", "ScaleShiftNet", "Shuffle", "Translator"]

INITIAL_ROWS = 1024


class Translator(nn.Module):
    """T: z (B, N) ↔ z̃ (B, N), `blocks` blocks of actnorm, coupling and shuffle (Table 6).

    Args:
        dim: N, at least 2.
        blocks: flow blocks (12 for N ≤ 256, 6 for N = 2048); 0, for the closed form alone, needs `linear_start`.
        hidden: width H of the s- and t-nets.
        depth: hidden-to-hidden layers D of each net.
        seed: decides the permutations and the initial weights.
        linear_start: begin with the closed form, `whitening`; the blocks begin as the identity.
        within: sizes of the factors, to give each a flow of its own that no other factor enters.
        gaussianise: behind the closed form, map every dimension to a Gaussian one.
        added: arguments of the translators that continue this one, each in the last dimensions of what was before.

    >>> translator = Translator(4, blocks=2, hidden=8, linear_start=True)
    >>> translator(torch.ones(1, 4))[0].detach()
    tensor([[1., 1., 1., 1.]])
    """

    def __init__(
        self,
        dim: int,
        blocks: int = 12,
        hidden: int = 512,
        depth: int = 2,
        seed: int = 0,
        linear_start: bool = False,
        within: Sequence[int] | None = None,
        gaussianise: bool = False,
        added: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__()
        if dim < 2:
            raise DataError(f"a translator needs latents of at least 2 dimensions, got {dim}")
        self.dim, self.blocks_count, self.hidden, self.depth = dim, blocks, hidden, depth
        self.linear_start, self.within = linear_start, None if within is None else list(within)
        self.gaussianise = gaussianise
        generator = torch.Generator().manual_seed(seed)
        # Forking keeps the caller's global generator untouched while nn's initialisers draw from it.
        with torch.random.fork_rng(devices=[]):  # pyright: ignore[reportUnknownMemberType] untyped in torch
            # Not torch.manual_seed, which would reseed every GPU as well.
            torch.default_generator.manual_seed(seed)
            if self.within is None:
                flow = self._flow(dim, generator)
            else:
                flow = [Within(self.within, [self._flow(size, generator) for size in self.within])]
            start = [*([Whitening(dim)] if linear_start else []), *([Gaussianise(dim)] if gaussianise else [])]
            self.layers = nn.ModuleList([*start, *flow, *(Behind(dim, Translator(**each)) for each in added)])

    def _flow(self, dim: int, generator: torch.Generator) -> list[Layer]:
        """Return the blocks of `dim` dimensions; after a closed form they begin as the identity."""
        layers: list[Layer] = []
        # Where each dimension comes from, on the CPU whatever device is the default.
        place = torch.arange(dim, device="cpu")
        for _ in range(self.blocks_count):
            layers.append(ActNorm(dim))
            # One dimension alone has no other half: it is scaled and shifted.
            if dim > 1:
                coupling = Coupling(dim, self.hidden, self.depth)
                order = torch.randperm(dim, generator=generator, device="cpu")
                # A coupling puts its second half first.
                place = torch.cat(place.split_with_sizes(coupling.split)[::-1])[order]
                layers += [coupling, Shuffle(order)]
        if self.linear_start and dim > 1:
            for layer in layers:
                if isinstance(layer, Coupling):
                    layer.begin_at_identity()
            layers.append(Shuffle(place.argsort()))
        return layers

    @property
    def config(self) -> dict[str, Any]:
        """Arguments that rebuild the architecture: `Translator(**config)`."""
        size: dict[str, Any] = {
            "dim": self.dim,
            "blocks": self.blocks_count,
            "hidden": self.hidden,
            "depth": self.depth,
        }
        return {
            **size,
            **({"linear_start": True} if self.linear_start else {}),
            **({"within": self.within} if self.within is not None else {}),
            **({"gaussianise": True} if self.gaussianise else {}),
            **({"added": [each.inner.config for each in self._added]} if self._added else {}),
        }

    @property
    def _added(self) -> list[Behind]:
        return [layer for layer in self.layers if isinstance(layer, Behind)]

    def continued(self, config: Mapping[str, Any]) -> Translator:
        """Return this translator with one more behind it, `Translator(**config)`, which alone is not frozen.

        >>> old = Translator(5, blocks=1, hidden=4).eval()
        >>> new = old.continued({"dim": 3, "blocks": 1, "hidden": 4, "seed": 1})
        >>> z = torch.randn(2, 5)
        >>> torch.equal(new(z)[0][:, :2], old(z)[0][:, :2]), torch.equal(new(z)[0][:, 2:], old(z)[0][:, 2:])
        (True, False)
        """
        more = Translator(**self.config)
        more.load_state_dict(self.state_dict())
        more.requires_grad_(False).layers.append(Behind(self.dim, Translator(**config)))
        return more

    def _fitted(self, z: Tensor) -> tuple[Translator, Tensor, Tensor]:
        """Return the translator that a fit changes, the last one added or this one, and z (B, N) in two parts.

        They are the dimensions before it, which stay as they are, and those that it is given.
        """
        if not self._added:
            return self, z[:, :0], z
        last = self._added[-1]
        for layer in list(self.layers)[:-1]:
            z = layer(z)[0]
        kept, inside = z.split_with_sizes(last.sizes, dim=1)
        return last.inner, kept, inside

    @property
    def whitening(self) -> Whitening:
        """The closed form that it begins with."""
        first = self.layers[0]
        if not isinstance(first, Whitening):
            raise DataError("the translator does not begin with the closed form")
        return first

    @torch.no_grad()
    def start_from(self, closed_form: Whitening, z: Tensor) -> None:
        """Begin with a closed form; `z` (B, N) are rows whose dimensions are made Gaussian, where that is wanted."""
        fitted, _, z = self._fitted(z)
        fitted.whitening.load_state_dict(closed_form.state_dict())
        for layer in fitted.layers:
            if isinstance(layer, Gaussianise):
                layer.fit(fitted.whitening(z)[0])

    @torch.no_grad()
    def beginning(self, z: Tensor) -> Tensor:
        """Return what the closed form that a fit begins with makes of z (B, N): its z̃ (B, N)."""
        fitted, kept, inside = self._fitted(z)
        for layer in fitted.layers:
            if isinstance(layer, Whitening | Gaussianise):
                inside = layer(inside)[0]
        return torch.cat((kept, inside), dim=1)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z̃ = T(z) (B, N) and log|det T'(z)| (B,)."""
        total = z.new_zeros(len(z))
        for layer in self.layers:
            z, log_det = layer(z)
            total = total + log_det
        return z, total

    def inverse(self, z_tilde: Tensor) -> Tensor:
        """Return z = T⁻¹(z̃) (B, N)."""
        return self.inverse_with_log_det(z_tilde)[0]

    def inverse_with_log_det(self, z_tilde: Tensor) -> tuple[Tensor, Tensor]:
        """Return z = T⁻¹(z̃) (B, N) and log|det T'(z)| (B,), which costs a whole pass through T otherwise."""
        total = z_tilde.new_zeros(len(z_tilde))
        for layer in reversed([layer for layer in self.layers if isinstance(layer, Layer)]):
            z_tilde, log_det = layer.inverse_with_log_det(z_tilde)
            total = total + log_det
        return z_tilde, total

    @torch.no_grad()
    def begin_at_identity(self) -> None:
        """Make every block the identity, so that only the closed form is left."""
        for layer in (self._added[-1].inner if self._added else self).modules():
            if isinstance(layer, Coupling):
                layer.begin_at_identity()
            elif isinstance(layer, ActNorm):
                layer.loc.zero_()
                layer.scale.fill_(1.0)

    @torch.no_grad()
    def initialize(self, z: Tensor) -> None:
        """Set every actnorm from `z` (B, N), layer by layer; B should be at least 10·N, or all rows there are."""
        fitted, _, z = self._fitted(z)
        z = z.clone()
        for layer in fitted.layers:
            if isinstance(layer, ActNorm):
                layer.initialize(z)
            # A few rows at a time: a coupling's intermediate values take several times the memory of wide latents.
            for rows in torch.split(z, INITIAL_ROWS):
                rows.copy_(layer(rows)[0])


class Behind(Layer):
    """A translator of the last dimensions alone, behind one of all `dim`; DataError where there are too few."""

    def __init__(self, dim: int, inner: Translator) -> None:
        super().__init__()
        if inner.dim > dim:
            raise DataError(f"a translator of {inner.dim} dimensions cannot continue one of {dim}")
        self.inner = inner
        self.sizes = [dim - inner.dim, inner.dim]

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z with its last dimensions translated (B, N), and their log|det| (B,)."""
        kept, rest = z.split_with_sizes(self.sizes, dim=1)
        rest, log_det = self.inner(rest)
        return torch.cat((kept, rest), dim=1), log_det

    def inverse_with_log_det(self, z_tilde: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `forward`, with the same log|det| (B,)."""
        kept, rest = z_tilde.split_with_sizes(self.sizes, dim=1)
        rest, log_det = self.inner.inverse_with_log_det(rest)
        return torch.cat((kept, rest), dim=1), log_det
