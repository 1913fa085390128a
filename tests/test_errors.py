"""The tree of errors: exit codes, and hints that name what is near."""

import re

import pytest

from iin_cli import errors
from iin_cli.errors import DataError, ResourceError, attempt, reason


def test_exit_codes_are_those_of_the_contract():
    codes = {name: getattr(errors, name).exit_code for name in errors.__all__ if name.endswith("Error")}
    assert codes == {
        "IinError": 1,
        "UsageError": 2,
        "NotInstalledError": 2,
        "PluginError": 2,
        "DataError": 3,
        "CheckpointError": 4,
        "DivergedError": 5,
        "ResourceError": 6,
    }


def test_the_drawn_tree_is_the_tree():
    drawn = dict(re.findall(r"(\w+Error) +(\d)", errors.__doc__))
    assert drawn == {name: str(getattr(errors, name).exit_code) for name in drawn}
    assert set(drawn) == {name for name in errors.__all__ if name.endswith("Error")}
    assert all(issubclass(getattr(errors, name), errors.IinError) for name in drawn)


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("digt", ["digit", "color"], "did you mean digit?"),
        ("colour", ("digit", "color"), "did you mean color?"),
        ("zzz", ["b", "a"], "choose from: a, b"),
        ("zzz", [], "there are none"),
    ],
)
def test_nearest(name, known, hint):
    assert errors.nearest(name, known) == hint


def raiser(error):
    def work():
        raise error

    return work


def test_what_fails_is_said_in_one_line():
    assert attempt(lambda: 3) is None
    assert attempt(raiser(DataError("no\nimages"))) == "no images"
    assert attempt(raiser(ZeroDivisionError("odd\nnumber"))) == "ZeroDivisionError: odd number"
    assert reason(MemoryError()) == "MemoryError:"


@pytest.mark.parametrize("error", [ResourceError("full"), KeyboardInterrupt(), SystemExit(3)])
def test_a_full_disk_and_the_user_end_everything(error):
    with pytest.raises(type(error)):
        attempt(raiser(error))
