"""What the contracts do as they stand, for a plugin that overrides nothing."""

import torch

from iin_cli.plugin_api import Backbone


class Scaled(Backbone):
    """Latents are the images times what the layer is called."""

    def __init__(self, layer="1"):
        self.layer = layer

    def encode(self, images):
        return images.flatten(1) * float(self.layer)

    def decode(self, z):
        return z

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def layers(self):
        return ("1", "2", "3")

    def at_layer(self, layer):
        return Scaled(layer)


def test_layers_are_encoded_as_the_network_cut_there_would():
    images = torch.rand(2, 3, 4, 4)
    found = Scaled().encode_layers(images, ["3", "2"])
    assert list(found) == ["3", "2"]
    for layer, z in found.items():
        assert torch.equal(z, Scaled().at_layer(layer).encode(images))
