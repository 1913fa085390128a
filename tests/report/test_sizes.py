"""Sizes by Eq 11, with the interval of the scores they come from, on a part of the training items."""

from iin_cli.metrics.bootstrap import Interval
from iin_cli.report import sizes
from iin_cli.sizing.evidence import Evidence
from iin_cli.translator.dims import allocate

DIMS = {"digit": 13, "color": 17, "residual": 34}


def evidence(low, value, high, p_value=0.005):
    return Evidence(Interval(value, low, high, 90), Interval(0.0, -0.01, 0.01, 90), 3.0, p_value)


def test_sizes_have_the_interval_of_their_scores_by_equation_11():
    found = {"digit": evidence(0.0, 0.1, 0.4), "color": evidence(0.5, 0.6, 0.7, p_value=0.6)}
    digit, color = sizes._rows(DIMS, found)
    expected = [allocate({"digit": value, "color": 0.6}, 64)["digit"] for value in (0.1, 0.0, 0.4)]
    assert digit["Eq 11 [95 %]"] == f"{expected[0]} [{expected[1]}, {expected[2]}]"
    assert digit["this translator"] == 13
    assert digit["if absent"] == expected[1]
    assert (digit["verdict"], color["verdict"]) == ("found", "not distinguishable from none")


def test_equation_11_is_silent_where_a_concept_could_not_be_scored():
    (row,) = sizes._rows(DIMS, {"digit": evidence(0.0, 0.1, 0.4)})
    assert "Eq 11 [95 %]" not in row
    assert row["score [95 %]"] == "0.1 [0, 0.4]"
