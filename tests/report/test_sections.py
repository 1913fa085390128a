"""Sections fail alone, and the parts of a section too."""

from types import SimpleNamespace

import pytest

from iin_cli.errors import DataError
from iin_cli.metrics.bootstrap import Interval
from iin_cli.report import sections as sections
from iin_cli.report.page import Failure, Heading, Picture
from iin_cli.report.sections import glance
from iin_cli.sizing.evidence import Evidence
from iin_cli.translator.dims import allocate
from iin_cli.translator.factors import Factors


def test_a_section_with_no_picture_at_all_fails_with_the_first_reason():
    picture = Picture(b"", "png", (1, 1), "alt", "caption")
    blocks = [Heading("a"), Failure("a", "first"), Failure("b", "second")]
    assert sections._unless_all_failed([*blocks, picture]) == [*blocks, picture]
    with pytest.raises(DataError, match="first"):
        sections._unless_all_failed(blocks)


@pytest.fixture
def subject():
    factors = Factors.of({"digit": 13, "color": 17, "residual": 34})
    return SimpleNamespace(
        opened=SimpleNamespace(factors=factors), concepts=("digit", "color"), classes=None, glance={}
    )


def evidence(low, value, high, p_value=0.005):
    return Evidence(Interval(value, low, high, 90), Interval(0.0, -0.01, 0.01, 90), 3.0, p_value)


def test_sizes_have_the_interval_of_their_scores_by_equation_11(subject):
    found = {"digit": evidence(0.0, 0.1, 0.4), "color": evidence(0.5, 0.6, 0.7, p_value=0.6)}
    digit, color = sections._size_rows(subject, found)
    sizes = [allocate({"digit": value, "color": 0.6}, 64)["digit"] for value in (0.1, 0.0, 0.4)]
    assert digit["Eq 11 [95 %]"] == f"{sizes[0]} [{sizes[1]}, {sizes[2]}]"
    assert digit["this translator"] == 13
    assert digit["if absent"] == sizes[1]
    assert (digit["verdict"], color["verdict"]) == ("found", "not distinguishable from none")
    assert subject.glance["color"] == {"in the network": "not distinguishable from none"}


def test_equation_11_is_silent_where_a_concept_could_not_be_scored(subject):
    (row,) = sections._size_rows(subject, {"digit": evidence(0.0, 0.1, 0.4)})
    assert "Eq 11 [95 %]" not in row
    assert row["score [95 %]"] == "0.1 [0, 0.4]"


def test_the_summary_keeps_the_order_of_the_factors(subject):
    assert glance(subject) == []
    subject.glance.update({"residual": {"b": "2"}, "digit": {"a": "1"}})
    (table,) = glance(subject)
    assert table.rows == [
        {"factor": "digit", "dims": 13, "a": "1"},
        {"factor": "residual", "dims": 34, "b": "2"},
    ]


def test_the_summary_explains_its_columns(subject):
    subject.glance["digit"] = {"by chance": "0.1", "known from it": None}
    table, said = glance(subject)
    assert "known from it" in table.rows[0]
    assert "By chance: " in said.text
    assert "known from the residual: " not in said.text


def test_a_file_name_is_safe_whatever_the_factor_is_called():
    assert sections._safe("swap", "a/b ../<c>") == "swap-a-b-..-c-"
