"""A backbone that only knows `forward` is cut at its layers; an encoder without a head is read, and answers nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from iin_cli.errors import UsageError
from iin_cli.interpretation.answers import Nothing
from iin_cli.interpretation.network import Network
from iin_cli.plugin_api import Backbone


class Whole(nn.Module, Backbone):
    """A plugin that overrides nothing: one child, and f is all of it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 6), nn.Linear(6, 4))
        self.name, self.latent_dim, self.image_size, self.config = "whole", 6, 8, {}
        self.classes = tuple("abcd")

    def encode(self, images):
        return self.net[:-1](images)

    def decode(self, z):
        return self.net[-1](z)

    def forward(self, images):
        return self.net(images)

    @classmethod
    def from_config(cls, config):
        return cls()


class Halves(Whole):
    """Without `forward`, f is G∘E."""

    forward = nn.Module.forward


class Left(Whole):
    """`decode` is None."""

    decode, forward = None, nn.Module.forward

    def __init__(self):
        super().__init__()
        self.classes = None


class Out(nn.Module, Backbone):
    """`decode` is not there; two children."""

    def __init__(self):
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 4, 1), nn.Flatten()
        self.name, self.latent_dim, self.image_size, self.config, self.classes = "out", 256, 8, {}, None

    def encode(self, images):
        return self.body(self.stem(images))

    @classmethod
    def from_config(cls, config):
        return cls()


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)


def opened(backbone):
    return Network.of(backbone, "source", "sha", None, "none")


@pytest.mark.parametrize("build", [Whole, Halves])
def test_a_plugin_is_cut_at_its_layers_without_code_of_its_own(build, pixels):
    network = opened(build())
    assert network.layers() == ("0", "1", "2", "3", "4")
    own = network.encode_pixels(pixels)
    for layer in network.layers():
        cut = network.at_layer(layer)
        z = cut.encode_pixels(pixels)
        assert z.shape == (5, cut.latent_dim)
        torch.testing.assert_close(cut.answers(z), network.answers(own))
        assert (cut.source, cut.sha256, cut.weights, cut.layer) == ("source", "sha", "none", layer)
    torch.testing.assert_close(network.at_layer("3").encode_pixels(pixels), own)


def test_all_layers_are_read_in_one_pass(pixels):
    network = opened(Whole())
    images = torch.rand(2, 3, 8, 8) * 2 - 1
    found = network.encode_layers(images, ("1", "3"))
    for layer, z in found.items():
        torch.testing.assert_close(z, network.at_layer(layer).backbone.encode(images))


def test_functions_have_no_layers():
    network = Network(lambda x: x.flatten(1))
    assert network.layers() == ()
    with pytest.raises(UsageError, match="--layer 1: network has one latent only"):
        network.at_layer("1")


@pytest.mark.parametrize("layer", ["net.0", "5"])
def test_an_unknown_layer_is_refused(layer):
    with pytest.raises(UsageError, match=f"--layer {layer}: whole has no such layer"):
        opened(Whole()).at_layer(layer)


@pytest.mark.parametrize(("build", "layer", "width"), [(Left, "1", 288), (Out, "stem", 256)])
def test_an_encoder_without_a_head_is_read_at_any_layer(build, layer, width, pixels):
    network = opened(build())
    assert network.encode_pixels(pixels).shape == (5, network.latent_dim)
    assert layer in network.layers()
    cut = network.at_layer(layer)
    assert cut.encode_pixels(pixels).shape == (5, width)
    assert network.encode_layers(torch.zeros(2, 3, 8, 8), (layer,))[layer].shape == (2, width)
    z = torch.zeros(2, network.latent_dim)
    refused = (lambda it: it.answers(z), lambda it: it.draw(z), lambda it: it.classes, Network.require_images)
    for each in (network, cut):
        assert not each.backbone.has_head
        assert each.answer == Nothing(network.name)
        assert "answers nothing" in repr(each)
        for ask in refused:
            with pytest.raises(UsageError, match=f"^{network.name} is an encoder without a head: it has no G"):
                ask(each)


def test_a_plain_encoder_cannot_decode():
    with pytest.raises(UsageError, match="out is an encoder without a head"):
        Out().decode(torch.zeros(1, 256))
