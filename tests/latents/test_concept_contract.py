"""A plugin's concept that breaks its contract is named before anything is encoded, with what it broke."""

import re

import numpy as np
import pytest

from iin_cli.data import open_dataset
from iin_cli.errors import PluginError
from iin_cli.interpretation.grouping import find_providers, grouped
from iin_cli.plugin_api import Circumstances
from iin_cli.progress import Silent

SOURCE = """
import numpy as np
from iin_cli.plugin_api import ConceptProvider, Groups

class thing(ConceptProvider):
    concept, relation, fingerprint = "mine", "differ", "f"
    {set}

    def groups(self, dataset, indices, seed):
        i, v = np.repeat(indices, 2), np.tile([0, 1], len(indices))
        g = i.copy()
        {groups}
        return Groups(i, v, g)

    def render(self, images, variant):
        {render}
        return 255 - images
"""
AROUND = Circumstances("cpu", 12, "bicubic", 0, Silent())


def ground(install, **lines):
    parts = {part: lines.get(part, "pass") for part in ("set", "groups", "render")}
    install("guest", {"mine": "thing"}, SOURCE.format(**parts), group="iin.concepts")
    dataset = open_dataset("digits")
    return grouped(dataset, dataset.splits["train"][:5], find_providers(["mine"]), AROUND)


def test_one_that_keeps_it_groups(install):
    (found,) = ground(install)
    assert np.unique(found.group_ids, return_counts=True)[1].tolist() == [2] * 5


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({"set": "relation = 'same'"}, "its relation is 'same', and must be share or differ"),
        ({"set": "concept = None"}, "its concept is None, and must be a text"),
        ({"set": "fingerprint = 3"}, "its fingerprint is 3"),
        ({"groups": "return i, v, g"}, "groups must give Groups, and gives a tuple"),
        ({"groups": "v = v.tolist()"}, "variants must be whole numbers (M,), and are list"),
        ({"groups": "g = g * 1.0"}, "group_ids must be whole numbers (M,), and are float64 (10,)"),
        ({"groups": "v = v[:-1]"}, "its columns have 10, 9, 10 rows"),
        ({"groups": "i = i + 10**6"}, "which it was not given"),
        ({"groups": "v = -v"}, "a variant is negative"),
        ({"render": "return images / 255"}, "variant 1 must be drawn as uint8 (B, S, S, 3), here (1, 12, 12, 3)"),
        ({"render": "return images[:, :6]"}, "and is uint8 (1, 6, 12, 3)"),
        ({"render": "return None"}, "and is NoneType"),
        ({"render": "1 / 0"}, "it fails to draw, ZeroDivisionError: division by zero"),
    ],
)
def test_one_that_breaks_it_is_named(install, lines, said):
    with pytest.raises(PluginError, match=re.escape(said)):
        ground(install, **lines)
