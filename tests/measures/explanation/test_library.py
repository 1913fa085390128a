"""The library of real images: training images, all of them where a fit has cached them, else a bounded draw."""

import numpy as np
import pytest
import torch

from iin_cli.data import open_dataset
from iin_cli.data.arrays import ArrayDataset
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.encoding import encode_items, is_encoded
from iin_cli.interpretation.memory import as_labels
from iin_cli.interpretation.open_translator import OpenTranslator
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import ChosenData, Reading
from iin_cli.latents.cache import MappedRows
from iin_cli.measures.explanation import library as module
from iin_cli.measures.explanation.library import Found, Library, LibraryChoice
from iin_cli.progress import Silent

pytestmark = pytest.mark.usefixtures("cache")


class Listener(Silent):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


def library(translator, space="network", most=80, seed=5, report=None):
    data = ChosenData(open_translator(translator), DataChoice(seed=seed), report or Silent())
    return LibraryChoice(space=space, most=most).open(data)


def encode_training_images(translator):
    """What a fit does."""
    opened = open_translator(translator)
    dataset = open_dataset("digits")
    items = dataset.splits["train"]
    return items, encode_items(opened.network, dataset, items, report=Silent())


def test_what_is_not_cached_is_encoded_up_to_a_bound_and_said_so(files, monkeypatch):
    monkeypatch.setattr(module, "UNCACHED", 25)
    listener = Listener()
    found = library(files.of_classes, most=None, report=listener)
    train = found.dataset.splits["train"]
    assert (len(found), len(set(found.items)), found.searchable) == (25, 25, len(train))
    assert set(found.items) <= set(train)
    assert listener.said == [
        f"25 of {len(train):,} training images of digits are searched, drawn by seed 5, since their latents are not "
        "cached; --search says how many"
    ]
    # Not even afterwards all of them.
    assert not is_encoded(found.network, found.dataset, train)
    assert np.array_equal(library(files.of_classes, most=None).items, found.items)
    assert not np.array_equal(library(files.of_classes, most=None, seed=6).items, found.items)


def test_what_is_cached_is_searched_wholly(files, monkeypatch):
    monkeypatch.setattr(module, "UNCACHED", 25)
    items, encoded = encode_training_images(files.of_classes)
    listener = Listener()
    found = library(files.of_classes, "z", most=None, report=listener)
    assert np.array_equal(found.items, items)
    assert np.array_equal(np.array(found.z), np.array(encoded.mean))
    # Left on the disk.
    assert isinstance(found.z, MappedRows)
    assert listener.said == []
    # Unless it is more than memory should hold.
    monkeypatch.setattr(module, "MOST_NUMBERS", 30 * 8)
    some = library(files.of_classes, "z", most=None, report=listener)
    assert len(some) == 30
    (line,) = listener.said
    assert "not cached" not in line


def test_a_wish_holds_whether_the_latents_are_cached_or_not(files):
    listener = Listener()
    fresh = library(files.of_classes, most=40, report=listener)
    encode_training_images(files.of_classes)
    cached = library(files.of_classes, most=40, report=listener)
    assert np.array_equal(fresh.items, cached.items)
    # A network rounds a little otherwise in another batch.
    assert np.allclose(fresh.z, cached.z, atol=1e-4)
    assert listener.said == []
    everything = library(files.of_classes, most=10**6)
    assert len(everything) == everything.searchable


def test_it_holds_training_images(files):
    found = library(files.of_classes)
    assert len(found) == len(set(found.items)) == 80
    assert set(found.items) <= set(found.dataset.splits["train"])


