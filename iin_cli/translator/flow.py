"""The translator T: an invertible network between z and z̃ (§3, Eqs 15–16, Table 6).

A block is actnorm → coupling of one half, then of the other → a fixed random permutation. Every layer has two verbs:
`forward(z) -> (z_tilde, log_det)` and `inverse(z_tilde) -> z`, on (B, N) and (B,).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import DataError

__all__ = ["ActNorm", "Coupling", "ScaleShiftNet", "Shuffle", "Translator"]

STD_FLOOR = 1e-3
INITIAL_ROWS = 1024


class Layer(nn.Module):
    """A layer of T, invertible."""

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map z (B, N) to z̃ (B, N) and log|det| (B,)."""
        raise NotImplementedError

    def inverse(self, z_tilde: Tensor) -> Tensor:
        """Undo `forward`."""
        raise NotImplementedError


class ActNorm(Layer):
    """(z + loc)·scale with one loc and scale per dimension, set from data by `initialize` (A.1)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(dim))
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return (z + loc)·scale (B, N) and Σ log|scale| (B,)."""
        log_det = self.scale.abs().log().sum().expand(len(z))
        return (z + self.loc) * self.scale, log_det

    def inverse(self, z_tilde: Tensor) -> Tensor:
        """Undo `forward`."""
        return z_tilde / self.scale - self.loc

    @torch.no_grad()
    def initialize(self, z: Tensor) -> None:
        """Make each dimension of `z` (B, N) zero-mean and unit-variance; dead dimensions have their std floored."""
        std = z.std(0, correction=0)
        self.loc.copy_(-z.mean(0))
        # 1/(std + 1e-6) would scale a dead unit by a million; a floor relative to the layer's scale keeps it bounded.
        self.scale.copy_(1 / std.clamp_min(STD_FLOOR * std.max().clamp_min(STD_FLOOR)))


class ScaleShiftNet(nn.Module):
    """s and t of one coupling (Eq 15): two networks of D hidden layers that share their matrix products.

    Each is Linear → (leaky ReLU → Linear)×D → leaky ReLU → Linear, slope 0.01. Weights are stacked: index 0 is s,
    1 is t.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, depth: int) -> None:
        super().__init__()
        sizes = [inputs, *[hidden] * (depth + 1), outputs]
        pairs = list(pairwise(sizes))
        self.weights = nn.ParameterList(torch.empty(2, fan_in, fan_out) for fan_in, fan_out in pairs)
        self.biases = nn.ParameterList(torch.empty(2, 1, fan_out) for _, fan_out in pairs)
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Draw the weights as `nn.Linear` does, uniform in ±1/√fan_in."""
        for weight, bias in zip(self.weights, self.biases, strict=True):
            bound = 1 / math.sqrt(weight.shape[1])
            weight.uniform_(-bound, bound)
            bias.uniform_(-bound, bound)

    def forward(self, half: Tensor) -> tuple[Tensor, Tensor]:
        """Map one half (B, n) to log s = tanh(·) and t of the other, both (B, m), in the half's dtype."""
        # Both nets read the same half: their first layers are one product.
        first = self.weights[0].transpose(0, 1).reshape(half.shape[1], -1)
        joint = torch.addmm(self.biases[0].flatten(), half, first)
        h = joint.view(len(half), 2, -1).transpose(0, 1)
        for weight, bias in zip(list(self.weights)[1:], list(self.biases)[1:], strict=True):
            h = torch.baddbmm(bias, F.leaky_relu(h, 0.01), weight)
        log_scale, shift = h.to(half.dtype).unbind(0)
        return torch.tanh(log_scale), shift


