import numpy as np
import pytest

from iin_cli.editing.attributes import Attribute, has_attribute, parse_attributes
from iin_cli.errors import DataError, UsageError
from iin_cli.plugin_api import Dataset, Labels


class Toys(Dataset):
    name = "toys"

    def __init__(self, labels):
        self.labels = labels
        self.size = max((len(column.values) for column in labels.values()), default=0)

    def images(self, indices, size, interpolation="bicubic"):
        raise AssertionError("labels say it all")


def data(**columns):
    return Toys(columns)


def named(values, *names):
    return Labels(np.array(values), names)


def members(dataset, name):
    return has_attribute(dataset, name, np.arange(dataset.size)).astype(int).tolist()


def test_attributes_as_they_are_written():
    assert parse_attributes(["Smiling:+1", "Male:-1", "class=cat:.5", "a:b"]) == [
        Attribute("Smiling", 1),
        Attribute("Male", -1),
        Attribute("class=cat", 0.5),
        Attribute("a:b", 1),
    ]
    for texts, words in (
        (["Smiling:0"], "weight of 0"),
        (["Smiling", "Smiling:-1"], "given twice"),
        ([""], "needs a name"),
    ):
        with pytest.raises(UsageError, match=words):
            parse_attributes(texts)


@pytest.mark.parametrize("names", [("no", "yes"), ("0", "1"), ("False", "True"), ("-1", "1")])
def test_of_yes_and_no_yes_is_the_attribute(names):
    assert members(data(Smiling=named([0, 1, 1], *names)), "Smiling") == [0, 1, 1]
    assert members(data(Smiling=named([0, 1, 1], *names)), "smiling") == [0, 1, 1]
    assert members(data(Smiling=named([0, 1, 1], *names)), f"Smiling={names[0]}") == [1, 0, 0]


def test_of_other_labels_the_value_is_named():
    dataset = data(kind=named([0, 1, 2, 1], "cat", "dog", "fox"), colour=Labels(np.array([5, 17, 5, 5])))
    assert members(dataset, "kind=dog") == [0, 1, 0, 1]
    assert members(dataset, "kind=DOG") == [0, 1, 0, 1]
    assert members(dataset, "colour=17") == [0, 1, 0, 0]
    for name, words in (
        ("kind", "say which counts, as kind=fox"),
        ("kind=dgo", "no value 'dgo': did you mean dog"),
        ("colour", "numbers for names"),
        ("colour=18", "0 of the 4 training images of toys have it and 4 have not"),
        ("knd=dog", "no attribute 'knd': did you mean kind"),
        ("Smiling", "choose from: colour, kind"),
    ):
        with pytest.raises(DataError, match=words):
            members(dataset, name)


def test_a_name_may_hold_an_equals_sign():
    assert members(data(**{"legs=4": named([0, 1], "no", "yes")}), "legs=4") == [0, 1]


def test_of_a_measurement_the_upper_half_has_it():
    assert members(data(age=Labels(np.array([1.5, 9.0, 3.0, 4.0]))), "age") == [0, 1, 0, 1]
    # Most have the highest value: the median is no lower.
    assert members(data(age=Labels(np.array([1.5, 4.0, 4.0, 4.0]))), "age") == [0, 1, 1, 1]
    years = data(age=named(list(range(20)), *map(str, range(20))))
    assert members(years, "age") == [0] * 10 + [1] * 10
    for values, name, words in (
        ([2.0, 2.0, 2.0], "age", "age is 2 for all 3 training images"),
        ([1.0, np.nan, 2.0], "age", "not finite"),
        ([1.0, 2.0, 3.0], "age=2", "is a measurement"),
    ):
        with pytest.raises(DataError, match=words):
            members(data(age=Labels(np.array(values))), name)


@pytest.mark.parametrize(("values", "names", "counts"), [([0, 0], ("no",), "0 of the 2"), ([0, 0], ("yes",), "2 of")])
def test_an_attribute_that_none_or_all_have(values, names, counts):
    with pytest.raises(DataError, match=counts):
        members(data(Bald=named(values, *names)), "Bald")


def test_data_without_labels_says_what_to_give_instead():
    with pytest.raises(DataError, match="--with DIR --without DIR"):
        has_attribute(data(), "Smiling", np.arange(2))
