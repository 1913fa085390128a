"""Where caches and data lie."""

from pathlib import Path

import pytest

from iin_cli.errors import UsageError
from iin_cli.io.paths import cache_dir, data_root


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in ("IIN_CACHE", "IIN_DATA_ROOT", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/ada")


def test_the_cache_is_the_users_own():
    assert cache_dir() == Path("/home/ada/.cache/iin")
    assert data_root() == Path("/home/ada/.cache/iin/data")


def test_the_nearer_word_wins(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_dir() == Path("/home/ada/.cache/iin")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch")
    assert cache_dir() == Path("/scratch/iin")
    monkeypatch.setenv("IIN_CACHE", "~/warm")
    assert cache_dir() == Path("/home/ada/warm")
    monkeypatch.setenv("IIN_DATA_ROOT", "/srv/data")
    assert data_root() == Path("/srv/data")
    assert data_root(Path("~/mine")) == Path("/home/ada/mine")


def test_a_relative_folder_is_ignored(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "rel")
    assert cache_dir() == Path("/home/ada/.cache/iin")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(UsageError, match=r"no home folder.*set IIN_CACHE"):
        cache_dir()
    monkeypatch.setenv("IIN_CACHE", "/srv/cache")
    assert data_root() == Path("/srv/cache/data")
