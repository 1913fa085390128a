"""A plugin's backbone that is trained here is checked before the first step, so that its checkpoint can be opened."""

import re

import pytest
import torch

from iin_cli.data import open_dataset
from iin_cli.errors import PluginError
from iin_cli.fitting.backbone_training import BackboneChoice
from iin_cli.registry import find

SOURCE = """
import torch
from torch import nn
from iin_cli.plugin_api import Backbone, Recipe

class Plain(Recipe):
    def __init__(self):
        self.batch_size, self.steps = 2, 3
        {recipe}

    def step(self, images, labels, fraction): return {{"loss": 0.0}}
    def validate(self, images, labels): return {{"score": 0.0}}
    def state_dict(self): return {{}}
    def load_state_dict(self, state): pass

class thing(nn.Module, Backbone):
    def __init__(self, width=4):
        super().__init__()
        self.name, self.latent_dim, self.image_size, self.classes = "mine", width, 8, ("a", "b")
        self.config = {{"width": width}}
        self.e, self.g = nn.Linear(192, width), nn.Linear(width, 2)
        self.register_buffer("seen", torch.zeros(()))
        {set}

    def encode(self, images):
        self.seen += 1
        {encode}
        return self.e(images.flatten(1))

    def decode(self, z): return self.g(z)
    def recipe(self, max_steps, seed): return {made}

    @classmethod
    def from_config(cls, config): return {again}

    @classmethod
    def for_training(cls, argument, facts, latent_dim, weights): return {module}
"""
DEFAULTS = {"made": "Plain()", "again": "cls(config['width'])", "module": "cls(6)"}


@pytest.fixture
def build(install):
    def run(**lines):
        parts = {part: lines.get(part, DEFAULTS.get(part, "pass")) for part in ("recipe", "set", "encode", *DEFAULTS)}
        install("guest", {"mine": "thing"}, SOURCE.format(**parts))
        return BackboneChoice("mine").build(find("backbones", "mine"), open_dataset("digits"), 0, torch.device("cpu"))

    return run


def test_one_that_keeps_it_is_left_as_it_was(build):
    module, recipe = build()
    assert (module.training, float(module.seen), recipe.steps) == (True, 0.0, 3)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({"module": "None"}, "plugin 'mine' of guest 1.0 cannot be built"),
        ({"encode": "return images.flatten(1)"}, "E must give z (B, N), here (2, 6), and gives (2, 192)"),
        ({"encode": "raise KeyError('x')"}, "fails before its training: KeyError: 'x'"),
        ({"made": "None"}, "recipe must give a Recipe, and gives a NoneType"),
        ({"recipe": "self.steps = 0"}, "its recipe's steps is 0"),
        ({"recipe": "self.batch_size = 2.5"}, "its recipe's batch_size is 2.5"),
        ({"recipe": "self.keep = 'first'"}, "its recipe's keep is 'first'"),
        ({"set": "self.config['x'] = torch.ones(1)"}, "its config cannot be saved as JSON"),
        ({"again": "cls()"}, "from_config(config) makes another module: e.bias is (4,), not (6,)"),
        ({"again": "cls(config['height'])"}, "fails before its training: KeyError: 'height'"),
    ],
)
def test_one_that_breaks_it_is_named(build, lines, said):
    with pytest.raises(PluginError, match=re.escape(said)):
        build(**lines)
