"""Networks that cannot be traced are cut by hooks: the same E and G as a trace gives, or a refusal."""

import pytest
import torch
from torch import nn

from iin_cli.cutting.cut import Cut, cut_at, cuttable_layers
from iin_cli.cutting.hooked import HookedCut, hooked_layers
from iin_cli.errors import UsageError


class Branching(nn.Module):
    """Its code asks for a number that a trace does not know."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) if x.shape[-1] % 2 == 0 else x


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.twice = nn.Conv2d(3, 3, 1)
        self.after = nn.Sequential(nn.ReLU(), nn.Flatten())

    def forward(self, x):
        if x.sum() != x.sum():
            return x
        return self.after(x + self.twice(self.twice(x)))


@pytest.fixture
def images():
    return torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def plain():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(128, 5)]
    return nn.Sequential(*layers).eval()


@torch.no_grad()
def test_hooks_cut_as_a_trace_does(plain, images):
    traced = cut_at(plain, "0", images[:2], "net")
    hooked = cut_at(Branching(plain), "0", images[:2], "net", within="inner")
    assert (type(traced), type(hooked)) == (Cut, HookedCut)
    assert (hooked.dim, hooked.form) == (traced.dim, traced.form)
    z = traced.encode(images)
    assert torch.equal(hooked.encode(images), z)
    assert torch.equal(hooked.decode(z), traced.decode(z))
    assert torch.equal(hooked.decode(z), plain(images))


@torch.no_grad()
def test_large_maps_are_averaged_alike():
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
    images = torch.randn(2, 3, 40, 40)
    hooked = HookedCut(network, "0", images, "net")
    assert hooked.dim == 8
    torch.testing.assert_close(hooked.decode(hooked.encode(images)), network(images))


@torch.no_grad()
def test_a_module_that_cannot_be_traced_is_one_step(plain, images):
    network = nn.Sequential(plain[0], Branching(plain[1:]))
    assert cuttable_layers(network, images) == ("0", "1")
    cut = cut_at(network, "0", images[:2], "net")
    assert isinstance(cut, Cut)
    torch.testing.assert_close(cut.decode(cut.encode(images)), plain(images))
    # A layer inside of it is cut by hooks.
    assert isinstance(cut_at(network, "1.inner.1", images[:2], "net"), HookedCut)


def test_optional_arguments_keep_their_defaults(plain, images):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = plain

        def forward(self, x, mask=None, twice=False):
            if mask is not None or twice:
                x = x * mask
            return self.body(x)

    assert "body.0" in cuttable_layers(Masked(), images)


@torch.no_grad()
def test_only_layers_that_nothing_bypasses_are_cut(images):
    network = Residual().eval()
    assert hooked_layers(network, images) == ("after.0", "after.1", "after")
    assert cuttable_layers(network, images) == ("after.0", "after.1", "after")
    assert hooked_layers(network, images, with_rest=False) == ("twice", "after.0", "after.1", "after")
    with pytest.raises(UsageError, match="--layer twice: net cannot be cut there, since a branch bypasses"):
        HookedCut(network, "twice", images, "net")
    read = HookedCut(network, "twice", images, "net", with_rest=False)
    # Behind the last use.
    assert torch.equal(read.encode(images), network.twice(network.twice(images)).flatten(1))
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ("innner", "no such layer; did you mean inner"),
        ("spare", "does not compute that layer"),
        ("pair", "not one tensor"),
    ],
)
def test_a_layer_that_cannot_be_read_is_one_line(plain, images, layer, says):
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    class Odd(Branching):
        def __init__(self):
            super().__init__(plain)
            self.spare, self.pair = nn.Linear(2, 2), Pair()

        def forward(self, x):
            return super().forward(self.pair(x)[0])

    with pytest.raises(UsageError, match=says) as refused:
        HookedCut(Odd(), layer, images, "net")
    assert "\n" not in str(refused.value)


def test_another_number_of_uses_is_refused(images):
    class Sometimes(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Flatten()

        def forward(self, x):
            return self.layer(x) if x.mean() < 100 else x.flatten(1)

    cut = HookedCut(Sometimes(), "layer", images, "net")
    with pytest.raises(UsageError, match="uses a layer 0 times for these images, 1 for others"):
        cut.encode(images + 1000)
