"""The untrained twin of a network: its architecture, other weights, normalisation that is set."""

import numpy as np
import pytest
import torch

from iin_cli.errors import UsageError
from iin_cli.interpretation.network import Network
from iin_cli.interpretation.opening import open_network
from iin_cli.interpretation.random_weights import with_random_weights


def images(size=32, count=32):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("kind", ["classifier", "autoencoder"])
def test_the_architecture_is_the_same_and_the_weights_are_not(files, kind):
    network = open_network(str(getattr(files, kind)))
    twin = with_random_weights(network, images())
    assert (twin.layers(), twin.latent_dim, twin.weights) == (network.layers(), network.latent_dim, "random")
    own, other = network.backbone.state_dict(), twin.backbone.state_dict()
    assert own.keys() == other.keys()
    assert not torch.equal(own["encoder.to_latent.weight"], other["encoder.to_latent.weight"])
    assert not twin.backbone.training
    assert not any(weight.requires_grad for weight in twin.backbone.parameters())


def test_an_actnorm_is_set_by_the_images_and_the_draw_by_the_seed(files):
    network = open_network(str(files.classifier))
    twins = [with_random_weights(network, images(), seed) for seed in (0, 0, 1)]
    layer = network.layers()[0]
    first, same, other = (twin.encode_layers(images(), [layer])[layer] for twin in twins)
    torch.testing.assert_close(first, same)
    assert not torch.allclose(first, other)
    norms = [module for module in twins[0].backbone.modules() if hasattr(module, "initialized")]
    assert norms
    assert all(module.initialized for module in norms)
    block = twins[0].backbone.encoder.features[0]
    torch.testing.assert_close(-block.norm.loc.flatten(), block.conv(images()).mean((0, 2, 3)), rtol=1e-3, atol=1e-5)


def test_batch_normalisation_is_set_too_and_keeps_its_momentum():
    network = open_network("resnet18", weights="none")
    stem = lambda of: of.encode_layers(images(64, 16), ["bn1"])["bn1"]  # noqa: E731
    twin = with_random_weights(network, images(64, 16))
    # Averaged over the map: its mean over the images is 0 in every channel, but for float32's long sums.
    assert stem(twin).mean(0).abs().max() < 0.02
    assert stem(network).mean(0).abs().max() > 0.05
    # No other batch has a part in it.
    assert int(twin.backbone.network.bn1.num_batches_tracked) == 1
    momenta = {module.momentum for module in twin.backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)}
    assert momenta == {0.1}


def test_what_cannot_be_built_again(files):
    given = Network(lambda x: x.flatten(1), name="mine")
    with pytest.raises(UsageError, match="iin cannot build mine again"):
        with_random_weights(given, images())
    network = open_network(str(files.classifier))
    with pytest.raises(UsageError, match="iin cannot build classifier again"):
        with_random_weights(network.at_layer(network.layers()[0]), images())
    network.backbone.config = {"image_size": np.nan}
    with pytest.raises(UsageError, match="classifier cannot be built without weights"):
        with_random_weights(network, images())
