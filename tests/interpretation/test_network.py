"""What a network answers with."""

import torch

from iin_cli.interpretation.opening import open_network


def test_log_probabilities_are_the_classifiers(files):
    network = open_network(str(files.classifier))
    z = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    found = network.answers(z)
    assert torch.allclose(found.exp().sum(1), torch.ones(40))
    torch.testing.assert_close(found, torch.log_softmax(network.backbone.decode(z), 1))
