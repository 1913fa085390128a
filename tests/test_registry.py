"""Plugins come in by name, one at a time; a bad one is named and stepped round."""

import sys
from contextlib import contextmanager

import pytest

from iin_cli.backbones.torchvision_models import TorchvisionBackbone
from iin_cli.errors import PluginError, UsageError
from iin_cli.progress import Silent
from iin_cli.registry import GROUPS, find, is_known, list_plugins, names, probe

GOOD = "def thing(argument=None):\n    return argument\n"
FAMILY = """
from iin_cli.plugin_api import Family

class thing(Family):
    @classmethod
    def names(cls):
        return ["net_a", "resnet50"]
"""


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Load plugins here, where torch is loaded already; tests/test_probing.py covers the other process."""

    def here(_function, tasks, done):
        return [(probe(task), done())[0] for task in tasks]

    monkeypatch.setattr("iin_cli.registry.try_each", here)


def row(name):
    (found,) = [entry for entry in list_plugins() if entry.name == name]
    return found


def test_no_other_package_is_looked_at_where_plugins_are_disabled(install, monkeypatch):
    install("first", {"extra": "thing"}, source="raise SystemExit(3)\n")
    assert is_known("backbones", "extra")
    monkeypatch.setenv("IIN_DISABLE_PLUGINS", "1")
    assert not is_known("backbones", "extra")
    assert {entry.distribution for entry in list_plugins(check=False)} == {"iin-cli"}
    with pytest.raises(UsageError, match="IIN_DISABLE_PLUGINS is set"):
        find("backbones", "extra")
    monkeypatch.setenv("IIN_DISABLE_PLUGINS", "0")
    assert is_known("backbones", "extra")


def test_without_a_check_nothing_is_loaded_and_what_metadata_rule_out_is_said(install):
    install("first", {"shared": "thing"}, source="raise SystemExit(3)\n")
    install("second", {"shared": "thing", "odd": ""})
    rows = [row for row in list_plugins(check=False) if row.distribution in ("first", "second")]
    assert [(row.name, row.distribution, row.status) for row in rows] == [
        ("odd", "second", "broken"),
        ("shared", "first", "conflict"),
        ("shared", "second", "conflict"),
    ]
    assert "is no NAME = MODULE:FACTORY" in rows[0].error
    assert not {"first", "second"} & sys.modules.keys()
    # Members of a family are known to the family alone.
    assert not [row for row in list_plugins(check=False) if row.name == "resnet50"]


def test_the_built_ins_come_in_by_the_same_door():
    assert {"autoencoder", "classifier"} <= set(names("backbones"))
    assert {"digits", "colordigits", "mnist", "fashionmnist", "cifar10", "colormnist"} <= set(names("datasets"))
    assert {"digit", "class", "label", "color", "greyscale"} <= set(names("concepts"))
    rows = list_plugins()
    assert {"backbones", "datasets", "concepts"} <= {entry.group for entry in rows} <= {*GROUPS, "weights"}
    assert {entry.status for entry in rows if entry.distribution == "iin-cli"} == {"ok"}
    assert find("concepts", "digit").factory.__module__ == "iin_cli.concepts.labelled"


def test_a_guest_is_found_by_name_and_argument(install):
    install("guest", {"mine": "thing"})
    assert "mine" in names("backbones")
    assert "mine" not in names("datasets")
    found = find("backbones", "mine")
    assert (found.name, found.argument, found.full_name) == ("mine", None, "mine")
    found = find("backbones", "mine:a:b")
    assert (found.name, found.argument, found.full_name) == ("mine", "a:b", "mine:a:b")
    assert found.factory("x") == "x"
    assert find("backbones", "guest:mine").argument is None
    assert find("backbones", "guest:mine:a:b").argument == "a:b"
    assert find("backbones", "mine:").argument == ""


def test_naming_a_plugin_does_not_import_it(install):
    install("guest", {"mine": "thing"})
    names("backbones")
    find("backbones", "autoencoder")
    assert "guest" not in sys.modules
    find("backbones", "mine")
    assert "guest" in sys.modules


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import os; os._exit(4)", "SystemExit: 4"),
        ("import no_such_package", "No module named 'no_such_package'"),
        ("nothing = 1", "has no attribute 'thing'"),
        ("def thing(:", "SyntaxError"),
        ("thing = 5", "not callable"),
    ],
)
def test_a_broken_plugin_breaks_nothing_but_itself(install, source, cause):
    install("evil", {"bad": "thing"}, source, version="1.2")
    install("guest", {"mine": "thing"})
    assert find("backbones", "mine").factory() is None
    assert find("backbones", "autoencoder").name == "autoencoder"
    with pytest.raises(PluginError) as caught:
        find("backbones", "bad")
    message = str(caught.value)
    assert "'bad' of evil" in message
    assert cause in message
    assert "\n" not in message
    assert caught.value.exit_code == 2
    assert "bad" in names("backbones")
    bad = row("bad")
    assert (bad.group, bad.distribution, bad.version, bad.status) == ("backbones", "evil", "1.2", "broken")
    assert cause in bad.error
    assert row("mine").status == "ok"
    assert row("mine").error is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("[iin.backbones]\nonly a name\n", "'only a name' is no NAME = MODULE:FACTORY"),
        ("[iin.backbones]\nbad = not a target\n", "'bad = not a target' is no NAME = MODULE:FACTORY"),
        ("[console_scripts]\nno target\n[iin.backbones]\nbad =\n", "'bad =' is no NAME = MODULE:FACTORY"),
    ],
)
def test_a_malformed_entry_point_breaks_nothing_but_itself(install, tmp_path, lines, said):
    install("evil", {})
    next((tmp_path / "evil").glob("*.dist-info/entry_points.txt")).write_text(lines)
    install("guest", {"mine": "thing"})
    assert find("backbones", "mine").factory() is None
    assert row("mine").status == "ok"
    (bad,) = [entry for entry in list_plugins() if entry.distribution == "evil"]
    assert (bad.group, bad.status) == ("backbones", "broken")
    assert said in bad.error
    assert not [name for name in names("backbones") if " " in name]


def test_packages_with_damaged_files_are_stepped_round(install, tmp_path):
    for number, content in enumerate([b"no section = x:y\n[a]\nnothing\n", b"\xff\xfe[iin.backbones]\n\xff"]):
        install(f"evil{number}", {})
        next((tmp_path / f"evil{number}").glob("*.dist-info/entry_points.txt")).write_bytes(content)
    install("nameless", {"odd": "thing"})
    next((tmp_path / "nameless").glob("*.dist-info/METADATA")).unlink()
    install("guest", {"mine": "thing"})
    assert {"mine", "odd"} <= set(names("backbones"))
    assert find("backbones", "odd").factory("x") == "x"


@pytest.mark.parametrize("failure", ["raise KeyError('no luck')", "raise MemoryError", "raise UsageError('say x')"])
def test_a_factory_that_fails_is_named(install, failure, capsys):
    source = f"from iin_cli.errors import UsageError\ndef thing(argument=None):\n    print('noise')\n    {failure}\n"
    install("evil", {"bad": "thing"}, source, group="iin.concepts")
    own = {"K": PluginError, "M": MemoryError, "U": UsageError}[failure[len("raise ")]]
    with pytest.raises(own) as caught:
        find("concepts", "bad").make()
    if own is PluginError:
        assert str(caught.value) == "plugin 'bad' of evil 1.0 cannot be opened: KeyError: 'no luck'"
    assert capsys.readouterr().out == ""


def test_ctrl_c_while_a_plugin_loads_is_not_the_plugins_fault(install):
    install("slow", {"slow": "thing"}, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        find("backbones", "slow")


def test_what_a_plugin_prints_is_no_result(install, capsys):
    install("loud", {"loud": "thing"}, "print('hello')\n" + GOOD)
    find("backbones", "loud")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "hello\n"


def test_two_owners_of_a_name_are_both_named(install):
    install("alpha", {"shared": "thing"}, "def thing(): return 'alpha'\n")
    install("beta", {"shared": "thing"}, "def thing(): return 'beta'\n")
    with pytest.raises(PluginError, match="claimed by alpha and beta: write alpha:shared or beta:shared"):
        find("backbones", "shared")
    assert find("backbones", "alpha:shared").factory() == "alpha"
    assert find("backbones", "beta:shared").factory() == "beta"
    assert names("backbones").count("shared") == 1
    found = [entry for entry in list_plugins() if entry.name == "shared"]
    assert [(entry.distribution, entry.status) for entry in found] == [("alpha", "conflict"), ("beta", "conflict")]
    assert all("another package" in entry.error for entry in found)


def test_a_built_in_can_be_told_from_a_guest_of_its_name(install):
    install("rival", {"autoencoder": "thing"})
    with pytest.raises(PluginError, match="iin-cli and rival"):
        find("backbones", "autoencoder")
    assert find("backbones", "iin-cli:autoencoder").factory.__name__ == "Autoencoder"


def test_one_installation_seen_twice_is_one(install, tmp_path, monkeypatch):
    install("guest", {"mine": "thing"})
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in (tmp_path / "guest").glob("*.dist-info"):
        (copy / path.name).mkdir()
        for file in path.iterdir():
            (copy / path.name / file.name).write_text(file.read_text())
    monkeypatch.syspath_prepend(str(copy))
    assert row("mine").status == "ok"


@pytest.mark.parametrize(
    ("group", "name"),
    [
        *(("backbones", name) for name in ("autoencoder", "classifier", "resnet50", "iin-cli:resnet50")),
        *(("datasets", name) for name in ("digits", "colordigits", "mnist", "fashionmnist", "cifar10", "colormnist")),
        *(("datasets", name) for name in ("animalfaces", "celeba", "deepfashion")),
        *(("concepts", name) for name in ("class", "digit", "color", "greyscale")),
    ],
)
def test_an_argument_that_a_built_in_does_not_take_is_refused(group, name):
    alone = name.rpartition(":")[2]
    with pytest.raises(UsageError, match=f"^{group[:-1]} {alone} takes no argument, and was given 'x': write {alone}$"):
        find(group, f"{name}:x")
    with pytest.raises(UsageError, match="was given ''"):
        find(group, f"{name}:")
    assert find(group, name).factory is not None


@pytest.mark.parametrize(
    ("group", "source"),
    [
        ("concepts", "def thing(): return 'made'"),
        ("concepts", "class thing:\n    def __new__(cls): return 'made'"),
        ("concepts", "def thing(*, loud=False): return 'made'"),
        ("datasets", "def thing(data_root): return 'made'"),
        ("datasets", "def thing(data_root, report=None): return 'made'"),
        ("backbones", "class thing:\n    takes_argument = False\n    def __new__(cls, *_): return 'made'"),
    ],
)
def test_a_guest_without_a_place_for_it_is_given_no_argument(install, group, source):
    install("guest", {"mine": "thing"}, source, group=f"iin.{group}")
    with pytest.raises(UsageError, match=f"{group[:-1]} mine takes no argument, and was given 'x': write mine"):
        find(group, "mine:x")
    with pytest.raises(UsageError, match="takes no argument"):
        find(group, "guest:mine:x")
    assert find(group, "mine").make(*["root"] * (group == "datasets"), report=Silent()) == "made"


@pytest.mark.parametrize(
    ("group", "source"),
    [
        ("concepts", "def thing(argument): return argument"),
        ("concepts", "def thing(column=None): return column"),
        ("concepts", "def thing(*words): return words[0]"),
        ("concepts", "class thing:\n    def __new__(cls, argument=None): return argument"),
        ("concepts", "class Thing:\n    def __call__(self, argument): return argument\nthing = Thing()"),
        ("concepts", "from functools import partial\nthing = partial(lambda times, argument: argument, 3)"),
        ("datasets", "def thing(data_root, argument): return argument"),
        ("datasets", "def thing(root=None, name=None, report=None): return name if report else None"),
    ],
)
def test_a_guest_with_a_place_for_it_is_given_the_argument(install, group, source):
    install("guest", {"mine": "thing"}, source, group=f"iin.{group}")
    before = ["root"] * (group == "datasets")
    assert find(group, "mine:x").make(*before, report=Silent()) == "x"
    assert find(group, "mine").make(*before, report=Silent()) is None


def test_a_guests_family_opens_its_names_in_full(install):
    install("guest", {"mine": "thing"}, FAMILY)
    found = find("backbones", "mine:net_a")
    assert (found.name, found.argument, found.full_name) == ("mine", "net_a", "mine:net_a")
    assert found.factory.names() == ["net_a", "resnet50"]
    assert row("mine").status == "ok"
    # Alone they would cost the import of every guest.
    assert not is_known("backbones", "net_a")
    with pytest.raises(UsageError, match="unknown backbone 'net_a'"):
        find("backbones", "net_a")
    assert find("backbones", "resnet50").factory is TorchvisionBackbone


def test_a_name_alone_does_not_import_a_guest(install):
    install("guest", {"mine": "thing"}, FAMILY)
    assert find("backbones", "resnet50").full_name == "resnet50"
    assert is_known("backbones", "resnet50")
    assert not is_known("backbones", "resnet5000")
    assert not is_known("datasets", "resnet50")
    assert "guest" not in sys.modules


def test_names_that_may_stand_alone_are_listed_and_found():
    rows = {entry.name: entry for entry in list_plugins() if entry.group == "backbones"}
    assert {"torchvision", *TorchvisionBackbone.names()} <= set(rows)
    assert (rows["resnet50"].distribution, rows["resnet50"].status, rows["resnet50"].error) == ("iin-cli", "ok", None)
    # Where plugins are only named, none is imported.
    assert "resnet50" not in names("backbones")
    found = find("backbones", "resnet50")
    assert (found.name, found.argument, found.full_name) == ("torchvision", "resnet50", "resnet50")
    assert find("backbones", "iin-cli:resnet50") == found
    found = find("backbones", "iin-cli:torchvision:resnet50")
    assert (found.name, found.argument, found.full_name) == ("torchvision", "resnet50", "torchvision:resnet50")


def test_our_own_names_import_no_family(monkeypatch):
    monkeypatch.setattr(TorchvisionBackbone, "names", lambda: pytest.fail("asked"))
    assert find("backbones", "autoencoder").name == "autoencoder"
    assert find("backbones", "torchvision:resnet50").argument == "resnet50"
    assert is_known("backbones", "classifier")
    assert not is_known("backbones", "runs/00001")
    assert not is_known("backbones", "backbone.safetensors")


@pytest.mark.parametrize(("point", "source"), [("torchvision", FAMILY), ("resnet50", GOOD)])
def test_two_owners_of_a_name_that_stands_alone_are_both_named(install, point, source):
    install("rival", {point: "thing"}, source)
    with pytest.raises(PluginError, match="claimed by iin-cli and rival: write iin-cli:resnet50 or rival:resnet50"):
        find("backbones", "resnet50")
    assert find("backbones", "iin-cli:resnet50").factory is TorchvisionBackbone
    assert find("backbones", "rival:resnet50").factory.__module__ == "rival"
    assert find("backbones", "resnet18").factory is TorchvisionBackbone
    both = [(entry.distribution, entry.status) for entry in list_plugins() if entry.name == "resnet50"]
    assert both == [("iin-cli", "conflict"), ("rival", "conflict")]


SPEECHLESS = FAMILY.replace('return ["net_a", "resnet50"]', "raise ValueError('no luck')")


@pytest.mark.parametrize("source", ["raise ValueError('no luck')", SPEECHLESS])
def test_a_broken_family_breaks_nothing_but_itself(install, source):
    install("evil", {"torchvision": "thing"}, source)
    assert find("backbones", "resnet50").factory is TorchvisionBackbone
    assert find("backbones", "autoencoder").name == "autoencoder"
    assert find("backbones", "iin-cli:autoencoder").name == "autoencoder"
    assert is_known("backbones", "resnet50")
    with pytest.raises(PluginError, match=r"'torchvision' of evil 1.0 cannot .*: ValueError: no luck"):
        find("backbones", "net_a")
    broken = {entry.distribution: entry for entry in list_plugins() if entry.name == "torchvision"}
    assert broken["evil"].status == "broken"
    assert "no luck" in broken["evil"].error
    assert broken["iin-cli"].status == "conflict"


def test_without_torchvisions_names_a_name_alone_says_why(monkeypatch, install):
    def names_of():
        raise RuntimeError("operator does not exist")

    # Where its source cannot be read, either.
    monkeypatch.setattr("iin_cli.registry.torchvision_names", list)
    monkeypatch.setattr(TorchvisionBackbone, "names", names_of)
    with pytest.raises(PluginError, match=r"'torchvision' of iin-cli .* RuntimeError: operator does not exist"):
        find("backbones", "resnet50")
    install("guest", {"mine": "thing"})
    assert find("backbones", "mine:x").argument == "x"
    assert not is_known("backbones", "resnet50")


def test_an_unknown_name_brings_the_nearest():
    with pytest.raises(UsageError, match=r"unknown backbone 'resnett50': did you mean resnet50"):
        find("backbones", "resnett50")
    with pytest.raises(UsageError, match=r"unknown backbone 'torchvison': did you mean torchvision\?"):
        find("backbones", "torchvison:resnet50")
    with pytest.raises(UsageError, match="unknown concept 'digt': did you mean digit"):
        find("concepts", "digt")
    with pytest.raises(UsageError, match=r"unknown backbone 'zzz': choose from: .*autoencoder"):
        find("backbones", "zzz:argument")


@pytest.mark.parametrize(
    ("group", "name", "package"),
    [
        ("concepts", "roundness", "iin-sketch"),
        ("concepts", "sketch:a.png,b.png", "iin-sketch"),
        ("backbones", "timm:convnext_tiny", "iin-timm"),
        ("commands", "train-stylizer", "iin-sketch"),
        ("datasets", "hf:owner/name", "iin-datasets"),
    ],
)
def test_a_first_party_plugin_that_is_not_installed_is_named(monkeypatch, group, name, package):
    monkeypatch.setattr("iin_cli.registry.read_points", lambda start: [])
    with pytest.raises(
        UsageError, match=f"comes with the package {package}, which is not installed: pip install {package}"
    ):
        find(group, name)


def test_loading_plugins_tells_where_it_stands():
    class Counting(Silent):
        done = 0

        @contextmanager
        def task(self, description, total, unit="it"):
            self.total = total
            yield self

        def advance(self, amount=1, **metrics):
            self.done += amount

    counting = Counting()
    rows = list_plugins(counting)
    members = {("backbones", name) for name in TorchvisionBackbone.names()}
    assert counting.done == counting.total == len([row for row in rows if (row.group, row.name) not in members])


def test_rows_are_json_values(install):
    install("guest", {"mine": "thing"})
    assert row("mine").as_dict() == {
        "group": "backbones",
        "name": "mine",
        "distribution": "guest",
        "version": "1.0",
        "status": "ok",
        "error": None,
    }
