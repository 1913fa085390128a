"""Layers of the translator T (Eqs 15–16, A.1), each with two verbs.

`forward(z) -> (z_tilde, log_det)` and `inverse(z_tilde) -> z`, on (B, N) and (B,). Both log-determinants are at hand
on the way back as well: `inverse_with_log_det(z_tilde) -> (z, log_det)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .gradients import SLOPE, affine, normed, permuted, scale_and_shift

__all__ = ["ActNorm", "Coupling", "Layer", "ScaleShiftNet", "Shuffle", "Whitening", "Within"]

STD_FLOOR = 1e-3


class Layer(nn.Module):
    """A layer of T, invertible."""

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map z (B, N) to z̃ (B, N) and log|det| (B,)."""
        raise NotImplementedError

    def inverse_with_log_det(self, z_tilde: Tensor) -> tuple[Tensor, Tensor]:
        """Return z (B, N) of z̃ (B, N), and the log|det| (B,) that `forward` has there."""
        raise NotImplementedError

    def inverse(self, z_tilde: Tensor) -> Tensor:
        """Undo `forward`: z (B, N) of z̃ (B, N)."""
        return self.inverse_with_log_det(z_tilde)[0]


class ActNorm(Layer):
    """(z + loc)·scale with one loc and scale per dimension, set from data by `initialize` (A.1)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(dim))
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return (z + loc)·scale (B, N) and Σ log|scale| (B,)."""
        return normed(z, self.loc, self.scale)

    def inverse_with_log_det(self, z_tilde: Tensor) -> tuple[Tensor, Tensor]:
        """Return z̃/scale − loc (B, N) and Σ log|scale| (B,)."""
        return z_tilde / self.scale - self.loc, self.scale.abs().log().sum().expand(len(z_tilde))

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
    def begin_at_identity(self) -> None:
        """Make s = 1 and t = 0, whatever the input: only the last layer's weights become zero."""
        self.weights[-1].zero_()
        self.biases[-1].zero_()

    @torch.no_grad()
    def reset(self) -> None:
        """Draw the weights as `nn.Linear` does, uniform in ±1/√fan_in."""
        for weight, bias in zip(self.weights, self.biases, strict=True):
            bound = 1 / math.sqrt(weight.shape[1])
            weight.uniform_(-bound, bound)
            bias.uniform_(-bound, bound)

    def forward(self, half: Tensor) -> tuple[Tensor, Tensor]:
        """Map one half (B, n) to log s = tanh(·) and t of the other, both (B, m), in the half's dtype."""
        if torch.is_grad_enabled():
            return scale_and_shift(half, list(self.weights), list(self.biases))
        # To the last bit what 0.1 computed, so that a seed still draws the same image.
        first = self.weights[0].transpose(0, 1).reshape(half.shape[1], -1)
        joint = torch.addmm(self.biases[0].flatten(), half, first)
        h = joint.view(len(half), 2, -1).transpose(0, 1)
        for weight, bias in zip(list(self.weights)[1:], list(self.biases)[1:], strict=True):
            h = torch.baddbmm(bias, F.leaky_relu(h, SLOPE), weight)
        log_scale, shift = h.to(half.dtype).unbind(0)
        return torch.tanh(log_scale), shift

    def affine(self, half: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Map `other` (B, m) to other·s + t, with s and t of `half` (B, n); return it and Σ log s (B,)."""
        if torch.is_grad_enabled():
            return affine(half, other, list(self.weights), list(self.biases))
        log_scale, shift = self(half)
        return other * log_scale.exp() + shift, log_scale.sum(1)


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

    def begin_at_identity(self) -> None:
        """Make s = 1 and t = 0 in both directions: only the order of the halves changes."""
        for net in self._nets:
            net.begin_at_identity()

    @property
    def _nets(self) -> list[ScaleShiftNet]:
        return [net for net in self.nets if isinstance(net, ScaleShiftNet)]

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return (b', a') (B, N) and Σ log s (B,)."""
        a, b = z.split_with_sizes(self.split, dim=1)
        first, second = self._nets
        b, log_det_b = first.affine(a, b)
        a, log_det_a = second.affine(b, a)
        return torch.cat((b, a), dim=1), log_det_b + log_det_a

    def inverse_with_log_det(self, z_tilde: Tensor) -> tuple[Tensor, Tensor]:
        """Return (a, b) (B, N) and Σ log s (B,)."""
        b, a = z_tilde.split_with_sizes(self.split[::-1], dim=1)
        log_s1, t1 = self.nets[1](b)
        a = (a - t1) * (-log_s1).exp()
        log_s0, t0 = self.nets[0](a)
        b = (b - t0) * (-log_s0).exp()
        return torch.cat((a, b), dim=1), log_s0.sum(1) + log_s1.sum(1)


class Shuffle(Layer):
    """A fixed permutation of the dimensions: forward takes z[:, order], which is given on the CPU."""

    order: Tensor
    back: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        # What sorts without numbers, on the device `meta`, loads torch's compiler: seconds.
        device = torch.get_default_device()
        self.register_buffer("order", order.to(device))
        self.register_buffer("back", order.argsort().to(device))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z[:, order] (B, N) and zeros (B,)."""
        return permuted(z, self.order, self.back), z.new_zeros(len(z))

    def inverse_with_log_det(self, z_tilde: Tensor) -> tuple[Tensor, Tensor]:
        """Return z̃[:, back] (B, N) and zeros (B,)."""
        return permuted(z_tilde, self.back, self.order), z_tilde.new_zeros(len(z_tilde))


class Whitening(Layer):
    """The closed-form translator: standardise, rotate, scale, rotate; nothing in it is trained.

    z̃ = ((z + loc)·scale · R₁)·s · R₂ with orthogonal R₁, R₂ (N, N), as every invertible matrix can be written. The
    product is never formed: rotations are undone by their transposes, so the round trip is exact to rounding however
    narrow some directions are.
    `spectrum.pair_spectrum` finds the numbers.
    """

    loc: Tensor
    scale: Tensor
    first: Tensor
    first_scale: Tensor
    second: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        for name in ("loc", "scale", "first_scale"):
            self.register_buffer(name, torch.zeros(dim) if name == "loc" else torch.ones(dim))
        # On the CPU first: see `Shuffle`.
        for name in ("first", "second"):
            self.register_buffer(name, torch.eye(dim, device="cpu").to(torch.get_default_device()))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return z̃ (B, N) and log|det| (B,), which does not depend on z."""
        # A rotation rounded to bfloat16 is none.
        with torch.autocast(z.device.type, enabled=False):
            rotated = ((z + self.loc) * self.scale) @ self.first
            z_tilde = (rotated * self.first_scale) @ self.second
        return z_tilde, self._log_det.expand(len(z))

    def inverse_with_log_det(self, z_tilde: Tensor) -> tuple[Tensor, Tensor]:
        """Return z (B, N) and the same log|det| (B,)."""
        rotated = (z_tilde @ self.second.T) / self.first_scale
        return (rotated @ self.first.T) / self.scale - self.loc, self._log_det.expand(len(z_tilde))

    @property
    def _log_det(self) -> Tensor:
        return (self.scale.log() + self.first_scale.log()).sum()


class Within(Layer):
    """One chain of layers for each block of dimensions, of `sizes`, so that no block learns of another."""

    def __init__(self, sizes: Sequence[int], chains: Sequence[Sequence[Layer]]) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.chains = nn.ModuleList(nn.ModuleList(chain) for chain in chains)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return every block's z̃ side by side (B, N), and the sum of their log|det| (B,)."""
        total = z.new_zeros(len(z))
        parts: list[Tensor] = []
        for part, chain in zip(z.split_with_sizes(self.sizes, dim=1), self.chains, strict=True):
            for layer in _layers(chain):
                part, log_det = layer(part)
                total = total + log_det
            parts.append(part)
        return torch.cat(parts, dim=1), total

    def inverse_with_log_det(self, z_tilde: Tensor) -> tuple[Tensor, Tensor]:
        """Return every block's z side by side (B, N), and the sum of their log|det| (B,)."""
        total = z_tilde.new_zeros(len(z_tilde))
        parts: list[Tensor] = []
        for part, chain in zip(z_tilde.split_with_sizes(self.sizes, dim=1), self.chains, strict=True):
            for layer in reversed(_layers(chain)):
                part, log_det = layer.inverse_with_log_det(part)
                total = total + log_det
            parts.append(part)
        return torch.cat(parts, dim=1), total


def _layers(chain: nn.Module) -> list[Layer]:
    return [layer for layer in chain.children() if isinstance(layer, Layer)]
