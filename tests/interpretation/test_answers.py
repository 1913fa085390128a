"""Classes of one name stay apart, and one logit is the answer of two classes, wherever a network comes from."""

import numpy as np
import pytest
import torch
from torch import nn

from iin_cli.errors import UsageError
from iin_cli.interpretation.answers import Classes, answer_of
from iin_cli.interpretation.network import Network
from iin_cli.plugin_api import Labels


def test_classes_of_one_name_are_told_apart_by_their_numbers():
    answer = answer_of(["crane", "maillot", "crane", "maillot"])
    assert answer.names == ("crane (0)", "maillot (1)", "crane (2)", "maillot (3)")
    assert len(answer.row(torch.rand(4))["log_probability"]) == 4
    assert answer_of(["a", "a", "a (1)"]).names == ("a (0)", "a (1) (1)", "a (1) (2)")
    net = Network.cut(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)), classes=["x", "x"], example=torch.ones(2, 4))
    assert net.classes == ("x (0)", "x (1)")


def test_labels_of_one_name_are_told_apart_by_their_numbers():
    assert Labels(np.arange(3), ("cat", "dog", "cat")).names == ("cat (0)", "dog", "cat (2)")
    assert Labels(np.arange(3)).names is None


def test_one_logit_is_a_sigmoid():
    answer, x = answer_of(["smiling"]), torch.tensor([[2.0], [-1.0], [0.5]])
    found = answer.of(x)
    torch.testing.assert_close(found.exp()[:, 1:], x.sigmoid())
    torch.testing.assert_close(found.exp().sum(1), torch.ones(3))
    assert answer.labels(found).tolist() == [1, 0, 1]
    assert answer.row(found[1])["predicted"] == "not smiling"
    assert answer.agreement(found[:2], found[[0, 0]]).tolist() == [True, False]
    # The odds change: a walk across the boundary is seen.
    assert answer.compare(found[:1], found[None, 1:]).columns["kl"].min() > 0.1


@pytest.mark.parametrize(("named", "names"), [(None, ("0", "1")), (["cat", "dog"], ("cat", "dog"))])
def test_a_module_of_one_logit_names_two_classes(named, names):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    net = Network.cut(module, classes=named)
    z = net.encode(torch.randn(50, 4))
    assert net.classes == names
    assert isinstance(net.answer, Classes)
    answers = net.answers(z)
    assert answers.shape == (50, 2)
    with torch.no_grad():
        torch.testing.assert_close(answers[:, 1].exp(), module[1](z).sigmoid()[:, 0])
    with pytest.raises(UsageError, match="3 classes are named"):
        Network.cut(module, classes="abc").encode(torch.randn(2, 4))
