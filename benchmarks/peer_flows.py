"""The translator of Table 6 as other libraries build it: coupling of both halves, two nets each, and a permutation.

Every flow has the same nets s and t, so the same weights, and takes (B, N) to (z̃, log|det|). All but zuko, which has
none, set actnorms from the first batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["PEERS", "Flow", "Size", "multi_layer_perceptron"]


@dataclass(frozen=True)
class Size:
    """A translator's size: N, blocks, H and D."""

    dim: int
    blocks: int
    hidden: int
    depth: int


@dataclass(frozen=True)
class Flow:
    """A flow of some library: its weights, forward (z̃, log|det|) and inverse."""

    module: nn.Module
    forward: Callable[[Tensor], tuple[Tensor, Tensor]]
    inverse: Callable[[Tensor], Tensor]


def multi_layer_perceptron(inputs: int, outputs: int, size: Size) -> nn.Sequential:
    layers: list[nn.Module] = []
    for first, second in pairwise([inputs, *[size.hidden] * (size.depth + 1), outputs]):
        layers += [nn.Linear(first, second), nn.LeakyReLU()]
    return nn.Sequential(*layers[:-1])


class TwoNets(nn.Module):
    """Nets s and t of one half as one module, for libraries that ask for one: (B, n) -> (B, 2, m)."""

    def __init__(self, inputs: int, outputs: int, size: Size) -> None:
        super().__init__()
        self.s = multi_layer_perceptron(inputs, outputs, size)
        self.t = multi_layer_perceptron(inputs, outputs, size)

    def forward(self, half: Tensor) -> tuple[Tensor, Tensor]:
        return self.s(half).tanh(), self.t(half)


class Interleaved(TwoNets):
    """Shift and log scale of each dimension side by side: (B, 2m)."""

    def forward(self, half: Tensor) -> Tensor:
        log_scale, shift = super().forward(half)
        return torch.stack((shift, log_scale), dim=2).flatten(1)


class SideBySide(TwoNets):
    """All scales, then all shifts: (B, 2m)."""

    def forward(self, half: Tensor, context: None = None) -> Tensor:
        return torch.cat(super().forward(half), dim=1)


class PlainBlock(nn.Module):
    """Actnorm, coupling of both halves, permutation; nothing is joined, fused or rounded."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.loc, self.scale = nn.Parameter(torch.zeros(size.dim)), nn.Parameter(torch.ones(size.dim))
        self.first = size.dim - size.dim // 2
        other = size.dim - self.first
        self.nets = nn.ModuleList([TwoNets(self.first, other, size), TwoNets(other, self.first, size)])
        self.register_buffer("order", torch.randperm(size.dim))
        self.initialised = False

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        if not self.initialised:
            with torch.no_grad():
                self.loc.copy_(-z.mean(0))
                self.scale.copy_(1 / (z.std(0) + 1e-6))
            self.initialised = True
        z = (z + self.loc) * self.scale
        a, b = z[:, : self.first], z[:, self.first :]
        log_s0, t0 = self.nets[0](a)
        b = b * log_s0.exp() + t0
        log_s1, t1 = self.nets[1](b)
        a = a * log_s1.exp() + t1
        log_det = self.scale.abs().log().sum() + log_s0.sum(1) + log_s1.sum(1)
        return torch.cat((b, a), 1)[:, self.order], log_det

    def inverse(self, z_tilde: Tensor) -> Tensor:
        z_tilde = z_tilde[:, self.order.argsort()]
        b, a = z_tilde[:, : len(self.order) - self.first], z_tilde[:, len(self.order) - self.first :]
        log_s1, t1 = self.nets[1](b)
        a = (a - t1) * (-log_s1).exp()
        log_s0, t0 = self.nets[0](a)
        b = (b - t0) * (-log_s0).exp()
        return torch.cat((a, b), 1) / self.scale - self.loc


def through(layers: nn.ModuleList) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return what takes z (B, N) through all layers, and adds up their log-determinants."""

    def forward(z: Tensor) -> tuple[Tensor, Tensor]:
        total = z.new_zeros(len(z))
        for layer in layers:
            z, log_det = layer(z)
            total = total + log_det
        return z, total

    return forward


