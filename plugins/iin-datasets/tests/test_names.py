"""Braces expand as in a shell, and columns become labels by rules that are said."""

import numpy as np
import pytest

from iin_datasets.columns import MISSING, Column, ColumnWriter, joined, labels_of
from iin_datasets.shard_names import braces


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("a.tar", ["a.tar"]),
        ("{3..1}", ["3", "2", "1"]),
        ("{08..10}", ["08", "09", "10"]),
        ("{a,b{1..2}}c", ["ac", "b1c", "b2c"]),
        ("{a,b}{1,2}", ["a1", "a2", "b1", "b2"]),
        ("{x}{}{1..2}", ["{x}{}1", "{x}{}2"]),
        ("{a,}", ["a", ""]),
        ("}{", ["}{"]),
    ],
)
def test_braces(text, made):
    assert list(braces(text)) == made


def column(*values, **more):
    writer = ColumnWriter()
    for place, value in enumerate(values):
        if value is not None:
            writer.put(place, value)
    made = writer.column(len(values))
    return Column(made.codes, made.distinct, **more)


def labels(listener, kept=None, **columns):
    count = len(next(iter(columns.values())).codes)
    return labels_of(columns, np.ones(count, bool) if kept is None else np.array(kept), listener, "set", {})


def test_whole_numbers_are_names_by_size(listener):
    made = labels(listener, a=column(10, 9.0, 10, 9), b=column("10", "9", "x", "x"), c=column(1, 1.5, 2, 2))
    assert (made["a"].names, made["a"].values.tolist()) == (("9", "10"), [1, 0, 1, 0])
    assert made["b"].names == ("10", "9", "x")
    assert (made["c"].names, made["c"].values.tolist()) == (None, [1, 1.5, 2, 2])


def test_values_that_are_not_there(listener):
    made = labels(listener, a=column(1, None, 2), b=column(1.5, float("nan"), 2), c=column(float("inf"), 0.5, 1))
    assert made == {}
    assert "a, b (no value in 1 of 3 images); c (not finite)" in listener.notes[0]
    # Images that are left out need no value.
    assert labels(listener, kept=[True, False, True], a=column("x", None, "y"))["a"].names == ("x", "y")


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("class", "label"), "class"),
        (("speed", "label"), "label"),
        (("speed", "Label"), "Label"),
        (("speed",), "speed"),
        (("speed", "color"), None),
    ],
)
def test_which_column_is_the_class(listener, names, chosen):
    made = labels(listener, **{name: column(*("ab" if name == chosen else "cc")) for name in names})
    assert (made.get("class") is not None) == (chosen is not None)
    if chosen is not None:
        assert made["class"].names == ("a", "b")


def test_parts_are_joined_by_value():
    first, second = {"a": column("x", "y")}, {"a": column("y", "z"), "b": column(1, 2)}
    made = joined([(2, first), (2, second)])
    assert [made["a"].distinct[code] for code in made["a"].codes] == ["x", "y", "y", "z"]
    assert made["b"].codes.tolist() == [MISSING, MISSING, 0, 1]
