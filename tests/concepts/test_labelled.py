"""Share concepts from label columns."""

import numpy as np
import pytest

from iin_cli.concepts import labelled
from iin_cli.errors import DataError, UsageError
from iin_cli.plugin_api import Dataset, Labels


class Drawn(Dataset):
    name = "drawn"
    native_size = 4

    def __init__(self):
        self.labels = {
            "digit": Labels(np.array([3, 1, 3, 1, 2, 0]), tuple("0123")),
            "color": Labels(np.array([7, 7, 8, 8, 9, 9])),
            "own": Labels(np.arange(6)),
        }

    def images(self, indices, size):
        raise AssertionError("labels need no images")


def test_groups_are_the_label_values():
    groups = labelled.digit_concept().groups(Drawn(), np.array([0, 2, 3, 5, 1]), seed=0)
    assert groups.indices.tolist() == [0, 2, 3, 5, 1]
    assert groups.group_ids.tolist() == [3, 3, 1, 0, 1]
    assert groups.variants.tolist() == [0] * 5
    assert {array.dtype for array in (groups.indices, groups.variants, groups.group_ids)} == {np.dtype(np.int64)}


@pytest.mark.parametrize(
    ("factory", "name"),
    [(labelled.class_concept, "class"), (labelled.digit_concept, "digit"), (labelled.color_concept, "color")],
)
def test_named_concepts_read_the_column_of_their_name(factory, name):
    concept = factory()
    assert (concept.concept, concept.column, concept.relation) == (name, name, "share")
    assert concept.fingerprint == "identity"


def test_label_takes_any_column():
    concept = labelled.label_concept("color")
    assert concept.concept == "color"
    assert concept.groups(Drawn(), np.arange(6), seed=1).group_ids.tolist() == [7, 7, 8, 8, 9, 9]


@pytest.mark.parametrize("argument", [None, ""])
def test_label_without_a_column_is_refused(argument):
    with pytest.raises(UsageError, match="label:NAME"):
        labelled.label_concept(argument)


def test_a_missing_column_names_those_there_are():
    with pytest.raises(DataError, match=r"'class'.*digit, color, own"):
        labelled.class_concept().groups(Drawn(), np.arange(6), seed=0)


@pytest.mark.parametrize(
    ("concept", "indices", "message"),
    [
        ("digit", [0, 2], "there is only digit 3"),
        ("color", [4, 5], "there is only color 9"),
        ("digit", [], "there is no item"),
        ("own", [0, 1, 2], "all have different ones"),
    ],
)
def test_labels_that_make_no_pairs_are_refused(concept, indices, message):
    with pytest.raises(DataError, match=message):
        labelled.label_concept(concept).groups(Drawn(), np.array(indices, dtype=np.int64), seed=0)


def test_share_concepts_have_no_variants():
    with pytest.raises(UsageError, match="no variant 1"):
        labelled.digit_concept().render(np.zeros((1, 4, 4, 3), np.uint8), 1)
