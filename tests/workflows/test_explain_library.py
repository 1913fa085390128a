import numpy as np
import torch

from iin_cli.progress import Silent
from iin_cli.workflows.explain_library import open_library
from iin_cli.workflows.inputs import recorded_data
from iin_cli.workflows.opening import open_data, open_translator
from iin_cli.workflows.reading import to_tilde


def library(translator, space="z-tilde", most=80):
    opened = open_translator(translator)
    dataset = open_data(None, recorded_data(opened), None)
    return open_library(opened, dataset, space, most, 5, Silent())


def test_it_holds_training_images_in_the_space_asked_for(files):
    found = library(files.of_classes)
    assert len(found) == len(set(found.items)) == 80
    assert set(found.items) <= set(found.dataset.splits["train"])
    assert torch.equal(found.rows, to_tilde(found.opened, found.z))
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
    assert first["item"] == found.items[3]
    assert first["label"] == label.names[label.values[found.items[3]]]
    assert first["image"] == f"digits[{found.items[3]}]"
    assert described[1][1]["distance"] == 3.0
    assert sum(found.label_shares(numbers).values()) == 1
    looks = found.looks(numbers[0])
    assert looks[0].label == first["label"]
    assert np.array_equal(looks[1].pixels, found.dataset.images(found.items[4:5], 32)[0])