def plain(size: Size) -> Flow:
    """The paper's recipe in plain PyTorch."""
    blocks = nn.ModuleList(PlainBlock(size) for _ in range(size.blocks))

    def inverse(z: Tensor) -> Tensor:
        for block in reversed(blocks):
            z = block.inverse(z)
        return z

    return Flow(blocks, through(blocks), inverse)


def freia(size: Size) -> Flow:
    """FrEIA: RNVPCouplingBlock with tanh, which couples both halves."""
    import FrEIA.framework as framework
    import FrEIA.modules as modules

    chain = framework.SequenceINN(size.dim)
    for _ in range(size.blocks):
        chain.append(modules.ActNorm)
        chain.append(
            modules.RNVPCouplingBlock,
            subnet_constructor=lambda inputs, outputs: multi_layer_perceptron(inputs, outputs, size),
            clamp=1.0,
            clamp_activation="TANH",
        )
        chain.append(modules.PermuteRandom)
    return Flow(chain, chain, lambda z: chain(z, rev=True)[0])


def nflows(size: Size) -> Flow:
    """nflows: AffineCouplingTransform of either half, s by its sigmoid."""
    from nflows import transforms

    halves = torch.arange(size.dim) < size.dim - size.dim // 2
    layers: list[nn.Module] = []
    for _ in range(size.blocks):
        layers.append(transforms.ActNorm(size.dim))
        layers += [
            transforms.AffineCouplingTransform(
                mask.int(), lambda inputs, outputs: SideBySide(inputs, outputs // 2, size)
            )
            for mask in (~halves, halves)
        ]
        layers.append(transforms.RandomPermutation(size.dim))
    chain = transforms.CompositeTransform(layers)
    return Flow(chain, chain, lambda z: chain.inverse(z)[0])


def normflows(size: Size) -> Flow:
    """normflows: AffineCouplingBlock of either half."""
    import normflows as library

    first = size.dim - size.dim // 2
    layers: list[nn.Module] = []
    for _ in range(size.blocks):
        layers.append(library.flows.ActNorm((size.dim,)))
        for mode, inputs in (("channel", first), ("channel_inv", size.dim - first)):
            nets = Interleaved(inputs, size.dim - inputs, size)
            layers.append(library.flows.AffineCouplingBlock(nets, scale_map="exp", split_mode=mode))
        layers.append(library.flows.Permute(size.dim, mode="shuffle"))
    chain = nn.ModuleList(layers)

    def inverse(z: Tensor) -> Tensor:
        for layer in reversed(chain):
            z = layer.inverse(z)[0]
        return z

    return Flow(chain, through(chain), inverse)


def zuko(size: Size) -> Flow:
    """zuko: GeneralCouplingTransform of random halves; it has no actnorm."""
    from zuko.flows.coupling import GeneralCouplingTransform
    from zuko.transforms import ComposedTransform

    layers = []
    for _ in range(size.blocks):
        half = torch.randperm(size.dim) < size.dim // 2
        for mask in (half, ~half):
            layer = GeneralCouplingTransform(size.dim, mask=mask, hidden_features=(1,))
            inputs = int(mask.sum())
            layer.hyper = Interleaved(inputs, size.dim - inputs, size)
            layers.append(layer)
    chain = nn.ModuleList(layers)

    def transform() -> ComposedTransform:
        return ComposedTransform(*(layer() for layer in chain))

    return Flow(chain, lambda z: transform().call_and_ladj(z), lambda z: transform().inv(z))


PEERS: dict[str, Callable[[Size], Flow]] = {
    "plain": plain,
    "freia": freia,
    "nflows": nflows,
    "normflows": normflows,
    "zuko": zuko,
}