def test_neighbours_are_named_with_label_answer_and_distance(files):
    found = library(files.of_classes)
    numbers = torch.tensor([[3, 4], [3, 5]])
    near = Found(numbers, torch.tensor([[0.5, 1.0], [2.0, 3.0]]), torch.tensor([[0, 1], [2, 3]]))
    described = found.describe(near)
    label = found.dataset.labels["class"]
    first = described[0][0]
    assert first.item == found.items[3]
    assert first.label == label.names[label.values[found.items[3]]]
    assert first.image == f"digits[{found.items[3]}]"
    assert (described[1][1].distance, described[1][1].predicted) == (3.0, "d")
    assert sum(found.label_shares(numbers, "residual").values()) == 1
    assert np.array_equal(found.pictures(numbers[0])[1], found.dataset.images(found.items[4:5], 32)[0])


def of_memory(opened, z, space, **labels):
    columns = {name: as_labels(name, values, len(z)) for name, values in labels.items()}
    data = ArrayDataset("mine", np.zeros((len(z), 32, 32, 3), np.uint8), columns, {"test": np.arange(len(z))})
    return Library.of(Reading(opened, opened.network, data, np.arange(len(z)), z, opened.transform(z)), 2, space)


@pytest.mark.parametrize("space", ["network", "z", "z-tilde"])
def test_latents_in_memory_are_a_library_and_an_image_is_never_its_own_neighbour(files, space):
    opened = open_translator(files.of_classes)
    z = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    found = of_memory(opened, z, space)
    # A network rounds a little otherwise in another batch.
    near = found.nearest(z[:1], z[:1] * (1 + 1e-6))
    roots = opened.network.answers(z).exp().sqrt()
    spread = lambda values: values.var(0, correction=0).sum().sqrt()  # noqa: E731
    rows = {
        "z": z,
        "z-tilde": opened.transform(z),
        "network": torch.cat((z / spread(z), roots / spread(roots)), 1),
    }[space]
    expected = (rows - rows[0]).norm(dim=1)[1:].sort()
    assert torch.equal(near.numbers[0], expected.indices[:2] + 1)
    torch.testing.assert_close(near.distances[0], expected.values[:2])
    assert found.describe(near)[0][0].label is None
    with pytest.raises(DataError, match="no other image"):
        of_memory(opened, z[:1], space).nearest(z[:1], z[:1])


def test_only_candidates_are_translated(files, monkeypatch):
    opened = open_translator(files.of_classes)
    z = torch.randn(3000, 8, generator=torch.Generator().manual_seed(0))
    found, seen, real = of_memory(opened, z, "z-tilde"), [], OpenTranslator.transform
    monkeypatch.setattr(
        OpenTranslator, "transform", lambda self, rows, *rest: seen.append(len(rows)) or real(self, rows)
    )
    near = found.nearest(z[:1], z[:1])
    assert max(seen) < 200
    # Here those nearest in z̃ are among those nearest in z.
    every = real(opened, z)
    assert torch.equal(near.numbers[0], (every - every[0]).norm(dim=1).argsort()[1:3])


def test_columns_of_a_table_name_images_where_there_is_no_class(files):
    opened = open_translator(files.of_classes)
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    found = of_memory(
        opened, z, "z", color=["red", "red", "blue", "red"], Digit=[1, 2, 3, 4], size=[0.1, 0.2, 0.3, 0.4]
    )
    assert found.naming.columns == ("Digit", "color")
    assert found.naming.name(2) == "3 / blue"
    assert found.label_shares(torch.tensor([[0, 1, 2, 3]]), "color") == {"red": 0.75, "blue": 0.25}
    assert found.naming.column_for("residual") == "Digit"
    # Columns that no factor is called like do where there are no others.
    assert of_memory(opened, z, "z", kind=["a", "b", "a", "b"]).naming.name(1) == "b"
    with_class = of_memory(opened, z, "z", color=["x"] * 4, **{"class": ["a", "b", "a", "b"]})
    assert (with_class.naming.name(1), with_class.naming.column_for("color")) == ("b", "color")


def test_another_space_is_refused():
    with pytest.raises(UsageError, match="choose from: network, z, z-tilde"):
        LibraryChoice(space="pixels")
