"""`~` is the home folder in every path of every command."""

from pathlib import Path

import pytest

from iin_cli.cli.home import home_expanded
from iin_cli.errors import UsageError


def test_paths_and_lists_of_them(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    given = home_expanded(lambda *words, **options: (words, options))
    words, options = given(Path("~/a"), out=Path("~"), target=[Path("~/b"), Path("c~")], seeds="~", n=None)
    assert words == (tmp_path / "a",)
    assert options == {"out": tmp_path, "target": [tmp_path / "b", Path("c~")], "seeds": "~", "n": None}


def test_nobodys_home():
    with pytest.raises(UsageError, match="no such home folder"):
        home_expanded(print)(Path("~nobody-of-this-name/x"))


def test_an_option_written_with_equals(command_line, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    code, _, err = command_line("info", "~/x.safetensors")
    assert code != 0
    assert str(tmp_path / "home" / "x.safetensors") in err
    assert "~" not in err
