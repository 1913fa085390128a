"""Conditions on figures: what they may say, and when they fail."""

import pytest

from iin_cli.errors import UsageError
from iin_cli.measures.audit.conditions import describe_names, failures, parse_conditions
from iin_cli.translator.factors import Factors

NAMES = tuple(describe_names(Factors.of({"digit": 1, "color": 1, "residual": 1})))


def test_names_are_flat_and_cover_concepts_and_factors():
    assert {"leakage.color", "leakage.color.digit", "correlation.digit.residual", "gaussianity.residual"} <= set(NAMES)
    assert "transfer.residual" not in NAMES
    assert "leakage.color.color" not in NAMES


@pytest.mark.parametrize(
    ("text", "value", "fails"),
    [
        ("leakage.color>0.1", 0.11, True),
        ("leakage.color>0.1", 0.1, False),
        ("leakage.color >= 1e-1", 0.1, True),
        ("mig.digit<.5", 0.4, True),
        ("heldout_nll<=-3", -2.9, False),
    ],
)
def test_a_condition_fails_where_it_holds(text, value, fails):
    (condition,) = parse_conditions([text], NAMES)
    lines = failures([condition], {condition.name: value}, {})
    assert bool(lines) is fails
    assert all(line.startswith(f"{text}: {condition.name} is ") for line in lines)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("leakage.colour>0.1", "did you mean leakage.color"),
        ("beauty>1", "--list-metrics"),
        ("leakage.color", "write NAME>NUMBER"),
        ("leakage.color>lots", "write NAME>NUMBER"),
        ("leakage.color>1.2.3", "write NAME>NUMBER"),
        ("leakage.color==1", "write NAME>NUMBER"),
    ],
)
def test_bad_conditions(text, words):
    with pytest.raises(UsageError, match=words):
        parse_conditions([text], NAMES)


def test_what_was_not_measured_fails_with_its_reason():
    conditions = parse_conditions(["preservation.color.digit<1", "mig.digit<1"], NAMES)
    first, second = failures(conditions, {}, {"preservation.color": "no judge"})
    assert first == "preservation.color.digit<1: preservation.color.digit was not measured: no judge"
    assert second.endswith("no figure")
