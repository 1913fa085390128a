"""Folded copies: the same numbers, the network itself untouched, and no fold where another layer sees between."""

import pytest
import torch
from torch import nn

from iin_cli.cutting.folding import FOLD_TOLERANCE, folded_copy
from iin_cli.interpretation.opening import open_network

IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Activated(nn.BatchNorm2d):
    """A batch norm with its own activation, as timm's."""

    def __init__(self, channels):
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.SiLU()

    def forward(self, x):
        return self.act(super().forward(x))


class Shared(nn.Module):
    """The raw output of the convolution is used beside its batch norm."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        raw = self.conv(x)
        return self.norm(raw) + raw


class Stubborn(nn.Sequential):
    def __deepcopy__(self, memo):
        raise TypeError("only one of me")


def prepared(network):
    """Give every batch norm statistics and weights of its own."""
    generator = torch.Generator().manual_seed(1)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d) and part.track_running_stats:
            for values, low in ((part.running_mean, -1), (part.running_var, 0.5), (part.weight, 0.5), (part.bias, -1)):
                values.data.copy_(low + torch.rand(values.shape, generator=generator))
    return network.eval()


def run(network, images=IMAGES):
    with torch.no_grad():
        return network(images)


def folds(network):
    """Fold; return the copy and how many batch norms it has lost, having checked that nothing else changed."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    wanted = run(network)
    faster = folded_copy(network, lambda each, x: each(x), IMAGES)
    assert (run(faster) - wanted).abs().max() <= FOLD_TOLERANCE * wanted.abs().max()
    assert torch.equal(run(network), wanted)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any("forward" in vars(part) for part in network.modules())
    return faster, sum("forward" in vars(part) for part in faster.modules())


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("norm", [nn.BatchNorm2d, Activated])
def test_a_batch_norm_becomes_part_of_the_convolution_before_it(bias, norm):
    network = prepared(nn.Sequential(nn.Conv2d(3, 8, 3, bias=bias), norm(8), nn.ReLU(), nn.Conv2d(8, 4, 3), norm(4)))
    faster, count = folds(network)
    assert count == 2
    assert faster[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_what_lies_between_or_is_used_twice_is_not_folded():
    conv, norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
    for network in (
        nn.Sequential(conv, nn.ReLU(inplace=True), norm),
        nn.Sequential(conv, norm, conv, nn.BatchNorm2d(3)),
        nn.Sequential(conv, nn.BatchNorm2d(3, track_running_stats=False)),
        nn.Sequential(norm, conv),
    ):
        faster, count = folds(prepared(network))
        assert (faster is network, count) == (True, 0)


@pytest.mark.parametrize("network", [Shared(), Stubborn(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))])
def test_a_copy_that_differs_or_cannot_be_made_is_not_used(network):
    assert folds(prepared(network))[0] is network


def test_training_mode_is_left_as_it_was():
    network = prepared(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))).train()
    faster = folded_copy(network, lambda each, x: each(x), IMAGES)
    assert faster is not network
    assert network.training
    assert network[1].training


@pytest.mark.parametrize("layer", [None, "stage3"])
def test_a_traced_network_is_copied_with_its_cut(layer):
    backbone = prepared(open_network("shufflenet_v2_x0_5", weights="none", layer=layer).backbone)
    images = torch.rand(2, 3, backbone.image_size, backbone.image_size) * 2 - 1
    with torch.inference_mode():
        wanted = backbone.encode(images)
        faster = folded_copy(backbone, lambda each, x: each.encode(x), images)
        found = faster.encode(images)
        assert torch.equal(backbone.encode(images), wanted)
    assert faster is not backbone
    assert sum("forward" in vars(part) for part in faster.modules()) > 20
    assert 0 < (found - wanted).abs().max() <= FOLD_TOLERANCE * wanted.abs().max()
