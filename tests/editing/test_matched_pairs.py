"""Partners that differ in one label and in nothing else that is known."""

import numpy as np
import pytest

from iin_cli.editing.matched_pairs import matched_partners
from iin_cli.errors import DataError
from iin_cli.interpretation.memory import MemoryDataset


@pytest.fixture(scope="module")
def data():
    """Four shapes in four textures, three pictures of each shape in every texture."""
    shape, texture, picture = (axis.ravel() for axis in np.meshgrid(np.arange(4), np.arange(4), np.arange(3)))
    labels = {"shape": shape, "texture": texture, "picture": shape * 3 + picture}
    return MemoryDataset(np.zeros((48, 8, 8, 3), np.uint8), labels)


def test_a_partner_is_the_same_picture_in_another_texture(data):
    items = np.arange(48)
    rows, partners = matched_partners(data, items, items, "texture", ["shape"], seed=1)
    assert np.array_equal(rows, items)
    values = {name: each.values for name, each in data.labels.items()}
    assert (values["texture"][partners] != values["texture"]).all()
    # Other pictures of that shape would do, but are not as near.
    assert (values["picture"][partners] == values["picture"]).all()
    again = matched_partners(data, items, items, "texture", ["shape"], seed=1)[1]
    assert np.array_equal(partners, again)


def test_only_what_is_there_is_a_partner(data):
    alone = np.flatnonzero((data.labels["texture"].values == 0) | (data.labels["shape"].values == 0))
    rows, partners = matched_partners(data, np.arange(48), alone, "texture", ["shape"], seed=0)
    assert set(partners.tolist()) <= set(alone.tolist())
    assert (data.labels["shape"].values[rows] == data.labels["shape"].values[partners]).all()
    same = np.flatnonzero(data.labels["texture"].values == 2)
    with pytest.raises(DataError, match="no two images"):
        matched_partners(data, same, same, "texture", ["shape"], seed=0)
