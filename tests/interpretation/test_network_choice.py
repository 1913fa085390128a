"""A network is opened with the weights and the cut that were chosen."""

import pytest

from iin_cli.errors import UsageError
from iin_cli.interpretation.network_choice import NetworkChoice


def test_a_checkpoint(files):
    network = NetworkChoice(str(files.classifier)).open()
    assert (network.name, network.latent_dim, network.layer) == ("classifier", 8, None)


def test_a_registered_network_cut_at_a_layer():
    network = NetworkChoice("shufflenet_v2_x0_5", "none", "conv1").open("cpu")
    assert (network.weights, network.layer, network.latent_dim) == ("none", "conv1", 24)


def test_weights_of_a_checkpoint_are_its_own(files):
    with pytest.raises(UsageError, match="weights of its own"):
        NetworkChoice(str(files.classifier), "none").open()
