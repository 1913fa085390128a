"""Every table and every figure of an audit is explained, and every wish of a walk."""

import pytest

from iin_cli.measures.audit.conditions import describe_names
from iin_cli.measures.audit.findings import Figure
from iin_cli.measures.audit.tables import audit_tables
from iin_cli.metrics.bootstrap import Interval
from iin_cli.report.words import AUDIT_PARTS, OUTCOME, of_audit_figures, of_glance, of_walk, plain
from iin_cli.translator.factors import Factors

FACTORS = Factors.of({"digit": 3, "residual": 5})


@pytest.fixture
def tables():
    """The tables of an audit that measured everything there is."""
    figure = Figure(Interval(0.25, 0.125, 0.5, 7), Interval(0.0, -0.1, 0.1, 7))
    figures = dict.fromkeys(describe_names(FACTORS), figure)
    return dict(audit_tables(FACTORS.names, figures, {"mig.digit": "why"}, ()))


def test_every_table_of_an_audit_is_explained(tables):
    assert list(tables) == list(AUDIT_PARTS)


def test_every_single_figure_says_what_it_is(tables):
    rows = of_audit_figures(FACTORS, tables["figures"])
    assert {row["figure"] for row in rows} >= {"round_trip_error", "heldout_nll.digit", "mig.digit"}
    assert all(row["what it is"] for row in rows)
    assert rows[0]["value [95 %]"] == "0.25 [0.125, 0.5]"
    assert (rows[0]["of shuffled pairs"], rows[0]["images"]) == ("0", 7)


@pytest.mark.parametrize(
    ("drawn", "there", "not_there"), [(True, "drawn image", "prediction"), (False, "prediction", "drawn")]
)
def test_the_summary_speaks_of_what_the_network_answers_with(drawn, there, not_there):
    said = of_glance(drawn, ["factor", "absolute change", "flip rate"])
    assert there in said
    assert not_there not in said
    assert of_glance(drawn, ["factor", "dims"]) == ""


def test_a_walk_says_what_moves():
    assert "latent" in of_walk((), drawn=True)
    assert "Only digit moves" in of_walk(("digit",), drawn=True)
    assert "while only digit and color moves" in of_walk(("digit", "color"), drawn=False)


def test_what_a_fit_records_is_shown_in_words():
    assert (plain([0.9, 0.99]), plain([]), plain({"a": 1}), plain(3)) == ("0.9, 0.99", None, "a 1", 3)
    assert {"heldout_nll", "round_trip_error", "steps"} <= set(OUTCOME)
