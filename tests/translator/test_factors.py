"""Named factors: slices, masks, and what cannot be built."""

import pytest

from iin_cli.errors import UsageError
from iin_cli.translator.factors import Factor, Factors


@pytest.fixture
def factors():
    return Factors.of({"digit": 3, "grey": 2, "residual": 5}, {"digit": 0.5}, {"grey": "differ"})


def test_slices_lie_side_by_side(factors):
    covered = [index for name in factors.names for index in range(10)[factors.slice(name)]]
    assert covered == list(range(10))
    assert factors.dims == {"digit": 3, "grey": 2, "residual": 5}
    assert factors.dim == 10
    assert len(factors) == 3


def test_a_share_pair_shares_its_concept_only(factors):
    assert factors.mask("digit") == (1, 0, 0)


def test_a_differ_pair_shares_everything_else(factors):
    assert factors.mask("grey") == (1, 0, 1)


def test_sigmas_and_relations_are_per_name(factors):
    assert [(factor.sigma, factor.relation) for factor in factors] == [(0.5, "share"), (0.9, "differ"), (0.9, "rest")]
    assert {factor.sigma for factor in Factors.of({"a": 1, "residual": 1}, 0.975)} == {0.975}


def test_json_and_back(factors):
    assert Factors.from_json(factors.as_json()) == factors


def test_an_unknown_name_brings_the_nearest(factors):
    with pytest.raises(UsageError, match="did you mean digit"):
        factors.slice("digits")
    with pytest.raises(UsageError, match="no factor 'hue'"):
        factors.mask("hue")


@pytest.mark.parametrize(
    ("dims", "sigma", "words"),
    [
        ({"digit": 3}, 0.9, "end with 'residual'"),
        ({}, 0.9, "end with 'residual'"),
        ({"residual": 3, "digit": 2}, 0.9, "end with 'residual'"),
        ({"digit": 0, "residual": 3}, 0.9, "digit has 0 dimensions"),
        ({"digit": 1, "residual": 3}, 1.0, "0 <= sigma < 1"),
        ({"digit": 1, "residual": 3}, -0.1, "0 <= sigma < 1"),
    ],
)
def test_what_cannot_be_is_refused(dims, sigma, words):
    with pytest.raises(UsageError, match=words):
        Factors.of(dims, sigma)


def test_two_factors_of_one_name_are_refused():
    with pytest.raises(UsageError, match="different names"):
        Factors((Factor("a", 1), Factor("a", 1), Factor("residual", 1)))
