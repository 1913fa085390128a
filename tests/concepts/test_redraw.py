"""Differ concepts of data that can be drawn again."""

import numpy as np
import pytest

from iin_cli.concepts.redraw import REDRAWINGS, Redrawable, redraw_concept
from iin_cli.data.shapes import ShapesDataset
from iin_cli.errors import DataError, UsageError
from iin_cli.plugin_api import Dataset

ITEMS = np.array([4, 11, 7])


class Fixed(Dataset):
    name = "fixed"
    native_size = 4

    def images(self, indices, size, interpolation="bicubic"):
        return np.zeros((len(indices), size, size, 3), np.uint8)


class Stubborn(Fixed):
    """Draws again what it drew before."""

    def redraw(self, indices, size, column, seed):
        return self.images(indices, size)


@pytest.fixture(scope="module")
def shapes():
    return ShapesDataset()


def test_variants_are_the_items_with_another_value_of_the_column(shapes):
    concept = redraw_concept("hue")
    assert (concept.concept, concept.relation, concept.variants) == ("hue", "differ", REDRAWINGS)
    drawn = [concept.draw(shapes, ITEMS, 32, "bicubic", variant) for variant in range(REDRAWINGS + 1)]
    np.testing.assert_array_equal(drawn[0], shapes.images(ITEMS, 32))
    for variant in range(1, REDRAWINGS + 1):
        values = shapes.redrawn_values(ITEMS, "hue", variant)
        np.testing.assert_array_equal(drawn[variant], shapes.drawn(ITEMS, 32, {"hue": values}))
    assert all(not np.array_equal(a, b) for a, b in zip(drawn, [*drawn[1:], drawn[0]], strict=True))
    with pytest.raises(UsageError, match="hue has no variant 3"):
        concept.draw(shapes, ITEMS, 32, "bicubic", 3)


def test_a_group_is_an_item_and_its_redrawings(shapes):
    groups = redraw_concept("roundness").groups(shapes, ITEMS, seed=0)
    assert groups.indices.tolist() == groups.group_ids.tolist() == [4, 4, 4, 11, 11, 11, 7, 7, 7]
    assert groups.variants.tolist() == [0, 1, 2] * 3


def test_names_say_what_is_drawn():
    concept = redraw_concept("hue")
    assert [concept.variant_name(variant) for variant in range(3)] == ["image", "redrawn 1", "redrawn 2"]
    assert concept.fingerprint != redraw_concept("size").fingerprint


def test_data_that_cannot_be_redrawn_is_refused(shapes):
    assert isinstance(shapes, Redrawable)
    with pytest.raises(DataError, match=r"redraw:hue needs images that can be drawn again, and those of fixed cannot"):
        redraw_concept("hue").groups(Fixed(), ITEMS, seed=0)
    with pytest.raises(DataError, match="changes nothing in fixed"):
        redraw_concept("hue").groups(Stubborn(), ITEMS, seed=0)
    with pytest.raises(DataError, match="did you mean hue"):
        redraw_concept("hues").groups(shapes, ITEMS, seed=0)


@pytest.mark.parametrize("argument", [None, ""])
def test_a_column_must_be_named(argument):
    with pytest.raises(UsageError, match="redraw:NAME"):
        redraw_concept(argument)
