from types import SimpleNamespace

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.measures.embedding import colors as module
from iin_cli.measures.embedding.colors import choose_colorings, class_coloring
from iin_cli.plugin_api import Labels
from iin_cli.progress import Silent


class Told(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


class FakeReading(SimpleNamespace):
    def __len__(self):
        return len(self.items)


def reading(classes=None, **columns):
    labels = {name: Labels(*(column if isinstance(column, tuple) else (column,))) for name, column in columns.items()}
    dataset = SimpleNamespace(name="things", labels=labels)
    opened = SimpleNamespace(backbone=SimpleNamespace(classes=classes))
    return FakeReading(dataset=dataset, items=np.array([3, 1, 0]), opened=opened, z=torch.zeros(3, 2))


def test_columns_named_after_the_factors_colour_the_items_themselves():
    found = choose_colorings(
        reading(digit=(np.array([0, 1, 2, 0]), ("a", "b", "c")), angle=np.array([0.0, 5.0, 1.0, 9.0])),
        ["digit", "angle", "shape"],
        (),
        told := Told(),
    )
    assert [coloring.title for coloring in found] == ["digit", "angle"]
    assert np.array_equal(found[0].colors[0], found[0].colors[2])
    assert [name for name, _ in found[0].key] == ["a", "b"]
    assert found[1].span == (0.0, 9.0)
    assert told.notes == ["no label of things colours shape: drawn without"]


def test_identities_have_no_colours_but_those_that_are_colours():
    several = reading(color=np.arange(100), **{"class": np.zeros(100, np.int64)})
    several.items = np.arange(100)
    assert [coloring.title for coloring in choose_colorings(several, ["color"], (), Silent())] == ["class"]
    several.dataset.colors = np.random.default_rng(0).random((100, 3))
    (found,) = choose_colorings(several, ["color"], (), Silent())
    assert np.allclose(found.colors, several.dataset.colors)


def test_the_wanted_columns_must_be_there():
    with pytest.raises(DataError, match="--color-by needs the label 'shade', and things has: digit"):
        choose_colorings(reading(digit=np.zeros(4, np.int64)), ["digit"], ["shade"], Silent())


def test_without_classes_predictions_colour_and_without_these_nothing(monkeypatch):
    monkeypatch.setattr(module, "log_probabilities", lambda opened, z: torch.tensor([[0, -1.0], [-1.0, 0], [0, -1.0]]))
    told = Told()
    found = class_coloring(reading(classes=("cat", "dog")), told)
    assert [name for name, _ in found.key] == ["cat", "dog"]
    assert np.array_equal(found.colors[0], found.colors[2])
    assert len(np.unique(class_coloring(reading(), told).colors, axis=0)) == 1
    assert len(told.notes) == 2
