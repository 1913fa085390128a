"""What loaded well in another process is not tried again until something of it is another."""

import os

import pytest

from iin_cli import vetting
from iin_cli.cli import _as_command
from iin_cli.entry_points import Point
from iin_cli.errors import PluginError
from iin_cli.registry import find

POINT = Point("iin.commands", "greet", "guest.cli:run", "guest", "1.0")
CRASH = "it crashes the process (SIGSEGV)"


@pytest.fixture
def tried(cache, tmp_path, monkeypatch):
    """The names that were loaded in another process, which never is one here; a module of the package."""
    package = tmp_path / "guest"
    package.mkdir()
    for name in ("__init__.py", "cli.py"):
        (package / name).write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def try_each(_function, tasks, limit):
        names.extend(task["name"] for task in tasks)
        return [CRASH if task["name"] == "bad" else {"members": []} for task in tasks]

    monkeypatch.setattr(vetting, "try_each", try_each)
    return names


def test_the_good_is_tried_once(tried):
    assert [vetting.why_unsafe(POINT, "x:y") for _ in range(3)] == [None] * 3
    assert tried == ["greet"]


def test_the_bad_is_tried_every_time(tried):
    bad = Point("iin.commands", "bad", "guest.cli:run", "guest", "1.0")
    assert [vetting.why_unsafe(bad, "x:y") for _ in range(2)] == [CRASH] * 2
    assert tried == ["bad", "bad"]


@pytest.mark.parametrize("name", ["guest/cli.py", "guest/__init__.py", "guest/more.so"])
def test_another_file_is_tried_again(tried, tmp_path, name):
    vetting.why_unsafe(POINT, "x:y")
    (tmp_path / name).write_text("")
    os.utime(tmp_path / name, ns=(1, 1))
    vetting.why_unsafe(POINT, "x:y")
    vetting.why_unsafe(POINT, "x:y")
    assert len(tried) == 2


def test_another_version_is_tried_again(tried):
    for version in ("1.0", "2.0", "1.0"):
        vetting.why_unsafe(Point(POINT.group, POINT.name, POINT.value, POINT.distribution, version), "x:y")
    assert len(tried) == 2


@pytest.mark.parametrize("damage", ["", "[", "{}", "[1, null]", "\0"])
def test_a_damaged_memory_costs_one_more_look(tried, cache, damage):
    vetting.why_unsafe(POINT, "x:y")
    (cache / "vetted.json").write_text(damage)
    assert [vetting.why_unsafe(POINT, "x:y") for _ in range(2)] == [None] * 2
    assert len(tried) == 2


def test_no_place_for_a_memory_is_no_failure(tried, cache):
    cache.write_text("a file where the folder should be")
    assert [vetting.why_unsafe(POINT, "x:y") for _ in range(2)] == [None] * 2
    assert len(tried) == 2


def test_a_command_that_crashes_is_never_imported_here(tried, install):
    install("crasher", {"bad": "thing"}, "raise AssertionError('imported')\n", group="iin.commands")
    with pytest.raises(PluginError, match=r"'bad' of crasher 1\.0 cannot be loaded: it crashes the process"):
        find("commands", "bad")


def test_a_guest_that_is_no_command_is_named(tried, install):
    install("odd", {"odd-one": "thing"}, "thing = print\n", group="iin.commands")
    with pytest.raises(PluginError, match=r"'odd-one' of odd 1\.0 is no command"):
        _as_command(find("commands", "odd-one"))