class Coupling(Layer):
    """Affine coupling of both halves (Eqs 15–16): b' = b·s₀(a) + t₀(a), then a' = a·s₁(b') + t₁(b'); s = exp(tanh(·)).

    The output is (b', a'); an odd N has uneven halves. An unbounded s could reach 0, hence the tanh.
    """

    def __init__(self, dim: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.split = (dim - dim // 2, dim // 2)
        first, second = self.split
        self.nets = nn.ModuleList(
            [ScaleShiftNet(first, second, hidden, depth), ScaleShiftNet(second, first, hidden, depth)]
        )

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return (b', a') (B, N) and Σ log s (B,)."""
        a, b = z.split_with_sizes(self.split, dim=1)
        log_s0, t0 = self.nets[0](a)
        b = b * log_s0.exp() + t0
        log_s1, t1 = self.nets[1](b)
        a = a * log_s1.exp() + t1
        return torch.cat((b, a), dim=1), log_s0.sum(1) + log_s1.sum(1)

    def inverse(self, z_tilde: Tensor) -> Tensor:
        """Undo `forward`."""
        b, a = z_tilde.split_with_sizes(self.split[::-1], dim=1)
        log_s1, t1 = self.nets[1](b)
        a = (a - t1) * (-log_s1).exp()
        log_s0, t0 = self.nets[0](a)
        b = (b - t0) * (-log_s0).exp()
        return torch.cat((a, b), dim=1)


class Shuffle(Layer):
    """A fixed permutation of the dimensions: forward takes z[:, order]."""

    order: Tensor
    back: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        self.register_buffer("order", order)
        self.register_buffer("back", order.argsort())

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z[:, order] (B, N) and zeros (B,)."""
        return z[:, self.order], z.new_zeros(len(z))

    def inverse(self, z_tilde: Tensor) -> Tensor:
        """Undo `forward`."""
        return z_tilde[:, self.back]


class Translator(nn.Module):
    """T: z (B, N) ↔ z̃ (B, N), `blocks` blocks of actnorm, coupling and shuffle (Table 6).

    Args:
        dim: N, at least 2.
        blocks: flow blocks (12 for N ≤ 256, 6 for N = 2048).
        hidden: width H of the s- and t-nets.
        depth: hidden-to-hidden layers D of each net.
        seed: decides the permutations and the initial weights.
    """

    def __init__(self, dim: int, blocks: int = 12, hidden: int = 512, depth: int = 2, seed: int = 0) -> None:
        super().__init__()
        if dim < 2:
            raise DataError(f"a translator needs latents of at least 2 dimensions, got {dim}")
        self.dim, self.blocks_count, self.hidden, self.depth = dim, blocks, hidden, depth
        generator = torch.Generator().manual_seed(seed)
        # Forking keeps the caller's global generator untouched while nn's initialisers draw from it.
        with torch.random.fork_rng(devices=[]):  # pyright: ignore[reportUnknownMemberType] untyped in torch
            # Not torch.manual_seed, which would reseed every GPU as well.
            torch.default_generator.manual_seed(seed)
            self.layers = nn.ModuleList(
                layer
                for _ in range(blocks)
                for layer in (
                    ActNorm(dim),
                    Coupling(dim, hidden, depth),
                    Shuffle(torch.randperm(dim, generator=generator)),
                )
            )

    @property
    def config(self) -> dict[str, int]:
        """What rebuilds the architecture: `Translator(**config)`."""
        return {"dim": self.dim, "blocks": self.blocks_count, "hidden": self.hidden, "depth": self.depth}

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z̃ = T(z) (B, N) and log|det T'(z)| (B,)."""
        total = z.new_zeros(len(z))
        for layer in self.layers:
            z, log_det = layer(z)
            total = total + log_det
        return z, total

    def inverse(self, z_tilde: Tensor) -> Tensor:
        """Return z = T⁻¹(z̃) (B, N)."""
        for layer in reversed([layer for layer in self.layers if isinstance(layer, Layer)]):
            z_tilde = layer.inverse(z_tilde)
        return z_tilde

    @torch.no_grad()
    def initialize(self, z: Tensor) -> None:
        """Set every actnorm from `z` (B, N), layer by layer; B should be at least 10·N, or all rows there are."""
        z = z.clone()
        for layer in self.layers:
            if isinstance(layer, ActNorm):
                layer.initialize(z)
            # A few rows at a time: a coupling's intermediate values take several times the memory of wide latents.
            for rows in torch.split(z, INITIAL_ROWS):
                rows.copy_(layer(rows)[0])
