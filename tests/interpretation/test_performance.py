"""How well networks of known answers do, and how labels find their classes."""

import numpy as np
import pytest
import torch

from iin_cli.data.arrays import ArrayDataset
from iin_cli.errors import DataError
from iin_cli.interpretation.answers import Classes
from iin_cli.interpretation.network import Network
from iin_cli.interpretation.performance import match_classes, measure_performance
from iin_cli.plugin_api import Labels


def dataset(**columns):
    labels = {name: Labels(np.asarray(values), names) for name, (values, names) in columns.items()}
    count = len(next(iter(labels.values())).values) if labels else 8
    return ArrayDataset("mine", np.zeros((count, 8, 8, 3), np.uint8), labels, {"test": np.arange(count)})


def classifier(names):
    network = Network(lambda x: x.flatten(1), lambda z: z, classes=names)
    network.encode(torch.zeros(1, len(names)))
    return network


def measured(network, data, logits):
    return measure_performance(network, data, np.arange(len(logits)), torch.as_tensor(logits).float())


def test_accuracy_and_calibration_of_a_network_that_is_known(heard):
    data = dataset(**{"class": ([0, 1, 2, 0, 1, 2, 0, 1], ("cat", "dog", "owl"))})
    # It always says cat with probability 0.5.
    logits = np.tile(np.log([0.5, 0.25, 0.25]), (8, 1))
    found = measured(classifier(["cat", "dog", "owl"]), data, logits)
    assert found.figures["accuracy"].value == pytest.approx(3 / 8)
    assert found.figures["confidence"].value == pytest.approx(0.5)
    assert found.figures["calibration_error"].value == pytest.approx(1 / 8)
    assert found.figures["most_frequent"].value == pytest.approx(3 / 8)
    assert "right on 0.375" in str(found)
    assert "of 8 images of test (" in str(found)
    assert found.as_dict()["judged_by"] == "label class, matched by name"
    network = classifier(["cat", "dog", "owl"])
    told = measure_performance(network, data, np.arange(8), torch.zeros(8, 3), report=heard)
    assert heard.notes == [str(told)]


def test_names_match_whatever_their_order_case_and_synonyms():
    data = dataset(**{"class": ([0, 1, 2], ("T-Shirt", "dress", "hat"))})
    match = match_classes(data, Classes(("jersey, t shirt, tee", "gown", "Dress")))
    assert (match.way, match.classes.tolist(), match.labels) == ("name", [0, 2, -1], 2)
    found = measured(classifier(["jersey, t shirt, tee", "gown", "Dress"]), data, np.eye(3)[[0, 1, 2]] * 5)
    # The hat is no class of the network's, so it is not judged.
    assert found.images == 2
    assert found.figures["accuracy"].value == 0.5
    assert "2 of 3 labels" in found.judged_by


def test_numbers_count_only_where_names_say_nothing():
    numbers = tuple("0123456789")
    digits = dataset(digit=(np.arange(10), numbers))
    assert match_classes(digits, Classes(numbers)).way == "name"
    assert match_classes(digits, Classes(tuple("abcdefghij"))).way == "number"
    named = dataset(**{"class": ([0, 1], ("cat", "dog"))})
    assert match_classes(named, Classes(("0", "1"))).way == "number"
    for classes in (("owl", "cow"), ("0", "1", "2")):
        with pytest.raises(DataError, match="none of the labels of mine"):
            match_classes(named, Classes(classes))


def test_the_column_with_most_classes_is_taken():
    data = dataset(**{"class": ([0, 1], ("one", "cat")), "kind": ([0, 1], ("dog", "cat"))})
    assert match_classes(data, Classes(("cat", "dog"))).column == "kind"


def test_what_is_not_known_is_told_and_raises_nothing():
    found = measured(classifier(["a", "b"]), dataset(), np.zeros((8, 2)))
    assert found.unknown == "mine has no labels"
    assert "is not known: mine has no labels" in str(found)
    encoder = Network(lambda x: x.flatten(1))
    assert "answers nothing" in measured(encoder, dataset(), np.zeros((8, 2))).unknown


def test_of_a_network_that_draws_the_error_of_its_images_is_told():
    pixels = np.zeros((4, 8, 8, 3), np.uint8)
    pixels[2:] = 255
    data = ArrayDataset("mine", pixels, {}, {"test": np.arange(4)})
    network = Network(lambda x: x.flatten(1)[:, :2], lambda z: torch.full((len(z), 3, 8, 8), -1.0))
    network.encode(torch.zeros(1, 3, 8, 8))
    found = measure_performance(network, data, np.arange(4), torch.zeros(4, 2))
    assert found.figures["reconstruction_error"].value == pytest.approx(0.5)
    assert found.figures["mean_image_error"].value == pytest.approx(0.5)
    assert "error of 0.5 [0, 1] a pixel" in str(found)
