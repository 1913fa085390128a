"""Verdicts in words: each use is granted, refused or left open by the figures it rests on."""

import pytest

from iin_cli.measures.audit.findings import Figure
from iin_cli.measures.audit.verdicts import judge_factors
from iin_cli.metrics.bootstrap import Interval
from iin_cli.translator.factors import Factors

FACTORS = Factors.of(
    {"class": 4, "grey": 2, "residual": 6}, {"class": 0.9, "grey": 0.9, "residual": 0.8}, {"grey": "differ"}
)
# Figures of a translator without a fault.
GOOD = {
    "information.class": 0.9,
    "leakage.class": 0.02,
    "leakage.class.grey": 0.01,
    "correlation.class.class": 0.85,
    "transfer.class": 0.95,
    "preservation.class.grey": 0.99,
    "information.grey": 0.8,
    "leakage.grey": 0.03,
    "leakage.grey.class": 0.0,
    "correlation.grey.grey": 0.1,
    "correlation.grey.class": 0.8,
    "correlation.grey.residual": 0.75,
    "no_op_agreement": 1.0,
    "round_trip_error": 1e-6,
}


def figure(value, spread=0.02, null=None):
    chance = Interval(0.0, -0.03, 0.03, 100) if null else None
    return Figure(Interval(value, value - spread, value + spread, 100), chance)


def judged(spread=0.02, **changed):
    values = {**GOOD, **{name.replace("__", "."): value for name, value in changed.items()}}
    figures = {
        name: figure(value, spread, name.startswith("information"))
        for name, value in values.items()
        if value is not None
    }
    return {each.factor: each for each in judge_factors(FACTORS, figures)}


def uses(verdict):
    return verdict.read, verdict.compare, verdict.change, verdict.remove


def test_without_a_fault_every_factor_is_usable_and_the_figures_say_why():
    found = judged()
    assert [each.verdict for each in found.values()] == ["usable", "usable", "free of concepts"]
    assert uses(found["class"]) == uses(found["grey"]) == ("yes",) * 4
    assert found["class"].reasons == (
        "0.90 of class is known from it",
        "at most 0.02 from any other factor",
        "pairs correlate 0.85 (sigma 0.9)",
    )
    assert uses(found["residual"]) == (None, None, None, "yes")


@pytest.mark.parametrize(
    ("changed", "factor", "expected", "reason"),
    [
        ({"leakage__class": 0.36}, "class", ("yes", "yes", "yes", "no"), "leaks into the residual: 0.36 known from it"),
        ({"correlation__class__class": 0.03}, "class", ("yes", "no", "yes", "yes"), "0.03 where sigma promises 0.9"),
        ({"information__class": 0.2}, "class", ("no", "yes", "yes", "yes"), "only 0.20 of class is known from it"),
        ({"information__class": 0.0}, "class", ("no", "yes", "yes", "yes"), "no more of class is known from it than"),
        ({"transfer__class": 0.4}, "class", ("yes", "yes", "no", "yes"), "moves class in 0.40 of the cases"),
        ({"preservation__class__grey": 0.5}, "grey", ("yes", "yes", "no", "yes"), "keeps class in 0.50 of the cases"),
        ({"correlation__grey__class": 0.1}, "grey", ("yes", "yes", "no", "yes"), "class changes along"),
        ({"correlation__grey__grey": 0.8}, "grey", ("yes", "no", "yes", "yes"), "still correlate 0.80 in it"),
        ({"no_op_agreement": 0.9}, "class", ("yes", "yes", "no", "yes"), "only 90.0% of the images keep their class"),
        ({"transfer__class": None, "leakage__class": 0.4}, "class", ("yes", "yes", "no", "no"), "leaks into"),
    ],
)
def test_one_fault_refuses_what_rests_on_it(changed, factor, expected, reason):
    found = judged(**changed)[factor]
    assert uses(found) == expected
    assert any(reason in each for each in found.reasons), found.reasons
    assert found.verdict == ("not usable" if expected[0] == "no" else "usable in part")


def test_a_wide_interval_leaves_it_open():
    found = judged(spread=0.2)["class"]
    assert found.remove == "unclear"
    assert "class leaks into the residual: 0.02 known from it (between -0.18 and 0.22: too few images to say)" in (
        found.reasons
    )


def test_what_was_not_measured_is_not_judged():
    found = judge_factors(FACTORS, {})
    assert {each.verdict for each in found} == {"not judged"}
    assert found[0].reasons == ("nothing of it could be measured",)
    assert set(found[0].as_dict()) == {"verdict", "factor", "read", "compare", "change", "remove", "reasons"}
    assert found[0].as_row()["to read"] == "not measured"


def test_a_residual_that_tells_of_a_concept_says_of_which():
    residual = judged(leakage__class=0.36)["residual"]
    assert (residual.verdict, residual.reasons) == (
        "not free of concepts",
        ("it still tells of class: 0.36 known from it",),
    )
