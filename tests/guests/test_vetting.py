"""What loaded well in another process is not tried again until something of it is another."""

import os

import pytest
import torch

from iin_cli.cli import _as_command
from iin_cli.data import open_dataset
from iin_cli.errors import PluginError
from iin_cli.fitting.backbone_training import BackboneChoice
from iin_cli.guests import probing, vetting
from iin_cli.guests.entry_points import Point
from iin_cli.interpretation.opening import open_network
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
        names.extend(task["point"]["name"] for task in tasks)
        return [CRASH if task["point"]["name"] == "bad" else {} for task in tasks]

    monkeypatch.setattr(vetting, "try_each", try_each)
    return names


def test_the_good_is_tried_once(tried):
    assert [vetting.why_unsafe(POINT, "x:y", limit=1) for _ in range(3)] == [None] * 3
    assert tried == ["greet"]


def test_the_bad_is_tried_every_time(tried):
    bad = Point("iin.commands", "bad", "guest.cli:run", "guest", "1.0")
    assert [vetting.why_unsafe(bad, "x:y", limit=1) for _ in range(2)] == [CRASH] * 2
    assert tried == ["bad", "bad"]


@pytest.mark.parametrize("name", ["guest/cli.py", "guest/__init__.py", "guest/more.so"])
def test_another_file_is_tried_again(tried, tmp_path, name):
    vetting.why_unsafe(POINT, "x:y", limit=1)
    (tmp_path / name).write_text("")
    os.utime(tmp_path / name, ns=(1, 1))
    vetting.why_unsafe(POINT, "x:y", limit=1)
    vetting.why_unsafe(POINT, "x:y", limit=1)
    assert len(tried) == 2


def test_another_version_is_tried_again(tried):
    for version in ("1.0", "2.0", "1.0"):
        vetting.why_unsafe(Point(POINT.group, POINT.name, POINT.value, POINT.distribution, version), "x:y", limit=1)
    assert len(tried) == 2


@pytest.mark.parametrize("damage", ["", "[", "{}", "[1, null]", "\0"])
def test_a_damaged_memory_costs_one_more_look(tried, cache, damage):
    vetting.why_unsafe(POINT, "x:y", limit=1)
    (cache / "vetted.json").write_text(damage)
    assert [vetting.why_unsafe(POINT, "x:y", limit=1) for _ in range(2)] == [None] * 2
    assert len(tried) == 2


def test_no_place_for_a_memory_is_no_failure(tried, cache):
    cache.write_text("a file where the folder should be")
    assert [vetting.why_unsafe(POINT, "x:y", limit=1) for _ in range(2)] == [None] * 2
    assert len(tried) == 2


def test_a_command_that_crashes_is_never_imported_here(tried, install):
    install("crasher", {"bad": "thing"}, "raise AssertionError('imported')\n", group="iin.commands")
    with pytest.raises(PluginError, match=r"'bad' of crasher 1\.0 cannot be loaded: it crashes the process"):
        find("commands", "bad")


def test_a_guest_that_is_no_command_is_named(tried, install):
    install("odd", {"odd-one": "thing"}, "thing = print\n", group="iin.commands")
    with pytest.raises(PluginError, match=r"'odd-one' of odd 1\.0 is no command"):
        _as_command(find("commands", "odd-one"))


# A guest of every group, whose factories end the process in the way that their argument says.
ENDING = """
import ctypes, os, signal

def thing(argument=None):
    with open("calls", "a") as file:
        file.write(f"{os.getpid()}\\n")
    if argument == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if argument == "leave":
        ctypes.CDLL(None)._exit(7)
    if argument == "fail":
        raise OSError("not there yet")
    return argument

def opened(data_root=None, argument=None, *, skip_bad=False):
    return thing(argument)

class Net:
    def __init__(self, argument):
        pass

    pretrained = staticmethod(lambda argument, weights: thing(argument))
    from_config = staticmethod(lambda config: thing(config))
    for_training = staticmethod(lambda argument, facts, latent_dim, weights: thing(argument))
"""


