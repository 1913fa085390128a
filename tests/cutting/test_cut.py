"""Cutting small networks whose parts are known: the halves give f to the bit; impossible cuts name possible ones."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from iin_cli.cutting.cut import cut_at, cut_before_head, cuttable_layers
from iin_cli.errors import UsageError


class Branch(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(x + self.relu(self.conv(x)))


class Network(nn.Module):
    """A stem, two residual blocks, dropout and a linear head."""

    def __init__(self, width=4):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(Branch(width), Branch(width))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(width, 3)
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        x = self.blocks(self.stem(x))
        return self.head(self.dropout(torch.flatten(self.pool(x), 1)))


class Pair(nn.Module):
    def forward(self, x):
        return x, x + 1


class WithPair(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 2, 1)
        self.pair = Pair()
        self.attention = nn.MultiheadAttention(2, 1, batch_first=True)
        self.norm = nn.LayerNorm(2)

    def forward(self, x):
        one, two = self.pair(self.first(x))
        tokens = (one * two).flatten(2).transpose(1, 2)
        attended, _ = self.attention(tokens, tokens, tokens)
        return self.norm(attended).mean(1)


def test_several_threads_may_use_a_traced_cut_at_once():
    network = seeded(Network).eval()
    cut, parts = cut_before_head(network, "net"), torch.rand(64, 2, 3, 8, 8)
    with torch.no_grad():
        wanted = [cut.decode(cut.encode(part)) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(torch.no_grad()(lambda part: cut.decode(cut.encode(part))), parts))
    assert cut.is_concurrent
    assert all(map(torch.equal, wanted, found))


def seeded(build, *arguments):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(*arguments).eval()


def inputs(side=6, rows=5):
    return torch.randn(rows, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def network():
    return seeded(Network)


def test_before_the_head_both_halves_give_f_to_the_bit(network):
    cut = cut_before_head(network, "net")
    z = cut.encode(inputs())
    assert (cut.dim, z.shape) == (4, (5, 4))
    assert torch.equal(cut.decode(z), network(inputs()))
    assert torch.equal(cut.decode(z), network.head(z))


@pytest.mark.parametrize("layer", ["stem", "blocks.0", "blocks.0.relu", "blocks", "pool", "dropout", "head"])
def test_at_a_layer_z_is_its_output_and_f_stays(network, layer):
    seen = {}
    hook = network.get_submodule(layer).register_forward_hook(lambda _m, _i, out: seen.update(z=out.detach().clone()))
    f = network(inputs())
    hook.remove()
    cut = cut_at(network, layer, inputs(rows=2), "net")
    z = cut.encode(inputs())
    assert torch.equal(z, seen["z"].flatten(1))
    assert cut.dim == z.shape[1]
    assert torch.equal(cut.decode(z), f)


def test_decoding_leaves_z_alone_although_layers_work_in_place(network):
    cut = cut_at(network, "stem", inputs(rows=2), "net")
    z = cut.encode(inputs())
    before = z.clone()
    cut.decode(z)
    assert (before < 0).any()
    assert torch.equal(z, before)


def test_a_large_map_is_averaged_and_spread_evenly():
    network = seeded(Network, 70)
    x = inputs(side=8)
    last = cut_at(network, "blocks", x[:2], "net")
    z = last.encode(x)
    assert last.dim == 70
    torch.testing.assert_close(z, network.blocks(network.stem(x)).mean((2, 3)))
    # What follows is an average itself, so nothing is lost.
    torch.testing.assert_close(last.decode(z), network(x))
    early = cut_at(network, "stem", x[:2], "net")
    spread = network.stem(x).mean((2, 3), keepdim=True).expand(-1, -1, 8, 8).clone()
    expected = network.head(network.pool(network.blocks(spread)).flatten(1))
    torch.testing.assert_close(early.decode(early.encode(x)), expected)
    assert (early.decode(early.encode(x)) - network(x)).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("shape", "axes"), [((70, 8, 8), (2, 3)), ((8, 8, 70), (1, 2)), ((65, 64), (1,)), ((4, 16, 70), (1, 2))]
)
def test_the_channels_of_a_map_or_of_tokens_are_kept(shape, axes):
    class Shaped(nn.Module):
        def __init__(self):
            super().__init__()
            self.shaped = nn.Unflatten(1, shape)

        def forward(self, x):
            return self.shaped(x).flatten(1)

    x = torch.randn(3, torch.Size(shape).numel(), generator=torch.Generator().manual_seed(0))
    z = cut_at(Shaped(), "shaped", x, "net").encode(x)
    torch.testing.assert_close(z, x.reshape(3, *shape).mean(axes))


def test_the_possible_cuts_in_the_order_of_computation(network):
    names = cuttable_layers(network, inputs(rows=2))
    assert names == (
        "stem",
        "blocks.0.relu",
        "blocks.0",
        "blocks.1.relu",
        "blocks.1",
        "blocks",
        "pool",
        "dropout",
        "head",
    )
    assert cuttable_layers(seeded(WithPair), inputs(rows=2)) == ("first", "norm")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("blocks.0.conv", "--layer blocks.0.conv: net cannot be cut there, .* cut at: stem or blocks.0.relu"),
        ("block.0", "net has no such layer; did you mean blocks.0"),
        ("xyz", "net has no such layer; choose from: blocks, dropout, head, pool, stem"),
        ("unused", "net does not compute that layer on its own"),
        ("", "has no such layer"),
    ],
)
def test_where_it_cannot_be_cut(network, layer, message):
    with pytest.raises(UsageError, match=message):
        cut_at(network, layer, inputs(rows=2), "net")


@pytest.mark.parametrize("layer", ["pair", "attention"])
def test_an_output_that_is_no_tensor(layer):
    with pytest.raises(UsageError, match=f"{layer}: its output in net is not one tensor.* first or norm"):
        cut_at(seeded(WithPair), layer, inputs(rows=2), "net")


def test_without_a_linear_head_layers_are_named():
    with pytest.raises(UsageError, match=r"net does not end in a linear layer: .*--layer \w+ or --layer norm"):
        cut_before_head(seeded(WithPair), "net")


def test_it_follows_the_network_and_leaves_its_mode(network):
    network.train()
    cut = cut_before_head(network, "net")
    assert network.training
    # Dropout was off when the network was traced, and stays off.
    network.eval()
    assert torch.equal(cut.decode(cut.encode(inputs())), network(inputs()))
    network.double()
    assert cut.encode(inputs().double()).dtype == torch.float64
