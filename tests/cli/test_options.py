"""Options that are small languages, and those that go together."""

import pytest
import typer

from iin_cli.cli import app
from iin_cli.cli.options import parse_assignments, parse_seeds
from iin_cli.data import checking, known_files
from iin_cli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0", [0]), ("0-3", [0, 1, 2, 3]), ("5,1", [5, 1]), ("7-7, 9", [7, 9]), ("20-21,0-1", [20, 21, 0, 1])],
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "neither a number nor a range"),
        ("a", "neither a number nor a range"),
        ("1,,2", "neither a number nor a range"),
        ("-1", "neither a number nor a range"),
        ("1.5", "neither a number nor a range"),
        ("3-1", "runs backwards; write 1-3"),
        ("0-3,2", "names a seed twice"),
        ("0-999999999999", "at most 10,000,000 seeds"),
        ("99999999999999999999", "below 2"),
    ],
)
def test_seeds_that_are_none(text, words):
    with pytest.raises(UsageError) as caught:
        parse_seeds(text)
    assert words in str(caught.value)
    assert f"--seeds {text!r}" in str(caught.value)


def test_assignments_keep_their_order():
    assert list(parse_assignments("digit=13, color=17", "--dims").items()) == [("digit", 13), ("color", 17)]
    assert parse_assignments(None, "--dims") == {}
    assert parse_assignments("label:x=2", "--dims") == {"label:x": 2}


@pytest.mark.parametrize(
    "text", ["digit", "digit=", "=3", "digit=x", "digit=0", "digit=-1", "digit=1.5", "digit=1,", "²=²"]
)
def test_assignments_that_are_none(text):
    with pytest.raises(UsageError, match="is not NAME=SIZE; write digit=13,color=17"):
        parse_assignments(text, "--dims")


def test_a_name_assigned_twice_is_refused():
    with pytest.raises(UsageError, match=r"--factors .* names digit twice"):
        parse_assignments("digit=1,digit=2", "--factors")


def test_every_command_that_reads_folders_can_read_all_again():
    for name, command in typer.main.get_command(app).commands.items():
        options = {word for parameter in command.params for word in parameter.opts}
        assert ("--skip-bad" in options) == ("--verify" in options), name


def test_verify_reads_files_that_have_not_changed(command_line, files, pictures, monkeypatch):
    monkeypatch.setattr(known_files, "CLOCK_NS", 0)
    monkeypatch.setenv(known_files.VERIFY, "")
    read, inspect = [], checking.inspect
    monkeypatch.setattr(checking, "inspect", lambda path, known: read.append(path) or inspect(path, known))
    encode = ("encode", "-b", files.autoencoder, "-d", pictures, "-q")
    for options, count in ((), 96), ((), 0), (("--verify",), 96):
        read.clear()
        assert command_line(*encode, *options)[0] == 0
        assert len(read) == count, options
