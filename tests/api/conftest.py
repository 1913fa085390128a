"""A small network and a translator of it, fitted in memory."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import iin_cli as iin


@pytest.fixture(scope="package")
def memory():
    """`x` (240, 1, 8, 8) of three kinds in two sizes, `net`, its latents `z`, labels, and a translator `t`."""
    generator = torch.Generator().manual_seed(0)
    kind, size = np.arange(240) % 3, np.arange(240) // 3 % 2
    x = 0.1 * torch.randn(240, 1, 8, 8, generator=generator)
    for number in range(240):
        x[number, 0, 2 * kind[number] : 2 * kind[number] + 2, : 4 + 4 * size[number]] += 1
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.Tanh(), nn.Linear(12, 3))
    net = iin.Network.cut(module, "2", classes=["a", "b", "c"])
    z = net.encode(x)
    pairs = iin.Pairs(z).share("kind", kind).share("size", size)
    t = iin.fit(pairs, network=net, seed=0, steps=40, blocks=2, hidden=16)
    return SimpleNamespace(x=x, net=net, module=module, z=z, kind=kind, size=size, pairs=pairs, t=t)
