"""A network opened by iin: what it answers and draws."""

import torch

from iin_cli.interpretation.opening import open_translator


def test_log_probabilities_are_the_classifiers(files):
    opened = open_translator(files.of_classes)
    z = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    found = opened.network.answers(z)
    assert torch.allclose(found.exp().sum(1), torch.ones(40))
    torch.testing.assert_close(found, torch.log_softmax(opened.require_network().backbone.decode(z), 1))
