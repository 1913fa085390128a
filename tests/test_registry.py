"""Plugins come in by name, one at a time; a bad one is named and stepped round."""

import sys
from contextlib import contextmanager

import pytest

from iin_cli.errors import PluginError, UsageError
from iin_cli.progress import Silent
from iin_cli.registry import GROUPS, find, list_plugins, names

GOOD = "def thing(argument=None):\n    return argument\n"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution: its metadata, its entry points, its module."""

    def make(distribution, points, source=GOOD, version="1.0", group="iin.backbones"):
        site = tmp_path / distribution
        module = distribution.replace("-", "_")
        facts = site / f"{module}-{version}.dist-info"
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = [f"[{group}]", *(f"{name} = {module}:{target}" for name, target in points.items())]
        (facts / "entry_points.txt").write_text("\n".join(lines) + "\n")
        (site / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(str(site))
        imported.append(module)

    imported = []
    yield make
    for module in imported:
        sys.modules.pop(module, None)


def row(name):
    (found,) = [entry for entry in list_plugins() if entry.name == name]
    return found


def test_the_built_ins_come_in_by_the_same_door():
    assert {"autoencoder", "classifier"} <= set(names("backbones"))
    assert {"digits", "colordigits", "mnist", "fashionmnist", "cifar10", "colormnist"} <= set(names("datasets"))
    assert {"digit", "class", "label", "color", "greyscale"} <= set(names("concepts"))
    rows = list_plugins()
    assert {"backbones", "datasets", "concepts"} <= {entry.group for entry in rows} <= set(GROUPS)
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


def test_an_unknown_name_brings_the_nearest():
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
    ],
)
def test_a_first_party_plugin_that_is_not_installed_is_named(monkeypatch, group, name, package):
    monkeypatch.setattr("iin_cli.registry.entry_points", lambda group: ())
    with pytest.raises(UsageError, match=f"comes with the package {package}, which is not installed"):
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
    assert counting.done == counting.total == len(rows)


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
