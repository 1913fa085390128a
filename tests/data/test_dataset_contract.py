"""A plugin's dataset that breaks its contract is named when it is opened, with what it broke."""

import re

import numpy as np
import pytest

from iin_cli.data import open_dataset
from iin_cli.data.contract import breach_of
from iin_cli.errors import PluginError

SOURCE = """
import numpy as np
from iin_cli.plugin_api import Dataset, Labels

class Mine(Dataset):
    def __init__(self):
        self.name, self.fingerprint, self.native_size = "mine", "f", 16
        self.sources = np.arange(6)
        self.labels = {{"class": Labels(np.array([0, 1] * 3), ("a", "b")), "size": Labels(np.linspace(0, 1, 6))}}
        self.splits = {{"train": np.arange(4), "test": np.arange(4, 6)}}
        {set}

    def images(self, indices, size, interpolation="bicubic"):
        {images}
        return np.zeros((len(indices), size, size, 3), np.uint8)

def thing(data_root):
    {make}
    return Mine()
"""


def source(**lines):
    return SOURCE.format(**{part: lines.get(part, "pass") for part in ("set", "images", "make")})


def test_one_that_keeps_it_opens(install):
    install("good", {"mine": "thing"}, source(make="print('noise')"), group="iin.datasets")
    assert open_dataset("mine").native_size == 16


def test_built_ins_keep_it(pictures):
    for name in ("digits", "colordigits", "shapes", str(pictures)):
        assert breach_of(open_dataset(name)) is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({"make": "return None"}, "it made a NoneType instead of a Dataset"),
        ({"set": "del self.splits"}, "it has no splits"),
        ({"set": "self.fingerprint = ''"}, "its fingerprint is '', and must be a text"),
        ({"set": "self.native_size = 1.5"}, "its native_size is 1.5"),
        ({"set": "self.sources = list(range(6))"}, "its sources must be whole numbers (M,), and are a list"),
        ({"set": "self.sources = np.zeros(0, int)"}, "it has no items"),
        ({"set": "self.sources = np.arange(6.0)"}, "and are float64 (6,)"),
        ({"set": "self.labels = []"}, "its labels are a list"),
        ({"set": "self.labels = {'class': np.arange(6)}"}, "label 'class': it is a ndarray, not Labels"),
        ({"set": "self.labels = {'class': Labels(np.arange(5))}"}, "must be an array (6,), one per item"),
        ({"set": "self.labels = {'class': Labels(np.arange(6), ('a', 'b'))}"}, "it has 2 names, and a value is 5"),
        ({"set": "self.labels = {'class': Labels(np.arange(6) - 1)}"}, "must not be negative, and one is -1"),
        ({"set": "self.labels = {'size': Labels(np.full(6, np.nan))}"}, "its values are not finite"),
        ({"set": "self.labels = {'on': Labels(np.ones(6, bool))}"}, "and are bool (6,)"),
        ({"set": "self.splits = {'train': np.arange(6)}"}, "its splits must map train and test"),
        ({"set": "self.splits['test'] = [4, 5]"}, "split 'test' must be whole numbers, and is a list"),
        ({"set": "self.splits['test'] = np.array([4, 6])"}, "split 'test' names item 6, and there are 6"),
        ({"set": "self.splits['test'] = np.array([4, 4])"}, "split 'test' names an item twice"),
        ({"set": "self.splits['test'] = np.array([3])"}, "both have images of source 3"),
        ({"set": "self.colors = np.full((6, 3), 255)"}, "its colors must be numbers from 0 to 1"),
        ({"images": "return np.zeros((len(indices), 16, 16, 3), np.uint8)"}, "and gives uint8 (2, 16, 16, 3)"),
        ({"images": "return np.zeros((len(indices), size, size, 3))"}, "and gives float64 (2, 8, 8, 3)"),
        ({"images": "return None"}, "and gives a NoneType"),
        ({"images": "raise KeyError('x')"}, "plugin 'mine' of bad 1.0 fails over its first image: KeyError: 'x'"),
    ],
)
def test_one_that_breaks_it_is_named(install, lines, said):
    install("bad", {"mine": "thing"}, source(**lines), group="iin.datasets")
    with pytest.raises(PluginError, match=re.escape(said)):
        open_dataset("mine")


def test_a_split_may_be_empty(install):
    install("good", {"mine": "thing"}, source(set="self.splits['test'] = np.array([])"), group="iin.datasets")
    assert len(np.asarray(open_dataset("mine").splits["test"])) == 0
