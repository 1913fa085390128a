from types import SimpleNamespace

import numpy as np
import pytest
import torch

from iin_cli.data.arrays import ArrayDataset
from iin_cli.errors import DataError
from iin_cli.interpretation.answers import answer_of
from iin_cli.measures.embedding.colors import Colors
from iin_cli.plugin_api import Labels
from iin_cli.progress import Silent


class FakeReading(SimpleNamespace):
    def __len__(self):
        return len(self.items)


def reading(classes=None, items=(3, 1, 0), **columns):
    labels = {name: Labels(*(column if isinstance(column, tuple) else (column,))) for name, column in columns.items()}
    count = len(next(iter(labels.values())).values) if labels else 4
    dataset = ArrayDataset("things", np.zeros((count, 2, 2), np.uint8), labels, {})
    answers = torch.tensor([[0, -1.0], [-1.0, 0], [0, -1.0]])
    network = SimpleNamespace(answer=answer_of(classes), classes=classes, answers=lambda z: answers)
    return FakeReading(dataset=dataset, items=np.array(items), network=network, z=torch.zeros(3, 2))


def test_columns_named_after_the_factors_colour_the_items_themselves(heard):
    found = Colors(
        reading(digit=(np.array([0, 1, 2, 0]), ("a", "b", "c")), angle=np.array([0.0, 5.0, 1.0, 9.0])), (), heard
    ).of(["digit", "angle", "shape"])
    assert [coloring.title for coloring in found] == ["digit", "angle"]
    assert np.array_equal(found[0].colors[0], found[0].colors[2])
    assert [name for name, _ in found[0].key] == ["a", "b"]
    assert found[1].span == (0.0, 9.0)
    assert heard.notes == ["no label of things colours shape: drawn without"]


def test_what_has_no_colours_is_told_once(heard):
    colors = Colors(reading(digit=np.zeros(4, np.int64)), (), heard)
    assert colors.of(["digit", "shape"]) is colors.of(["digit", "shape"])
    assert len(heard.notes) == 1


def test_identities_have_no_colours_but_those_that_are_colours():
    several = reading(items=range(100), color=np.arange(100), **{"class": np.zeros(100, np.int64)})
    assert [coloring.title for coloring in Colors(several, (), Silent()).of(["color"])] == ["class"]
    several.dataset.colors = np.random.default_rng(0).random((100, 3))
    (found,) = Colors(several, (), Silent()).of(["color"])
    assert np.allclose(found.colors, several.dataset.colors)


def test_the_wanted_columns_must_be_there():
    digits = reading(digit=np.zeros(4, np.int64))
    with pytest.raises(DataError, match="--color-by needs the label 'shade', and things has: digit"):
        Colors(digits, ["shade"], Silent())
    assert [coloring.title for coloring in Colors(digits, ["Digit"], Silent()).of(["shade"])] == ["digit"]


def test_without_classes_predictions_colour_and_without_these_nothing(heard):
    (found,) = Colors(reading(classes=("cat", "dog")), (), heard).of(())
    assert [name for name, _ in found.key] == ["cat", "dog"]
    assert np.array_equal(found.colors[0], found.colors[2])
    (found,) = Colors(reading(), (), heard).of(())
    assert len(np.unique(found.colors, axis=0)) == 1
    assert len(heard.notes) == 2
