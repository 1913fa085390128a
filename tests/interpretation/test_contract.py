"""A plugin's backbone that breaks its contract is named when it is opened, with what it broke."""

import pytest
import torch
from torch import nn

from iin_cli.errors import DataError, PluginError
from iin_cli.interpretation.contract import breach_of
from iin_cli.interpretation.network import Network
from iin_cli.interpretation.opening import open_network

NET = """
import torch
from torch import nn
from iin_cli.plugin_api import Backbone

class thing(nn.Module, Backbone):
    takes_argument = False

    def __init__(self):
        super().__init__()
        self.name, self.latent_dim, self.image_size, self.classes, self.config = "mine", 4, 8, ("a", "b"), {{}}
        self.e, self.g = nn.Linear(192, 4), nn.Linear(4, 2)
        {set}

    def encode(self, images):
        z = self.e(images.flatten(1))
        {encode}
        return z

    def decode(self, z):
        y = self.g(z)
        {decode}
        return y

    @classmethod
    def from_config(cls, config):
        return cls()

    @classmethod
    def pretrained(cls, argument, weights):
        {pretrained}
        return cls()
"""


def source(**lines):
    return NET.format(**{part: lines.get(part, "pass") for part in ("set", "encode", "decode", "pretrained")})


def test_one_that_keeps_it_opens_and_draws_nothing(install):
    install("good", {"mine": "thing"}, source(encode="z = z + 1e-3 * torch.randn_like(z)", pretrained="print('noise')"))
    net = open_network("mine")
    assert net.classes == ("a", "b")
    assert not net.backbone.training
    before = torch.random.get_rng_state()
    assert breach_of(net.backbone) is None
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({"pretrained": "return None"}, "it made a NoneType instead of a torch module"),
        ({"set": "self.latent_dim = 5"}, r"E must give z \(B, N\), here \(2, 5\), and gives \(2, 4\)"),
        ({"set": "self.latent_dim = 4.0"}, "its latent_dim is 4.0, and must be a whole number of at least 2"),
        ({"set": "self.image_size = 0"}, "its image_size is 0"),
        ({"set": "self.interpolation = 'cubic'"}, "its interpolation is 'cubic', and must be one of bicubic, bilinear"),
        ({"set": "self.classes = 'ab'"}, "its classes are 'ab', and must be names"),
        ({"set": "self.classes = ()"}, "its classes are empty"),
        ({"set": "self.classes = ('a', 'b', 'c')"}, "it names 3 classes, and G gives 2 logits"),
        ({"set": "self.classes = None"}, r"without classes G must give images \(B, 3, S, S\), and gives \(2, 2\)"),
        ({"encode": "return z.numpy()"}, "and gives a ndarray"),
        ({"encode": "return z[0]"}, r"and gives \(4,\)"),
        ({"encode": "return z.long()"}, "E gives int64, not floating-point numbers"),
        ({"encode": "z = z / 0"}, "E gives values that are not finite"),
        ({"decode": "return None"}, r"G must give logits \(B, C\), and gives a NoneType"),
        ({"decode": "y = y * float('nan')"}, "G gives values that are not finite"),
        ({"encode": "raise KeyError('x')"}, "plugin 'mine' of bad 1.0 fails on a first batch: KeyError: 'x'"),
        ({"pretrained": "raise OSError('gone')"}, "plugin 'mine' of bad 1.0 cannot be opened: OSError: gone"),
    ],
)
def test_a_breach_is_named_with_the_plugin(install, lines, said):
    install("bad", {"mine": "thing"}, source(**lines))
    with pytest.raises(PluginError, match=said) as caught:
        open_network("mine")
    assert str(caught.value).startswith("plugin 'mine' of bad 1.0 ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("encode", "decode", "said"),
    [
        (lambda x: x.flatten(1).long(), None, "E gives int64, not floating-point numbers"),
        (lambda x: None, None, "gives a NoneType"),
        (lambda x: x.flatten(1), lambda z: z / 0, "G gives values that are not finite"),
        (lambda x: x.flatten(1), lambda z: z[:, None, :2, None], r"images \(B, 3, S, S\), and gives \(1, 1, 2, 1\)"),
    ],
)
def test_functions_from_python_keep_the_same_contract(encode, decode, said):
    with pytest.raises(DataError, match=said):
        Network(encode, decode).encode(torch.ones(2, 3))


def test_a_cut_module_keeps_the_same_contract():
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    nn.init.constant_(module[1].bias, torch.nan)
    with pytest.raises(DataError, match="G gives values that are not finite"):
        Network.cut(module).encode(torch.ones(2, 3))
