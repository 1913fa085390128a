"""What is small stays as it is; of what is large the channels stay."""

import pytest
import torch
from torch import nn

from iin_cli.cutting.feature_maps import FLAT_LIMIT, as_latent, averaged_axes, encode_layers
from iin_cli.errors import UsageError


@pytest.mark.parametrize(
    "shape", [(FLAT_LIMIT,), (100 * FLAT_LIMIT,), (FLAT_LIMIT // 64, 8, 8), (FLAT_LIMIT // 64, 64), (1, 1, 1)]
)
def test_rows_and_small_maps_are_not_averaged(shape):
    assert averaged_axes(shape) == ()


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((FLAT_LIMIT // 64 + 1, 8, 8), (2, 3)),
        ((8, 8, 70), (1, 2)),
        ((65, 64), (1,)),
        ((4, 16, 70), (1, 2)),
        ((70, 16, 4), (1, 2)),
        ((3, 4, 5, 100), (1, 2, 3)),
    ],
)
def test_of_large_maps_the_channels_stay(shape, axes):
    assert averaged_axes(shape) == axes


def test_a_small_map_is_flat_and_a_large_one_is_its_mean():
    small, large = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 40, 40)
    assert torch.equal(as_latent(small), small.flatten(1))
    assert torch.equal(as_latent(large), large.mean((2, 3)))


def test_layers_are_read_in_one_pass_before_the_next_one_works_in_place():
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    x = torch.randn(5, 3)
    with torch.no_grad():
        found = encode_layers(network, x, ("2", "0"), "net")
        assert list(found) == ["2", "0"]
        assert torch.equal(found["0"], network[0](x))
        assert torch.equal(found["2"], network(x))
    assert not any(module._forward_hooks for module in network.modules())


def test_a_layer_that_is_not_computed_is_named():
    network = nn.Sequential(nn.Linear(3, 4))
    network[0].unused = nn.Linear(3, 3)
    for layer in ("1", "0.unused"):
        with pytest.raises(UsageError, match=f"--layer {layer}: net does not compute such a layer"):
            encode_layers(network, torch.randn(5, 3), [layer], "net")
    assert not any(module._forward_hooks for module in network.modules())
