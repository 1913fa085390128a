"""One pass over the images gives every layer what `--layer` gives it."""

import numpy as np
import pytest

from iin_cli.data import open_dataset
from iin_cli.interpretation.opening import open_network
from iin_cli.latents.cache import as_images
from iin_cli.progress import Silent
from iin_cli.sizing.layer_features import read_layers

pytestmark = pytest.mark.usefixtures("cache")


def test_every_layer_gives_in_one_pass_what_it_gives_alone(network, pictures):
    opened = open_network(str(network))
    backbone, layers = opened.backbone, opened.backbone.layers()
    dataset = open_dataset(str(pictures))
    batches = [dataset.images(np.arange(start, start + 3), 32) for start in (0, 3)]
    with Silent().task("", 1) as task, read_layers(opened, layers, iter(batches), task) as features:
        assert tuple(features.widths) == layers
        images = as_images(np.concatenate(batches))
        for layer in layers:
            expected = backbone.at_layer(layer).encode(images)
            assert expected.shape == (6, features.widths[layer])
            np.testing.assert_allclose(features[layer], expected, atol=1e-5, rtol=1e-4)
        folder = features._folder
    assert not folder.exists()
    assert not any(module._forward_hooks for module in backbone.modules())
