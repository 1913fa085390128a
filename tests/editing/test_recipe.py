import shlex

import pytest

from iin_cli.editing.recipe import Along, Change, Recipe
from iin_cli.errors import UsageError
from iin_cli.translator.factors import Factors

FACTORS = Factors.of({"digit": 3, "class=cat": 1, "class": 2, "residual": 3})
FULL = Recipe(
    (
        Change("digit", "a b.png", 0.1 + 0.2),
        Change("class=cat", 7, move=(1 / 3, 0.0)),
        Change("residual", move=(-1e-7, 12.5)),
    ),
    (Along("class=a", -0.7), Along("Smiling", 2.0)),
    ("digit", "class"),
)


def read(words):
    """Read words as the command line does."""
    given = {}
    for option, value in zip(words[::2], words[1::2], strict=True):
        given.setdefault(option.removeprefix("--"), []).append(value)
    return Recipe.of_options(FACTORS, **given)


def test_a_recipe_comes_back_from_its_json_and_from_its_line():
    assert Recipe.of_json(FULL.as_dict()) == FULL
    assert read(shlex.split(FULL.line())) == FULL
    assert FULL.sources == ("a b.png",)
    assert FULL.moved == ("class=cat", "residual")


def test_numbers_without_end_are_refused():
    with pytest.raises(UsageError, match=r"to 2\^63"):
        read(["--resample", "digit=" + "1" * 5000])
    with pytest.raises(UsageError, match=r"to 2\^63"):
        read(["--resample", f"digit={2**63}"])
    assert read(["--resample", f"digit={2**63 - 1}"]).changes[0].source == 2**63 - 1
    for number in (10**400, -(10**400)):
        with pytest.raises(UsageError, match="not a number"):
            Recipe.of_json({"changes": [{"factor": "digit", "resample": 1, "strength": number}]})


def test_what_does_nothing_has_no_words():
    idle = Recipe((Change("digit", "a.png", 0.0), Change("class")), (Along("x", 0.0),), ("digit",))
    assert (idle.words(), idle.sources) == ([], ())
    assert read([]) == Recipe()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"swap": ["digt=a.png"]}, "did you mean digit"),
        ({"swap": ["digit"]}, "--swap digit=…"),
        ({"swap": ["digit=a", "digit=b"]}, "twice"),
        ({"swap": ["digit=a"], "resample": ["digit=3"]}, "both swapped and resampled"),
        ({"resample": ["digit=x"]}, "whole number"),
        ({"resample": [f"digit={2**63}"]}, "2\\^63"),
        ({"strength": ["digit=0.5"]}, "neither swapped nor resampled"),
        ({"swap": ["digit=a"], "strength": ["digit=2.5"]}, "from 0 to 2"),
        ({"swap": ["digit=a"], "strength": ["digit=nan"]}, "not a number"),
        ({"move": ["digit=1,x"]}, "not a number"),
        ({"move": ["digit=1,1e9"]}, "at most 100"),
        ({"along": ["Smiling"]}, "Smiling=1"),
        ({"along": ["Smiling=1", "Smiling=2"]}, "twice"),
        ({"along": ["Smiling=1"], "lock": ["digt"]}, "did you mean digit"),
        ({"along": ["Smiling=1"], "lock": ["digit", "digit"]}, "twice"),
        ({"lock": ["digit"]}, "give --along"),
    ],
)
def test_options_that_cannot_be_followed_are_named(options, words):
    with pytest.raises(UsageError, match=words):
        Recipe.of_options(FACTORS, **options)


@pytest.mark.parametrize(
    "body",
    [
        {"changes": {"factor": "digit"}},
        {"changes": ["digit"]},
        {"changes": [{"swap": "a"}]},
        {"changes": [{"factor": "digit", "swap": 3}]},
        {"changes": [{"factor": "digit", "swap": ""}]},
        {"changes": [{"factor": "digit", "swap": "a", "resample": 1}]},
        {"changes": [{"factor": "digit", "resample": True}]},
        {"changes": [{"factor": "digit", "resample": -1}]},
        {"changes": [{"factor": "digit", "resample": 1.5}]},
        {"changes": [{"factor": "digit", "strength": "lots"}]},
        {"changes": [{"factor": "digit", "strength": True}]},
        {"changes": [{"factor": "digit", "move": [1]}]},
        {"changes": [{"factor": "digit", "move": 7}]},
        {"changes": [{"factor": "digit"}, {"factor": "digit"}]},
        {"attributes": ["Smiling"]},
        {"attributes": {"Smiling": None}},
        {"attributes": {"Smiling": 1e9}},
    ],
)
def test_json_that_is_no_recipe_is_refused(body):
    with pytest.raises(UsageError):
        Recipe.of_json(body)


def test_unknown_factors_are_refused():
    with pytest.raises(UsageError, match="no factor 'hue'"):
        Recipe((Change("hue", 1),)).require(FACTORS)
