"""Share concepts from attributes, continuous ones above all."""

import numpy as np
import pytest

from iin_cli.concepts.attribute import GROUP_ITEMS, attribute_concept
from iin_cli.concepts.labelled import label_concept
from iin_cli.errors import DataError, UsageError
from iin_cli.plugin_api import Dataset, Labels

ITEMS = 2000


class Measured(Dataset):
    name = "measured"
    native_size = 4

    def __init__(self, **columns):
        self.labels = columns

    def images(self, indices, size, interpolation="bicubic"):
        raise AssertionError("labels need no images")


def uniform(seed=0):
    return np.random.default_rng(seed).random(ITEMS)


def grouped(column, items=None, seed=0):
    items = np.arange(len(column.values)) if items is None else np.asarray(items, dtype=np.int64)
    return attribute_concept("age").groups(Measured(age=column), items, seed)


def partners(groups):
    """Neighbours in the order of the groups that are of one group: indices a and b of pairs."""
    together = groups.group_ids[1:] == groups.group_ids[:-1]
    return groups.indices[:-1][together], groups.indices[1:][together]


def test_a_group_of_a_measurement_has_nearly_one_value_and_nothing_else_in_common():
    values, other = uniform(), uniform(1)
    groups = grouped(Labels(values))
    assert sorted(groups.indices.tolist()) == list(range(ITEMS))
    _, sizes = np.unique(groups.group_ids, return_counts=True)
    assert set(sizes) <= {GROUP_ITEMS, GROUP_ITEMS + 1}
    a, b = partners(groups)
    assert np.abs(values[a] - values[b]).max() < 0.02
    assert abs(np.corrcoef(other[a], other[b])[0, 1]) < 0.06
    assert {array.dtype for array in (groups.indices, groups.variants, groups.group_ids)} == {np.dtype(np.int64)}
    assert not groups.variants.any()


def test_groups_are_numbered_from_low_to_high():
    values = uniform()
    groups = grouped(Labels(values), items=np.arange(0, ITEMS, 3))
    means = [values[groups.indices[groups.group_ids == number]].mean() for number in np.unique(groups.group_ids)]
    assert means == sorted(means)


def test_equal_values_meet_by_the_seed_and_not_by_the_order_of_the_data():
    values = np.repeat(np.arange(20) + 0.5, 100)
    first, again, other = (grouped(Labels(values), seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.indices, again.indices)
    assert (first.indices != other.indices).mean() > 0.9
    a, b = partners(first)
    assert np.median(np.abs(a - b)) > 10
    assert (values[a] == values[b]).mean() > 0.99


def test_whole_numbers_of_many_values_are_measurements_in_the_order_of_numbers():
    # In the order of text, 9 would come beside 90.
    names = tuple(sorted(map(str, range(-50, 50))))
    values = np.random.default_rng(0).integers(0, 100, ITEMS)
    numbers = np.array([int(name) for name in names])[values]
    a, b = partners(grouped(Labels(values, names)))
    assert np.abs(numbers[a] - numbers[b]).max() <= 1
    assert len(np.unique(grouped(Labels(values, names)).group_ids)) == ITEMS // GROUP_ITEMS


@pytest.mark.parametrize(
    "column",
    [
        Labels(np.arange(ITEMS) % 2, ("no", "yes")),
        Labels(np.arange(ITEMS) % 16, tuple(map(str, range(16)))),
        Labels(np.arange(ITEMS) % 40, tuple(f"p{number}" for number in range(40))),
        Labels(np.arange(ITEMS) % 500),
        Labels((np.arange(ITEMS) % 3) / 2),
    ],
    ids=["binary", "few numbers", "names", "identities", "few fractions"],
)
def test_what_is_no_measurement_groups_by_value(column):
    groups = grouped(column)
    pairs = {
        (int(group), float(column.values[item])) for group, item in zip(groups.group_ids, groups.indices, strict=True)
    }
    count = len(np.unique(column.values))
    assert len(pairs) == len({group for group, _ in pairs}) == len({value for _, value in pairs}) == count


def test_few_items_of_different_values_still_pair_the_nearest():
    groups = grouped(Labels(np.array([0.9, 0.1, 0.8, 0.2])))
    assert groups.indices.tolist() == [1, 3, 2, 0]
    assert groups.group_ids.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("name", ["Smiling", "smiling", "SMILING"])
def test_names_are_found_in_any_case(name):
    dataset = Measured(Smiling=Labels(np.array([0, 1, 0, 1]), ("no", "yes")))
    concept = attribute_concept(name)
    assert (concept.concept, concept.relation, concept.fingerprint) == (name, "share", "identity")
    assert concept.groups(dataset, np.arange(4), 0).group_ids.tolist() == [0, 1, 0, 1]


def test_the_very_name_wins_over_one_of_another_case():
    dataset = Measured(Age=Labels(np.array([0, 0, 1, 1])), age=Labels(np.array([0, 1, 0, 1])))
    assert attribute_concept("age").groups(dataset, np.arange(4), 0).group_ids.tolist() == [0, 1, 0, 1]
    with pytest.raises(DataError, match="may be any of Age, age: write the exact name"):
        attribute_concept("AGE").groups(dataset, np.arange(4), 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.5] * 30, "there is only age 0.5"),
        ([0.1, np.nan, 0.3, 0.4], r"attribute age of measured\[1\] is nan"),
        ([0.1, 0.2, 0.3, np.inf], r"attribute age of measured\[3\] is inf"),
        ([0.1, 0.2, 0.3], "needs at least 4 images to pair near values of age, and 3 of measured were given"),
        ([0.1], "at least two age labels"),
        ([], "there is no item"),
    ],
)
def test_measurements_that_make_no_pairs_are_refused(values, message):
    with pytest.raises(DataError, match=message):
        grouped(Labels(np.array(values, dtype=np.float64)))


def test_a_constant_label_is_refused():
    with pytest.raises(DataError, match="there is only age yes"):
        grouped(Labels(np.ones(5, np.int64), ("no", "yes")))


def test_an_unknown_attribute_names_the_nearest():
    with pytest.raises(DataError, match="measured has no attribute 'agee': did you mean age"):
        attribute_concept("agee").groups(Measured(age=Labels(uniform())), np.arange(9), 0)


@pytest.mark.parametrize("argument", [None, ""])
def test_an_attribute_without_a_name_is_refused(argument):
    with pytest.raises(UsageError, match="attribute:NAME"):
        attribute_concept(argument)


def test_a_measurement_is_no_label():
    with pytest.raises(DataError, match="write attribute:age"):
        label_concept("age").groups(Measured(age=Labels(uniform())), np.arange(9), 0)
