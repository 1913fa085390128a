"""The library of real images: training images, all of them where a fit has cached them, else a bounded draw."""

import numpy as np
import pytest
import torch

from iin_cli.data import open_dataset
from iin_cli.data.arrays import ArrayDataset
from iin_cli.errors import UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.encoding import encode_items, is_encoded
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import ChosenData, Reading
from iin_cli.measures.explanation import library as module
from iin_cli.measures.explanation.library import Library, LibraryChoice
from iin_cli.progress import Silent

pytestmark = pytest.mark.usefixtures("cache")


class Listener(Silent):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


def library(translator, space="z-tilde", most=80, seed=5, report=None):
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
    assert np.array_equal(found.z.numpy(), np.array(encoded.mean))
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
    assert torch.allclose(fresh.z, cached.z, atol=1e-4)
    assert listener.said == []
    everything = library(files.of_classes, most=10**6)
    assert len(everything) == everything.searchable


def test_it_holds_training_images_in_the_space_asked_for(files):
    found = library(files.of_classes)
    assert len(found) == len(set(found.items)) == 80
    assert set(found.items) <= set(found.dataset.splits["train"])
    assert torch.equal(found.rows, found.opened.transform(found.z))
    plain = library(files.of_classes, "z")
    assert torch.equal(plain.rows, plain.z)
    assert np.array_equal(plain.items, found.items)


def test_an_image_is_known_again(files):
    found = library(files.of_classes)
    same = found.same_as(found.z[7:8] * (1 + 1e-6))
    assert same[7]
    assert same.sum() == 1
    assert not found.same_as(found.z[7:8] + 1).any()


def test_neighbours_are_named_with_label_and_distance(files):
    found = library(files.of_classes)
    numbers = torch.tensor([[3, 4], [3, 5]])
    described = found.describe(numbers, torch.tensor([[0.5, 1.0], [2.0, 3.0]]))
    label = found.dataset.labels["class"]
    first = described[0][0]
    assert first.item == found.items[3]
    assert first.label == label.names[label.values[found.items[3]]]
    assert first.image == f"digits[{found.items[3]}]"
    assert described[1][1].distance == 3.0
    assert sum(found.label_shares(numbers).values()) == 1
    looks = found.pictures(numbers[0])
    assert looks[0].label == first.label
    assert np.array_equal(looks[1].pixels, found.dataset.images(found.items[4:5], 32)[0])


@pytest.mark.parametrize("space", ["z", "z-tilde"])
def test_latents_in_memory_are_a_library(files, space):
    opened = open_translator(files.of_classes)
    z = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    data = ArrayDataset("mine", np.zeros((6, 32, 32, 3), np.uint8), {}, {"test": np.arange(6)})
    found = Library.of(Reading(opened, opened.network, data, np.arange(6), z, opened.transform(z)), 2, space)
    z_tilde, itself = opened.transform(z[:1]), found.same_as(z[:1])
    numbers, distances = found.nearest(z[:1], z_tilde, itself)
    rows, query = (z, z[0]) if space == "z" else (opened.transform(z), z_tilde[0])
    expected = (rows - query).norm(dim=1)[1:].sort()
    assert torch.equal(numbers[0], expected.indices[:2] + 1)
    torch.testing.assert_close(distances[0], expected.values[:2])
    assert found.describe(numbers, distances)[0][0].label is None


def test_another_space_is_refused():
    with pytest.raises(UsageError, match="choose from: z, z-tilde"):
        LibraryChoice(space="pixels")