@pytest.fixture
def guest(cache, install, tmp_path, monkeypatch):
    """Factories `end` in every group, vetted in earnest; and how often they were called, here and elsewhere."""
    for group, target in (("backbones", "Net"), ("datasets", "opened"), ("concepts", "thing")):
        install(f"ender-{group}", {"end": target}, ENDING, group=f"iin.{group}")
    monkeypatch.setattr(vetting, "try_each", probing.try_each)
    monkeypatch.chdir(tmp_path)

    def calls():
        file = tmp_path / "calls"
        processes = file.read_text().split() if file.exists() else []
        return sum(each == str(os.getpid()) for each in processes), len(processes)

    return calls


STEPS = {
    "backbones": lambda argument: open_network(f"end:{argument}"),
    "datasets": lambda argument: open_dataset(f"end:{argument}"),
    "concepts": lambda argument: find("concepts", f"end:{argument}").make(),
    "checkpoints": lambda argument: find("backbones", "end").try_method("from_config", argument),
    "trainings": lambda argument: BackboneChoice("end").build(
        find("backbones", f"end:{argument}"), open_dataset("digits"), 0, torch.device("cpu")
    ),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.slow
def test_a_factory_that_would_end_this_process_is_named(guest, step):
    named = r"'end' of ender-\w+ 1\.0 cannot be opened: it crashes the process \(SIGSEGV\)"
    with pytest.raises(PluginError, match=named):
        STEPS[step]("crash")
    if step == "concepts":
        with pytest.raises(PluginError, match="it ends the process, with exit status 7"):
            STEPS[step]("leave")
    assert guest()[0] == 0


@pytest.mark.slow
def test_a_good_factory_is_called_elsewhere_once(guest, heard):
    assert [find("concepts", "end:x", heard).make(report=heard) for _ in range(2)] == ["x", "x"]
    assert guest() == (2, 3)
    assert [note.partition(" in another process")[0] for note in heard.notes] == [
        "loading end of ender-concepts 1.0",
        "opening end of ender-concepts 1.0",
    ]


@pytest.mark.slow
def test_a_factory_that_failed_is_tried_again(guest):
    for _ in range(2):
        with pytest.raises(PluginError, match="OSError: not there yet"):
            find("concepts", "end:fail").make()
    assert guest() == (2, 4)


@pytest.mark.slow
def test_a_guest_that_crashes_at_import_ends_no_command(cache, install, command_line, monkeypatch):
    source = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n"
    for group in ("backbones", "datasets", "concepts"):
        install(f"dead-{group}", {"dead": "thing"}, source, group=f"iin.{group}")
    monkeypatch.setattr(vetting, "try_each", probing.try_each)
    for group, options in {
        "backbones": ("--backbone", "dead", "--data", "digits"),
        "datasets": ("--backbone", "autoencoder", "--data", "dead"),
    }.items():
        code, out, err = command_line("train-backbone", *options, "--device", "cpu", "--steps", "1")
        assert (code, out) == (2, "")
        named = f"iin: plugin 'dead' of dead-{group} 1.0 cannot be loaded: it crashes the process (SIGSEGV)"
        assert err.splitlines()[-1] == named
    with pytest.raises(PluginError, match="'dead' of dead-concepts"):
        find("concepts", "dead")


def test_what_leaves_here_all_the_same_is_named(tried, install):
    source = "import os\n\ndef thing(argument=None):\n    os._exit(0)\n"
    install("leaver", {"leave": "thing"}, source, group="iin.concepts")
    with pytest.raises(PluginError, match=r"'leave' of leaver 1\.0 cannot be opened: SystemExit: 0"):
        find("concepts", "leave").make()


def test_a_factory_that_takes_long_is_no_fault(tried, monkeypatch):
    monkeypatch.setattr(vetting, "try_each", lambda function, tasks, limit: ["it does not return within 0 s"])
    assert vetting.why_unsafe(POINT, "x:y", {}, limit=0, may_last=True) is None
    other = Point(POINT.group, "other", POINT.value, "guest", "1.0")
    assert vetting.why_unsafe(other, "x:y", limit=0) == "it does not return within 0 s"


def test_what_comes_with_iin_is_loaded_at_once(tried):
    assert find("datasets", "digits").make(None).name == "digits"
    assert tried == []
